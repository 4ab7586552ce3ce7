package api_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/shopspring/decimal"
)

// everyKind is mailing with a metric of each way to measure.
func (s *system) everyKind() *system {
	s.t.Helper()
	s.catalogue()
	for key, metric := range map[string]string{
		"stay_30":      `{"kind": "survival", "events": ["order"], "inactivity_days": 15, "window": {"to_day": 30}}`,
		"per_visit_30": `{"kind": "ratio", "events": ["order"], "denominator": ["visit"], "window": {"to_day": 30}}`,
		"capped_30":    `{"kind": "revenue", "events": ["order"], "window": {"to_day": 30}, "cap_value": 40}`,
	} {
		s.put("/v1/metrics/"+key, metric).is(http.StatusCreated)
	}
	s.put("/v1/rates", object{"rates": []any{
		object{"date": "2025-12-01", "currency": "USD", "rate": "0.913"},
		object{"date": "2025-12-28", "currency": "USD", "rate": "0.87654321"},
		object{"date": "2026-01-04", "currency": "USD", "rate": "0.9"},
	}}).is(http.StatusOK)
	s.running(and(mailing, object{
		"metrics": object{"primary": []string{"ltv_30", "stay_30"}, "secondary": []string{"kept_30", "per_visit_30", "capped_30"}, "diagnostics": []string{"clicks_30"}},
		"plan":    object{"method": "anytime", "covariate": true},
	}))
	return s
}

// lines decodes an answer of NDJSON.
func (a *answer) lines() (all []object) {
	a.t.Helper()
	a.is(http.StatusOK)
	for line := range bytes.Lines(a.body) {
		var o object
		if err := json.Unmarshal(line, &o); err != nil {
			a.t.Fatalf("%s: %v\n%s", a.what, err, short(string(line)))
		}
		all = append(all, o)
	}
	return all
}

// sorted writes rows without some members, in the order of what is left.
func sorted(rows []object, without ...string) []string {
	var all []string
	for _, row := range rows {
		row = maps.Clone(row)
		for _, name := range without {
			delete(row, name)
		}
		all = append(all, line(row))
	}
	slices.Sort(all)
	return all
}

// TestExportRoundTrip: the events of one installation make the same measures in a fresh one,
// to the last digit.
func TestExportRoundTrip(t *testing.T) {
	t.Parallel()
	s := newSystem(t).everyKind()
	random := rand.New(rand.NewPCG(1, 2))
	names := []string{"c,%d", `"c"%d`, "=c%d", "ü-%d", "c'%d;"}
	customer := func() string { n := random.IntN(60); return fmt.Sprintf(names[n%len(names)], n) }
	var enrolments, happened []any
	for n := range 60 {
		enrolments = append(enrolments, object{
			"experiment": "mailing", "variant": []string{"plain", "warm"}[random.IntN(2)], "customer": fmt.Sprintf(names[n%len(names)], n),
			"enrolled_at": start.Add(-time.Duration(31*24*60+random.IntN(20*24*60)) * time.Minute),
		})
	}
	s.post("/v1/enrolments", object{"enrolments": enrolments}).receipt(60, 0, 0)
	for n := range 2000 {
		e := object{
			"id": fmt.Sprint("e", n), "customer": customer(), "type": []string{"order", "visit", "refund", "click"}[random.IntN(4)],
			"occurred_at": start.Add(-time.Duration(random.Int64N(int64(80 * day)))).Truncate(time.Microsecond),
		}
		if e["type"] != "click" && random.IntN(4) > 0 {
			value := decimal.New(random.Int64N(1e15), -12)
			if e["type"] == "refund" {
				value = value.Neg()
			}
			e["value"], e["currency"] = value.String(), []string{"EUR", "USD"}[n%2]
		}
		if n%3 == 0 {
			e["channel"], e["touchpoint"], e["properties"] = "store", "till", object{"note": "a,\"b\"\n", "n": 1}
		}
		happened = append(happened, e)
	}
	var r receipt
	s.post("/v1/events", object{"events": happened}).is(http.StatusOK).into(&r)
	if r.Accepted < 1000 { // those of days without a rate are refused
		t.Fatalf("%d events were taken", r.Accepted)
	}
	for _, pair := range [][2]int{{1, 2}, {2, 3}, {10, 20}} {
		s.post("/v1/identities", object{
			"customer": fmt.Sprintf(names[pair[0]%5], pair[0]), "identifiers": []string{fmt.Sprintf(names[pair[1]%5], pair[1])},
		}).is(http.StatusOK)
	}
	exported := s.get("/v1/export/events").is(http.StatusOK)
	if got := len(exported.lines()); got != r.Accepted {
		t.Errorf("%d events exported, %d taken", got, r.Accepted)
	}
	if total := exported.header.Get("X-Total-Count"); total != "" {
		t.Errorf("a total of %s events was counted", total)
	}

	fresh := newSystem(t).everyKind()
	enrolments = nil
	for _, e := range s.get("/v1/export/enrolments").lines() {
		enrolments = append(enrolments, and(e, object{
			"channel": nil, "touchpoint": nil, "assignment_key": nil, "contaminated": nil, "analysed": nil,
		}))
	}
	fresh.post("/v1/enrolments", object{"enrolments": enrolments}).receipt(57, 0, 0)
	fresh.post("/v1/events", string(exported.body), header("Content-Type", ndjson)).receipt(r.Accepted, 0, 0)
	if diff := cmp.Diff(sorted(exported.lines()), sorted(fresh.get("/v1/export/events").lines())); diff != "" {
		t.Errorf("the events differ:\n%s", diff)
	}
	want := s.get("/v1/export/measures?experiment=mailing")
	if got := want.header.Get("X-Total-Count"); got != strconv.Itoa(57*6) {
		t.Errorf("%s measures were announced, want 57 customers times 6 metrics", got)
	}
	got := fresh.get("/v1/export/measures").lines()
	if diff := cmp.Diff(sorted(want.lines(), "data_cut", "contaminated"), sorted(got, "data_cut", "contaminated")); diff != "" || len(got) != 57*6 {
		t.Errorf("the measures differ (%d):\n%s", len(got), diff)
	}
}

// TestExportIsTheReport: what is analysed and has matured, capped, makes the report's numbers;
// forced customers and those who came after max_days are told apart.
func TestExportIsTheReport(t *testing.T) {
	t.Parallel()
	s := newSystem(t).catalogue()
	s.put("/v1/metrics/capped_30", `{"kind": "revenue", "events": ["order"], "window": {"to_day": 30}, "cap_value": 40}`).is(http.StatusCreated)
	s.running(and(mailing, object{
		"metrics": object{"primary": "ltv_30", "secondary": []string{"capped_30"}},
		"policy":  object{"min_days": 0, "max_days": 20, "min_customers": 2},
	}))
	s.enrolled(map[string][]float64{"plain": {10, 20, 30, 0.5}, "warm": {20, 40, 60}})
	s.post("/v1/identities", object{"customer": "plain-3", "identifiers": []string{"a-card"}}).is(http.StatusOK)
	s.put("/v1/experiments/mailing/overrides/plain-3", object{"variant": "warm"}).is(http.StatusCreated)
	s.post("/v1/enrolments", object{"enrolments": []any{
		object{"experiment": "mailing", "variant": "warm", "customer": "late", "enrolled_at": "2026-01-21T00:00:00Z"},
		object{"experiment": "mailing", "variant": "warm", "customer": "in-time", "enrolled_at": "2026-01-20T23:59:59.999999Z"},
	}}).receipt(2, 0, 0)
	report := s.post("/v1/experiments/mailing/reports", nil).is(http.StatusCreated)

	analysed := map[string]int{}
	for _, e := range s.get("/v1/export/enrolments?experiment=mailing").lines() {
		if e["analysed"] == true {
			analysed[fmt.Sprint(e["variant"])]++
		}
		left := e["customer"] == "a-card" || e["customer"] == "late"
		if e["analysed"] == left {
			t.Errorf("%v", e)
		}
	}
	report.has(object{"/customers": object{"plain": float64(analysed["plain"]), "warm": float64(analysed["warm"])}})
	sums, mature := map[string]decimal.Decimal{}, map[string]float64{}
	for _, m := range s.get("/v1/export/measures").lines() {
		if m["analysed"] != true || fmt.Sprint(m["matured_at"]) > "2026-03-01T12:00:00.000000Z" {
			continue
		}
		key := fmt.Sprint(m["metric"], " ", m["variant"])
		value := decimal.RequireFromString(fmt.Sprint(m["value"]))
		if limit, ok := m["cap_value"].(string); ok {
			value = decimal.Min(value, decimal.RequireFromString(limit))
		}
		sums[key], mature[key] = sums[key].Add(value), mature[key]+1
		if m["data_cut"] != report.at("/data_cut") || m["currency"] != "EUR" || m["covariate"] != nil || m["denominator"] != nil {
			t.Errorf("%v", m)
		}
	}
	for i, metric := range []string{"ltv_30", "capped_30"} {
		for j, variant := range []string{"plain", "warm"} {
			key := metric + " " + variant
			report.has(object{
				fmt.Sprintf("/metrics/%d/arms/%d/mature", i, j): mature[key],
				fmt.Sprintf("/metrics/%d/arms/%d/total", i, j):  sums[key].StringFixed(2),
			})
		}
	}
	if sums["capped_30 warm"].String() != "100" { // 20, 40, 60 as 40 and in-time's 0
		t.Errorf("%v", sums)
	}
}

// TestExportedValues: each kind says what its value is. Who churns in a week from now has not churned.
func TestExportedValues(t *testing.T) {
	t.Parallel()
	s := newSystem(t).everyKind()
	s.enrolled(map[string][]float64{"plain": {10}, "warm": {}})
	s.post("/v1/events", events(
		and(order, object{"id": "before", "customer": "plain-0", "value": "1.5", "occurred_at": "2025-12-20T00:00:00Z"}),
		object{"id": "v", "customer": "plain-0", "type": "visit", "occurred_at": "2026-01-02T00:00:00Z"},
	)).receipt(2, 0, 0)
	s.post("/v1/enrolments", `{"enrolments": [{"experiment": "mailing", "variant": "warm", "customer": "idle", "enrolled_at": "2026-02-20T00:00:00Z"}]}`).receipt(1, 0, 0)
	got := map[string]string{}
	for _, m := range s.get("/v1/export/measures").lines() {
		got[fmt.Sprint(m["customer"], " ", m["metric"])] = fmt.Sprint(m["value"], " ", m["currency"], " ", m["covariate"], " ", m["denominator"], " ", m["cap_value"])
	}
	if diff := cmp.Diff(map[string]string{
		"plain-0 ltv_30": "10 EUR 1.5 <nil> <nil>", "plain-0 capped_30": "10 EUR 1.5 <nil> 40", "plain-0 per_visit_30": "10 <nil> <nil> 1 <nil>",
		"plain-0 kept_30": "1 <nil> 1 <nil> <nil>", "plain-0 clicks_30": "0 <nil> 0 <nil> <nil>", "plain-0 stay_30": "25 <nil> <nil> <nil> <nil>",
		"idle ltv_30": "0 EUR 0 <nil> <nil>", "idle capped_30": "0 EUR 0 <nil> 40", "idle per_visit_30": "0 <nil> <nil> 0 <nil>",
		"idle kept_30": "0 <nil> 0 <nil> <nil>", "idle clicks_30": "0 <nil> 0 <nil> <nil>", "idle stay_30": "<nil> <nil> <nil> <nil> <nil>",
	}, got); diff != "" {
		t.Error(diff)
	}
	// A link moves what was measured, also before anything is measured again.
	s.post("/v1/identities", object{"customer": "plain-0", "identifiers": []string{"a-card"}}).is(http.StatusOK)
	for _, m := range s.get("/v1/export/measures?experiment=mailing").lines() {
		if m["customer"] == "a-card" && m["metric"] == "ltv_30" && m["value"] != "10" || m["customer"] == "plain-0" {
			t.Errorf("after a link: %v", m)
		}
	}
}

// TestExportCSV: the same rows with the same columns; a cell that a spreadsheet would run is
// not run, and no separator breaks a row.
func TestExportCSV(t *testing.T) {
	t.Parallel()
	s := newSystem(t).everyKind()
	cells := map[string]string{
		`=HYPERLINK("http://x","y")`: `'=HYPERLINK("http://x","y")`, "@SUM(A1:A9)": "'@SUM(A1:A9)", "+49-171,555": "'+49-171,555", "-x;y": "'-x;y",
		"+491715550": "+491715550", "-12.5": "-12.5", `a "quoted", b`: `a "quoted", b`, " =1": " =1", "c42": "c42",
	}
	var happened, enrolments []any
	for name := range cells {
		happened = append(happened, and(order, object{"customer": name, "id": name, "value": "-1.50", "properties": object{"a": "=1,2"}}))
		enrolments = append(enrolments, object{"experiment": "mailing", "variant": "warm", "customer": name, "enrolled_at": "2026-02-01T00:00:00.5Z"})
	}
	s.post("/v1/events", object{"events": happened}).receipt(len(cells), 0, 0)
	s.post("/v1/enrolments", object{"enrolments": enrolments}).receipt(len(cells), 0, 0)
	s.post("/v1/experiments/mailing/reports", nil).is(http.StatusCreated)
	s.post("/v1/experiments/mailing/reports?segment=channel", nil).is(http.StatusCreated)
	for what, rows := range map[string]int{"events": len(cells), "enrolments": len(cells), "measures": 6 * len(cells), "reports": 2} {
		table := s.get("/v1/export/"+what, header("Accept", "text/csv")).is(http.StatusOK).table()
		objects := s.get("/v1/export/"+what+"?format=ndjson", header("Accept", "text/csv")).lines()
		if what == "reports" {
			// A line for each metric and arm of the test and, in the second one, of its one segment.
			if len(objects) != 2 || len(table) != 1+12+24 || strings.Join(table[0][:7], " ") != "experiment version as_of data_cut look method metric" {
				t.Errorf("reports: %d, as CSV %d lines %q", len(objects), len(table), table[0])
			}
			report := s.get("/v1/experiments/mailing/reports").at("/data/1")
			if diff := cmp.Diff(report, any(objects[1])); diff != "" {
				t.Errorf("a report is another:\n%s", diff)
			}
			continue
		}
		if len(objects) != rows || len(table) != rows+1 {
			t.Fatalf("%s: %d lines, %d in CSV, want %d", what, len(objects), len(table)-1, rows)
		}
		var want, got []string
		for _, o := range objects {
			var row []string
			for _, column := range table[0] {
				value, ok := o[column]
				if !ok {
					t.Fatalf("%s has no column %s", what, column)
				}
				switch v := value.(type) {
				case nil:
					row = append(row, "")
				case string:
					if safe, known := cells[v]; known {
						v = safe
					}
					row = append(row, v)
				default:
					row = append(row, line(v))
				}
			}
			want = append(want, strings.Join(row, "|"))
		}
		for _, row := range table[1:] {
			got = append(got, strings.Join(row, "|"))
		}
		slices.Sort(want)
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-NDJSON +CSV):\n%s", what, diff)
		}
	}
	if first := s.get("/v1/export/enrolments?format=csv").table()[1]; first[3] != "2026-02-01T00:00:00.500000Z" {
		t.Errorf("the time is %q", first[3])
	}
}

// TestExportQuery: what is not known is refused, and an export of nothing has its columns.
func TestExportQuery(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	for what, columns := range map[string]string{
		"events":     "id,customer,type,occurred_at,value,currency,channel,touchpoint,properties\n",
		"enrolments": "experiment,variant,customer,enrolled_at,channel,touchpoint,assignment_key,contaminated,analysed\n",
		"measures": "experiment,metric,kind,customer,variant,enrolled_at,matured_at,value,currency,cap_value,covariate,denominator," +
			"contaminated,analysed,data_cut\n",
	} {
		if got := string(s.get("/v1/export/" + what + "?format=csv").is(http.StatusOK).body); got != columns {
			t.Errorf("%s: %q", what, got)
		}
		if a := s.get("/v1/export/" + what).is(http.StatusOK); len(a.body) > 0 || a.header.Get("Content-Type") != ndjson {
			t.Errorf("%s: %q, %s", what, a.body, a.header)
		}
	}
	s.catalogue().post("/v1/experiments", mailing).is(http.StatusCreated)
	for query, want := range map[string]struct {
		status int
		code   string
	}{
		"events?experiment=mailing":            {400, "unknown_parameter"},
		"enrolments?from=2026-03-01T00:00:00Z": {400, "unknown_parameter"},
		"reports?limit=1":                      {400, "unknown_parameter"},
		"events?format=json":                   {400, "unknown_format"},
		"events?format=csv&format=csv":         {400, "duplicate_parameter"},
		"events?from=2026-03-01":               {400, "invalid_time"},
		"events?from=":                         {400, "empty_parameter"},
		"events?from=%zz":                      {400, "malformed_query"},
		"events?from=2026-03-02T00:00:00Z&to=2026-03-02T01:00:00%2B01:00": {422, "empty_period"},
		"enrolments?experiment=none":                                      {404, "not_found"},
		"measures?experiment=%00":                                         {404, "not_found"},
		"measures?experiment=%ff":                                         {404, "not_found"},
		"reports?experiment=mailing/other":                                {404, "not_found"},
		"reports?experiment=":                                             {400, "empty_parameter"},
	} {
		s.get("/v1/export/"+query).fails(want.status, want.code)
	}
	for _, none := range []string{"measures?experiment=mailing", "enrolments?experiment=mailing", "reports?experiment=mailing"} {
		if got := s.get("/v1/export/" + none).lines(); len(got) > 0 {
			t.Errorf("%s: %v", none, got)
		}
	}
	s.get("/v1/export/customers").fails(http.StatusNotFound, "no_such_route")
	for _, scope := range []string{"ingest", "author", "decide", "assign"} {
		s.get("/v1/export/events", with(s.key(scope))).fails(http.StatusForbidden, "scope_missing")
	}
	s.get("/v1/export/events", with(s.key("read"))).is(http.StatusOK)
	s.post("/v1/events", events(
		and(order, object{"id": "a", "occurred_at": "2026-02-01T00:00:00Z"}), and(order, object{"id": "b", "occurred_at": "2026-02-02T00:00:00Z"}),
		and(order, object{"id": "c", "occurred_at": "2026-02-03T00:00:00Z"}),
	)).receipt(3, 0, 0)
	for query, want := range map[string]string{
		"":                           "abc",
		"?from=2026-02-02T00:00:00Z": "bc",
		"?to=2026-02-02T00:00:00Z":   "a",
		"?from=2026-02-02T01:00:00%2B01:00&to=2026-02-03T00:00:00.000001Z": "bc",
		"?from=2026-02-03T00:00:00.000001Z":                                "",
	} {
		got := ""
		for _, e := range s.get("/v1/export/events" + query).lines() {
			got += fmt.Sprint(e["id"])
		}
		if got != want {
			t.Errorf("%s: %q, want %q", query, got, want)
		}
	}
}

// TestExportOfAHoldback: customers who are compared after a promotion stand under a key of
// their own, with the metrics of the comparison.
func TestExportOfAHoldback(t *testing.T) {
	t.Parallel()
	s := newSystem(t).catalogue()
	s.running(and(welcomeTone, object{
		"metrics": object{"primary": "ltv_30", "secondary": []string{"kept_30"}}, "plan": object{"method": "anytime", "covariate": true},
		"policy": object{"holdback": 0.3, "holdback_days": 20},
	}))
	s.meets("welcome-email", crowd("early", 3))
	s.get("/v1/export/measures?experiment=welcome-tone/holdback").fails(http.StatusNotFound, "not_found")
	s.pass(time.Hour)
	s.post("/v1/experiments/welcome-tone/promote", `{"variant": "warm"}`).is(http.StatusOK)
	s.meets("welcome-email", crowd("late", 40))
	s.does("refund", crowd("late", 1), func(string, int) bool { return true })
	s.pass(21 * day)
	s.run("holdback")
	compared := s.get("/v1/experiments/welcome-tone/holdback").is(http.StatusOK)
	in := s.count(`SELECT count(*) FROM enrolments WHERE experiment = 'welcome-tone'`)
	for query, want := range map[string]int{"": 2*in + 40, "?experiment=welcome-tone": 2 * in, "?experiment=welcome-tone/holdback": 40} {
		a := s.get("/v1/export/measures" + query)
		if got := len(a.lines()); got != want || a.header.Get("X-Total-Count") != strconv.Itoa(want) {
			t.Errorf("%q: %d lines of %s, want %d", query, got, a.header.Get("X-Total-Count"), want)
		}
	}
	customers := object{"held_back": 0.0, "promoted": 0.0}
	for _, m := range s.get("/v1/export/measures?experiment=welcome-tone/holdback").lines() {
		n, _ := customers[fmt.Sprint(m["variant"])].(float64)
		customers[fmt.Sprint(m["variant"])] = n + 1
		value := "0"
		if m["customer"] == "late-0" {
			value = "-1"
		}
		if m["metric"] != "ltv_30" || m["value"] != value || m["covariate"] != nil || m["analysed"] != true {
			t.Errorf("%v", m)
		}
	}
	compared.has(object{"/customers": customers})
	if got := len(s.get("/v1/export/enrolments").lines()); got != in+40 {
		t.Errorf("%d enrolments, want %d", got, in+40)
	}
	s.get("/v1/export/reports?experiment=welcome-tone/holdback").fails(http.StatusNotFound, "not_found")
}
