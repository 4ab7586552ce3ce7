// Asks the questions on standard input through OpenFeature's provider for pages, and prints
// what the SDK makes of the answers, with the statuses of the requests.
import { readFileSync } from 'node:fs';
import { OFREPWebProvider } from '@openfeature/ofrep-web-provider';
import { OpenFeature } from '@openfeature/web-sdk';

const { PERENNIAL_URL: baseUrl, PERENNIAL_KEY: key } = process.env;
const { contexts, questions } = JSON.parse(readFileSync(0, 'utf8'));
const statuses = [];
const fetchImplementation = async (...request) => {
  const response = await fetch(...request);
  statuses.push(response.status);
  return response;
};
const provider = new OFREPWebProvider({ baseUrl, fetchImplementation, headers: [['X-API-Key', key]] });
const rounds = [];
for (const [i, context] of contexts.entries()) {
  const round = {};
  try {
    await OpenFeature.setContext(context);
    if (i === 0) {
      await OpenFeature.setProviderAndWait(provider);
    }
  } catch (error) {
    round.failure = { name: error.name, code: error.code ?? null };
  }
  const client = OpenFeature.getClient();
  round.answers = questions.map(({ flag, type, fallback }) => client[`get${type}Details`](flag, fallback));
  round.status = client.providerStatus;
  rounds.push(round);
}
console.log(JSON.stringify({ rounds, statuses }));
await OpenFeature.close();
