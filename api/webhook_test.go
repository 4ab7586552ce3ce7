package api_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// A receiver takes messages, verifies them as a customer of ours would, and answers what it
// is told to.
type receiver struct {
	*httptest.Server
	mu     sync.Mutex
	secret string
	answer func(w http.ResponseWriter)
	got    []received
}

type received struct {
	id, contentType string
	body            []byte
}

func newReceiver(t *testing.T) *receiver {
	t.Helper()
	r := &receiver{answer: func(http.ResponseWriter) {}}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		r.mu.Lock()
		defer r.mu.Unlock()
		body, err := io.ReadAll(q.Body)
		if err != nil {
			t.Error(err)
		}
		verifier, err := standardwebhooks.NewWebhook(r.secret)
		if err != nil {
			t.Error(err)
		} else if err := verifier.VerifyIgnoringTimestamp(body, q.Header); err != nil {
			t.Errorf("a message does not verify: %v", err)
		}
		r.got = append(r.got, received{q.Header.Get("Webhook-Id"), q.Header.Get("Content-Type"), body})
		r.answer(w)
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) answers(status int, headers ...string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = func(w http.ResponseWriter) {
		for i := 0; i+1 < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.WriteHeader(status)
	}
}

// take answers what came since the last time.
func (r *receiver) take() []received {
	r.mu.Lock()
	defer r.mu.Unlock()
	got := r.got
	r.got = nil
	return got
}

// listen makes a webhook of the receiver.
func (s *system) listen(r *receiver, events ...string) (id string) {
	s.t.Helper()
	body := object{"url": r.URL + "/hook?from=perennial"}
	if len(events) > 0 {
		body["events"] = events
	}
	var w struct{ ID, Secret string }
	s.post("/v1/webhooks", body).is(http.StatusCreated).into(&w)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.secret = w.Secret
	return w.ID
}

// send runs the job that sends messages and answers how many it sent.
func (s *system) send() int {
	s.t.Helper()
	n, ok := s.post("/v1/jobs/webhooks/run", nil).is(http.StatusOK).at("/rows").(float64)
	if !ok {
		s.t.Fatal("no number of rows")
	}
	return int(n)
}

// runningTest starts a test of two arms.
func (s *system) runningTest(key string) {
	s.t.Helper()
	s.put("/v1/touchpoints/"+key, object{"channel": "web"})
	s.put("/v1/metrics/kept", object{"kind": "retention", "events": []string{"order"}, "window": object{"from_day": 0, "to_day": 7}})
	s.post("/v1/experiments", object{
		"key": key, "name": "Tone", "touchpoints": []string{key},
		"variants": []any{object{"key": "control", "control": true, "weight": 1}, object{"key": "warm", "weight": 1, "content": object{key: "Hello"}}},
		"metrics":  object{"primary": "kept"}, "plan": object{"method": "anytime"},
	}).is(http.StatusCreated)
	s.post("/v1/experiments/"+key+"/start", nil).is(http.StatusOK)
}

// TestWebhook: each event is told once, as a signed CloudEvent, to those who want it.
func TestWebhook(t *testing.T) {
	t.Parallel()
	s, all, some := newSystem(t), newReceiver(t), newReceiver(t)
	s.listen(all)
	s.listen(some, "experiment.promoted")
	s.runningTest("tone")
	s.post("/v1/experiments/tone/pause", nil).is(http.StatusOK) // nothing to be told of
	s.post("/v1/experiments/tone/promote", object{"variant": "warm", "reason": "it is warm"}).is(http.StatusOK)
	s.post("/v1/experiments/tone/rollback", nil).is(http.StatusOK)
	if n := s.send(); n != 7 {
		t.Errorf("%d messages sent, want 6 and 1", n)
	}
	if n := s.send(); n != 0 {
		t.Errorf("%d messages sent again", n)
	}
	var types []string
	ids := map[string]string{}
	for _, m := range all.take() {
		var event struct {
			Specversion, ID, Source, Type, Subject, Datacontenttype string
			Time                                                    time.Time
			Data                                                    struct {
				Experiment, Status, Outcome, Winner string
				Version                             int
				PlanSHA256                          string `json:"plan_sha256"`
				Decision                            *struct {
					Action, Variant, Note string
					DecidedBy             string `json:"decided_by"`
					Applied               bool
				}
			}
		}
		if err := json.Unmarshal(m.body, &event); err != nil {
			t.Fatal(err)
		}
		types = append(types, event.Type)
		ids[event.Type] = m.id
		if m.contentType != "application/cloudevents+json; charset=utf-8" || event.Specversion != "1.0" || event.ID != m.id ||
			event.Source == "" || event.Subject != "experiment/tone" || !event.Time.Equal(start) || event.Data.Experiment != "tone" {
			t.Errorf("%s: %s %s", m.id, m.contentType, m.body)
		}
		switch event.Type {
		case "perennial.experiment.started":
			if event.Data.Status != "running" || event.Data.Version != 2 || len(event.Data.PlanSHA256) != 64 || event.Data.Decision != nil {
				t.Errorf("started: %+v", event.Data)
			}
		case "perennial.experiment.promoted":
			d := event.Data.Decision
			if event.Data.Outcome != "promoted" || event.Data.Winner != "warm" || d == nil || d.Note != "it is warm" || d.DecidedBy != "bootstrap" || !d.Applied {
				t.Errorf("promoted: %s", m.body)
			}
		}
	}
	// Messages of one moment may come in any order.
	if diff := cmp.Diff(map[string]int{
		"perennial.experiment.started": 1, "perennial.experiment.decision": 2, "perennial.experiment.promoted": 1,
		"perennial.experiment.concluded": 1, "perennial.experiment.rolled_back": 1,
	}, countOf(types)); diff != "" {
		t.Errorf("messages (-want +got):\n%s", diff)
	}
	got := some.take()
	if len(got) != 1 || got[0].id != ids["perennial.experiment.promoted"] {
		t.Errorf("the other webhook got %d messages", len(got))
	}
}

func countOf(all []string) map[string]int {
	counts := map[string]int{}
	for _, s := range all {
		counts[s]++
	}
	return counts
}

// TestWebhookRetries: the schedule is that of Standard Webhooks 1.0, section "Deliverability
// and reliability": at once, then after 5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 14 h, 20 h and
// 24 h; the id stays the same, and a person can send it again after all that.
func TestWebhookRetries(t *testing.T) {
	t.Parallel()
	s, r := newSystem(t), newReceiver(t)
	id := s.listen(r)
	r.answers(http.StatusInternalServerError)
	s.runningTest("tone")
	pauses := []time.Duration{
		0, 5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour, 10 * time.Hour,
		14 * time.Hour, 20 * time.Hour, 24 * time.Hour,
	}
	for i, pause := range pauses {
		if pause > 0 {
			s.pass(pause - time.Second)
			if n := s.send(); n != 0 {
				t.Errorf("attempt %d came before its time", i+1)
			}
			s.pass(time.Second)
		}
		if n := s.send(); n != 1 {
			t.Errorf("attempt %d: %d sent", i+1, n)
		}
	}
	s.pass(10 * 365 * day)
	if n := s.send(); n != 0 {
		t.Errorf("%d sent after the last attempt", n)
	}
	got := r.take()
	for _, m := range got {
		if m.id != got[0].id || string(m.body) != string(got[0].body) {
			t.Error("an attempt has another id or body than the first")
		}
	}
	log := s.get("/v1/webhooks/" + id + "/deliveries").is(http.StatusOK).has(object{
		"/data/0/id": got[0].id, "/data/0/event": "experiment.started", "/data/0/status": "given_up",
		"/data/0/delivered_at": nil, "/data/0/next_attempt_at": nil, "/data/0/attempts/9/status": 500.0,
		"/data/0/attempts/9/error": "the receiver did not take it", "/data/0/attempts/10": nil, "/data/1": nil,
	})
	if at := log.at("/data/0/attempts/1/at"); at != start.Add(5*time.Second).Format(time.RFC3339) {
		t.Errorf("the second attempt was at %v", at)
	}

	r.answers(http.StatusNoContent)
	replay := "/v1/webhooks/" + id + "/deliveries/" + got[0].id + "/replay"
	s.post(replay, nil).is(http.StatusOK).has(object{"/status": "waiting"})
	if n := s.send(); n != 1 {
		t.Errorf("%d sent at a replay", n)
	}
	s.get("/v1/webhooks/" + id + "/deliveries").has(object{"/data/0/status": "delivered", "/data/0/attempts/10/status": 204.0})
	s.post(replay, nil).is(http.StatusOK) // also what was delivered
	if n := s.send(); n != 1 {
		t.Errorf("%d sent at another replay", n)
	}
	for _, m := range r.take() {
		if m.id != got[0].id {
			t.Error("a replay has another id")
		}
	}
}

// TestWebhookAnswers: what becomes of a message by what the receiver says.
func TestWebhookAnswers(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		answer  int
		headers []string
		status  string
		next    time.Duration // 0: no more
		error   any
	}{
		{"200", 200, nil, "delivered", 0, nil},
		{"299", 299, nil, "delivered", 0, nil},
		{"a redirect is not followed", 307, []string{"Location", "/elsewhere"}, "waiting", 5 * time.Second, "redirects are not followed: change the URL of the webhook"},
		{"404", 404, nil, "waiting", 5 * time.Second, "the receiver did not take it"},
		{"asked to wait", 429, []string{"Retry-After", "600"}, "waiting", 10 * time.Minute, "the receiver did not take it"},
		{"asked to wait until", 503, []string{"Retry-After", start.Add(time.Hour).Format(http.TimeFormat)}, "waiting", time.Hour, "the receiver did not take it"},
		{"asked to wait too long", 503, []string{"Retry-After", "99999999"}, "waiting", day, "the receiver did not take it"},
		{"asked for nonsense", 503, []string{"Retry-After", "-7"}, "waiting", 5 * time.Second, "the receiver did not take it"},
		{"gone", 410, nil, "given_up", 0, "the receiver is gone for good: the webhook is disabled"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s, r := newSystem(t), newReceiver(t)
			id := s.listen(r)
			r.answers(tt.answer, tt.headers...)
			s.runningTest("tone")
			s.send()
			var next any
			if tt.next > 0 {
				next = start.Add(tt.next).Format(time.RFC3339)
			}
			log := s.get("/v1/webhooks/" + id + "/deliveries").has(object{
				"/data/0/status": tt.status, "/data/0/next_attempt_at": next,
				"/data/0/attempts/0/status": float64(tt.answer), "/data/0/attempts/0/error": tt.error, "/data/0/attempts/1": nil,
			})
			if n := len(r.take()); n != 1 {
				t.Errorf("%d requests, want 1", n)
			}
			if tt.answer != http.StatusGone {
				return
			}
			message, _ := log.at("/data/0/id").(string)
			s.post("/v1/webhooks/"+id+"/deliveries/"+message+"/replay", nil).fails(http.StatusConflict, "webhook_disabled")
			if s.get("/v1/webhooks").at("/data/0/disabled_at") == nil {
				t.Error("the webhook is not disabled")
			}
			s.runningTest("another")
			if n := s.send(); n != 0 {
				t.Errorf("%d messages sent to a receiver that is gone", n)
			}
		})
	}
}

// TestWebhookAway: a receiver that does not answer holds up neither its own later messages
// for ever nor those of others.
func TestWebhookAway(t *testing.T) {
	t.Parallel()
	s, away, there := newSystem(t), newReceiver(t), newReceiver(t)
	id := s.listen(away)
	s.listen(there)
	away.Close()
	s.runningTest("a")
	s.runningTest("b")
	if n := s.send(); n != 3 {
		t.Errorf("%d sent, want one to the receiver that is away and two to the other", n)
	}
	if n := len(there.take()); n != 2 {
		t.Errorf("%d messages came, want 2", n)
	}
	log := s.get("/v1/webhooks/" + id + "/deliveries").is(http.StatusOK)
	tried := 0
	for _, pointer := range []string{"/data/0/attempts/0", "/data/1/attempts/0"} {
		if log.at(pointer) != nil {
			tried++
			if log.at(pointer+"/status") != nil || log.at(pointer+"/error") == nil {
				t.Errorf("%s", log.body)
			}
		}
	}
	if tried != 1 {
		t.Errorf("%d messages were tried, want 1: the other waits for the next run", tried)
	}
	if n := s.send(); n != 1 {
		t.Errorf("%d sent by the next run, want the other", n)
	}
}

// TestWebhookGuard: nothing is sent to an address that is not admitted.
func TestWebhookGuard(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	var w struct{ ID string }
	s.post("/v1/webhooks", object{"url": "http://[::1]:9/"}).is(http.StatusCreated).into(&w)
	s.runningTest("tone")
	s.send()
	failure, _ := s.get("/v1/webhooks/" + w.ID + "/deliveries").at("/data/0/attempts/0/error").(string)
	if !contains(failure, "is not public") {
		t.Errorf("the attempt says %q", failure)
	}
}

// TestWebhooks: webhooks are made, listed and deleted; their secrets are answered once.
func TestWebhooks(t *testing.T) {
	t.Parallel()
	s, r := newSystem(t), newReceiver(t)
	id := s.listen(r, "experiment.started", "experiment.concluded")
	list := s.get("/v1/webhooks").is(http.StatusOK).has(object{
		"/data/0/id": id, "/data/0/url": r.URL + "/hook?from=perennial", "/data/0/events/1": "experiment.concluded",
		"/data/0/events/2": nil, "/data/1": nil,
	})
	if contains(string(list.body), "whsec_") || contains(string(s.get("/v1/audit").body), "whsec_") {
		t.Error("a secret is told again")
	}
	s.runningTest("tone")
	s.delete("/v1/webhooks/" + id).is(http.StatusNoContent)
	s.delete("/v1/webhooks/"+id).fails(http.StatusNotFound, "not_found")
	s.get("/v1/webhooks/"+id+"/deliveries").fails(http.StatusNotFound, "not_found")
	s.post("/v1/webhooks/"+id+"/deliveries/m/replay", nil).fails(http.StatusNotFound, "not_found")
	if n := s.send(); n != 0 || len(r.take()) != 0 {
		t.Errorf("%d messages sent to a deleted webhook", n)
	}
	id = s.listen(r)
	s.post("/v1/webhooks/"+id+"/deliveries/m/replay", nil).fails(http.StatusNotFound, "not_found")
	for name, tt := range map[string]struct {
		body    object
		pointer string
	}{
		"no URL":       {object{"url": ""}, "/url"},
		"relative":     {object{"url": "/hook"}, "/url"},
		"file":         {object{"url": "file:///etc/passwd"}, "/url"},
		"user":         {object{"url": "https://u:p@example.com/"}, "/url"},
		"fragment":     {object{"url": "https://example.com/#a"}, "/url"},
		"no host":      {object{"url": "https:///hook"}, "/url"},
		"only a port":  {object{"url": "https://:443/hook"}, "/url"},
		"a line break": {object{"url": "https://example.com/\nx"}, "/url"},
		"too long":     {object{"url": "https://example.com/" + text(2000)}, "/url"},
		"other event":  {object{"url": "https://example.com", "events": []string{"experiment.started", "order"}}, "/events/1"},
		"twice":        {object{"url": "https://example.com", "events": []string{"experiment.started", "experiment.started"}}, "/events/1"},
	} {
		t.Run(name, func(t *testing.T) {
			s.in(t).post("/v1/webhooks", tt.body).fails(http.StatusUnprocessableEntity, "invalid", tt.pointer)
		})
	}
}
