// What a shop's page does: it asks once for all it shows, and tells what was seen.
import { OFREPWebProvider } from '@openfeature/ofrep-web-provider';
import { OpenFeature } from '@openfeature/web-sdk';

const { baseUrl, key, customer, touchpoint, seenAt } = JSON.parse(document.getElementById('config').textContent);
const report = async (result) => fetch('/result', { method: 'POST', body: JSON.stringify(result) });
try {
  await OpenFeature.setContext({ targetingKey: customer });
  const headers = [['Authorization', `Bearer ${key}`]];
  await OpenFeature.setProviderAndWait(new OFREPWebProvider({ baseUrl, headers, cacheMode: 'disabled' }));
  const details = OpenFeature.getClient().getObjectDetails(touchpoint, {});
  await OpenFeature.setContext({ targetingKey: customer }); // asks again, with If-None-Match
  const again = OpenFeature.getClient().getObjectDetails(touchpoint, {});
  const exposure = await fetch(`${baseUrl}/v1/exposures`, {
    method: 'POST',
    headers: { Authorization: `Bearer ${key}`, 'Content-Type': 'application/json' },
    body: JSON.stringify({ exposures: [{ id: `${touchpoint}:1`, customer, touchpoint, occurred_at: seenAt }] }),
  });
  const closed = await fetch(`${baseUrl}/v1/experiments`, { headers: { Authorization: `Bearer ${key}` } }).catch((error) => error.name);
  const statuses = performance.getEntriesByType('resource').filter((r) => r.name.endsWith('/flags')).map((r) => r.responseStatus);
  await report({ details, again, statuses, exposure: { status: exposure.status, receipt: await exposure.json() }, closed });
} catch (error) {
  await report({ error: String(error) });
}
