// Asks the questions on standard input through OpenFeature's provider for servers, and
// prints what the SDK makes of the answers.
import { readFileSync } from 'node:fs';
import { OFREPProvider } from '@openfeature/ofrep-provider';
import { OpenFeature } from '@openfeature/server-sdk';

const { PERENNIAL_URL: baseUrl, PERENNIAL_KEY: key } = process.env;
const provider = new OFREPProvider({ baseUrl, headers: [['Authorization', `Bearer ${key}`]] });
await OpenFeature.setProviderAndWait(provider);
const client = OpenFeature.getClient();
const answers = [];
for (const { flag, type, fallback, context } of JSON.parse(readFileSync(0, 'utf8'))) {
  answers.push(await client[`get${type}Details`](flag, fallback, context));
}
console.log(JSON.stringify(answers));
await OpenFeature.close();
