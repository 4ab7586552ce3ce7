package api_test

import (
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"

	"github.com/perennial-engine/perennial/engine/audit"
)

// An auditRow is a row as it comes over the wire.
type auditRow struct {
	Seq                   int64
	At                    time.Time
	Actor, Action, Object string
	Detail                json.RawMessage
	Hash, Previous        audit.Hash
}

func (r *auditRow) row() *audit.Row {
	return &audit.Row{
		Seq: r.Seq, At: r.At, Actor: r.Actor, Action: r.Action, Object: r.Object, Detail: string(r.Detail),
		Hash: r.Hash, Previous: r.Previous,
	}
}

// audit reads the whole log, a few rows at a time.
func (s *system) audit() []auditRow {
	s.t.Helper()
	var rows []auditRow
	for path := "/v1/audit?limit=3"; path != ""; {
		var page struct {
			Data       []auditRow
			NextCursor string `json:"next_cursor"`
		}
		s.get(path).is(http.StatusOK).into(&page)
		rows = append(rows, page.Data...)
		path = ""
		if page.NextCursor != "" {
			path = "/v1/audit?limit=3&cursor=" + page.NextCursor
		}
	}
	return rows
}

// verify checks the chain as it comes over the wire.
func verify(rows []auditRow) *audit.Fault {
	var v audit.Verifier
	for i := range rows {
		if f := v.Add(rows[i].row()); f != nil {
			return f
		}
	}
	return v.End()
}

// TestAudit: every change of state has one row, by who made it, in a chain that holds.
func TestAudit(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	var author struct{ ID, Name, Key string }
	s.post("/v1/keys", object{"name": "Büro <1>", "scopes": []string{"author", "decide"}}).is(http.StatusCreated).into(&author)
	as := with(author.Key)
	s.put("/v1/touchpoints/home", object{"channel": "web", "name": "\u2028 é & <b>"}, as).is(http.StatusCreated)
	s.put("/v1/touchpoints/home", object{"channel": "web"}, as).is(http.StatusOK)
	s.put("/v1/metrics/kept", object{"kind": "retention", "events": []string{"order"}, "window": object{"from_day": 0, "to_day": 7}}, as).is(http.StatusCreated)
	s.put("/v1/layers/other", nil, as).is(http.StatusCreated)
	s.put("/v1/layers/other", nil, as).is(http.StatusOK) // changes nothing
	experiment := object{
		"key": "tone", "touchpoints": []string{"home"},
		"variants": []any{object{"key": "control", "control": true, "weight": 1}, object{"key": "warm", "weight": 1, "content": object{"home": "Hello"}}},
		"metrics":  object{"primary": "kept"}, "plan": object{"method": "anytime"},
	}
	s.post("/v1/experiments", experiment, as).is(http.StatusCreated)
	s.post("/v1/experiments", and(experiment, object{"key": "gone"}), as).is(http.StatusCreated)
	s.delete("/v1/experiments/gone", ifMatch(`"1"`), as).is(http.StatusNoContent)
	s.patch("/v1/experiments/tone", object{"name": "Tone"}, ifMatch(`"1"`), as).is(http.StatusOK)
	s.patch("/v1/experiments/tone", object{"name": "stale"}, ifMatch(`"1"`), as).is(http.StatusPreconditionFailed)
	for _, action := range []string{"start", "pause", "resume"} {
		s.post("/v1/experiments/tone/"+action, nil, as).is(http.StatusOK)
	}
	s.post("/v1/experiments/tone/start", nil, as).is(http.StatusConflict)
	s.post("/v1/experiments/tone/promote", object{"variant": "warm", "reason": "the board wants it"}, as).is(http.StatusOK)
	s.post("/v1/experiments/tone/rollback", nil, as).is(http.StatusOK)
	s.delete("/v1/keys/" + author.ID).is(http.StatusNoContent)
	s.delete("/v1/keys/" + author.ID).is(http.StatusNoContent) // ended already
	s.post("/v1/assignments", object{"customer": "c1", "touchpoint": "home"}).is(http.StatusOK)

	rows := s.audit()
	if f := verify(rows); f != nil {
		t.Error(f)
	}
	admin := rows[0].Object[len("key/"):] + " (bootstrap)"
	who := author.ID + " (Büro <1>)"
	var got [][3]string
	for _, r := range rows {
		got = append(got, [3]string{r.Actor, r.Action, r.Object})
		if !r.At.Equal(start) {
			t.Errorf("row %d is of %v", r.Seq, r.At)
		}
	}
	if diff := cmp.Diff([][3]string{
		{"process", "key.create", rows[0].Object},
		{admin, "key.create", "key/" + author.ID},
		{who, "touchpoint.create", "touchpoint/home"},
		{who, "touchpoint.change", "touchpoint/home"},
		{who, "metric.create", "metric/kept"},
		{who, "layer.create", "layer/other"},
		{who, "experiment.create", "experiment/tone"},
		{who, "experiment.create", "experiment/gone"},
		{who, "experiment.delete", "experiment/gone"},
		{who, "experiment.change", "experiment/tone"},
		{who, "experiment.start", "experiment/tone"},
		{who, "experiment.pause", "experiment/tone"},
		{who, "experiment.resume", "experiment/tone"},
		{who, "experiment.promote", "experiment/tone"},
		{who, "experiment.rollback", "experiment/tone"},
		{admin, "key.revoke", "key/" + author.ID},
	}, got); diff != "" {
		t.Errorf("the log (-want +got):\n%s", diff)
	}
	detail := func(seq int) map[string]json.RawMessage {
		var d map[string]json.RawMessage
		if err := json.Unmarshal(rows[seq-1].Detail, &d); err != nil {
			t.Fatal(err)
		}
		return d
	}
	if got := string(rows[9].Detail); got != `{"changed":{"name":"Tone"},"status":"draft","version":2}` {
		t.Errorf("the change says %s", got)
	}
	if got := string(detail(14)["reason"]); got != `"the board wants it"` {
		t.Errorf("the promotion's reason is %s", got)
	}
	// The plan's hash can be computed again from the plan beside it.
	started := detail(11)
	plan := jsontext.Value(started["plan"])
	if err := plan.Canonicalize(); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(plan)
	if got := string(started["plan_sha256"]); got != `"`+hex.EncodeToString(sum[:])+`"` {
		t.Errorf("the plan's hash is %s, computed again %x", got, sum)
	}
	if !strings.Contains(string(plan), `"definitions":[{`) || !strings.Contains(string(plan), `"alpha":0.05`) {
		t.Errorf("the plan is %s", plan)
	}

	lines, err := csv.NewReader(strings.NewReader(string(s.get("/v1/audit?format=csv").is(http.StatusOK).body))).ReadAll()
	if err != nil || len(lines) != len(rows)+1 || strings.Join(lines[0], ",") != "seq,at,actor,action,object,detail,hash,previous" {
		t.Errorf("CSV of %d lines beginning %v, error %v", len(lines), lines[0], err)
	}
	s.get("/v1/audit?cursor=eA").fails(http.StatusBadRequest, "invalid_cursor")
}

// TestAuditTampering: what is changed in the database shows over the wire, at its row.
func TestAuditTampering(t *testing.T) {
	t.Parallel()
	for name, statement := range map[string]string{
		"actor":           `UPDATE audit SET actor = 'worker' WHERE seq = 4`,
		"time":            `UPDATE audit SET at = at + interval '1 microsecond' WHERE seq = 4`,
		"detail":          `UPDATE audit SET detail = replace(detail, 'web', 'app') WHERE seq = 4`,
		"spaces":          `UPDATE audit SET detail = replace(detail, ':', ' : ') WHERE seq = 4`,
		"no JSON":         `UPDATE audit SET detail = 'x' WHERE seq = 4`,
		"hash":            `UPDATE audit SET hash = decode('00', 'hex') WHERE seq = 4`,
		"previous":        `UPDATE audit SET previous = hash WHERE seq = 4`,
		"deleted":         `DELETE FROM audit WHERE seq = 4`,
		"moved":           `UPDATE audit SET seq = 40 WHERE seq = 4`,
		"put in front":    `UPDATE audit SET seq = -1 WHERE seq = 4`,
		"numbers swapped": `UPDATE audit SET seq = CASE seq WHEN 4 THEN 105 ELSE 104 END WHERE seq IN (4, 5)`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSystem(t)
			for range 6 {
				s.put("/v1/touchpoints/home", object{"channel": "web"})
			}
			if f := verify(s.audit()); f != nil {
				t.Fatal(f)
			}
			if _, err := s.db.ExecContext(t.Context(), statement); err != nil {
				t.Fatal(err)
			}
			want := int64(4)
			if name == "put in front" {
				want = 1
			}
			if f := verify(s.audit()); f == nil || f.Seq != want {
				t.Errorf("fault %v, want one of row %d", f, want)
			}
		})
	}
}
