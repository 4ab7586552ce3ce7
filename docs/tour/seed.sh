#!/bin/sh
# Writes down the tour's touchpoints, metrics and test, and starts it. Safe to run again.
#
#   PERENNIAL_URL=http://127.0.0.1:8080 PERENNIAL_KEY=… sh docs/tour/seed.sh
set -eu
url=${PERENNIAL_URL:-http://127.0.0.1:8080}
key=${PERENNIAL_KEY:?set it to the key that "perennial up" printed}
answer=$(mktemp)
trap 'rm -f "$answer"' EXIT

# call METHOD PATH BODY: prints the answer's status and fails on anything but 2xx and 409
# (done before).
call() {
  status=$(curl -sS -o "$answer" -w '%{http_code}' -X "$1" "$url$2" \
    -H "Authorization: Bearer $key" -H 'Idempotency-Key: tour-seed' -d "$3")
  echo "$1 $2: $status"
  case $status in 2?? | 409) ;; *) cat "$answer"; echo; exit 1 ;; esac
}

# Putting a touchpoint again would take the place of a winner that was promoted there.
if curl -sS -f -o "$answer" "$url/v1/experiments/welcome-tone" -H "Authorization: Bearer $key" 2>/dev/null; then
  echo "welcome-tone is there already: nothing to do"
  exit 0
fi
call PUT /v1/touchpoints/welcome-email '{"name": "Welcome e-mail", "channel": "email", "stage": "loyalty", "content": {"subject": "Welcome"}}'
call PUT /v1/touchpoints/welcome-web '{"name": "Welcome page", "channel": "web", "stage": "loyalty", "content": {"hero": "plain"}}'
call PUT /v1/metrics/ltv_90 '{"name": "Value, 90 days", "kind": "ltv", "events": ["order", "refund", "contact_cost"], "window": {"from_day": 0, "to_day": 90}}'
call PUT /v1/metrics/retention_30 '{"name": "Back within 30 days", "kind": "retention", "events": ["order", "visit"], "window": {"from_day": 1, "to_day": 30}}'
call PUT /v1/metrics/clicks_7 '{"name": "Clicks, 7 days", "kind": "click", "events": ["click"], "window": {"from_day": 0, "to_day": 7}}'
call POST /v1/experiments '{
  "key": "welcome-tone", "name": "Warmer welcome",
  "hypothesis": "A personal tone keeps more first buyers", "objective": "retention",
  "touchpoints": ["welcome-email", "welcome-web"],
  "variants": [
    {"key": "control", "control": true, "weight": 1},
    {"key": "warm", "weight": 1, "content": {"welcome-email": {"subject": "Hello you"}, "welcome-web": {"hero": "warm"}}}],
  "metrics": {"primary": "ltv_90", "secondary": ["retention_30"], "diagnostics": ["clicks_7"]},
  "plan": {"method": "anytime", "min_effect": 0.03},
  "policy": {"mode": "auto", "min_days": 14, "max_days": 120, "min_customers": 1000}}'
call POST /v1/experiments/welcome-tone/start '{}'
