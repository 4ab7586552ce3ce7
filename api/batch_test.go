package api_test

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/perennial-engine/perennial/api"
)

// order is a good event.
var order = object{
	"id": "o-1", "customer": "card:991", "type": "order", "occurred_at": "2026-03-01T10:00:00Z", "value": "49.90", "currency": "EUR",
	"channel": "store", "touchpoint": nil, "properties": object{},
}

func events(list ...any) object { return object{"events": list} }

// TestEvents: an event is taken once; sent again it is a duplicate, however it is written;
// with another body it is rejected.
func TestEvents(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	first := and(order, object{"touchpoint": "till", "properties": object{"a": 1, "b": []any{"x"}}})
	s.post("/v1/events", events(first)).receipt(1, 0, 0)
	s.post("/v1/events", events(first)).receipt(0, 1, 0)
	for name, same := range map[string]string{
		"49.9 = 49.90":        `{"id":"o-1","customer":"card:991","type":"order","occurred_at":"2026-03-01T10:00:00Z","value":"49.9","currency":"EUR","channel":"store","touchpoint":"till","properties":{"a":1,"b":["x"]}}`,
		"a number":            `{"id":"o-1","customer":"card:991","type":"order","occurred_at":"2026-03-01T10:00:00Z","value":49.90,"currency":"EUR","channel":"store","touchpoint":"till","properties":{"a":1,"b":["x"]}}`,
		"an exponent":         `{"id":"o-1","customer":"card:991","type":"order","occurred_at":"2026-03-01T10:00:00Z","value":4990e-2,"currency":"EUR","channel":"store","touchpoint":"till","properties":{"a":1,"b":["x"]}}`,
		"another time zone":   `{"id":"o-1","customer":"card:991","type":"order","occurred_at":"2026-03-01T11:00:00.000+01:00","value":"49.90","currency":"EUR","channel":"store","touchpoint":"till","properties":{"a":1,"b":["x"]}}`,
		"another order":       `{"properties":{"b":["x"],"a":1},"touchpoint":"till","channel":"store","currency":"EUR","value":"49.90","occurred_at":"2026-03-01T10:00:00Z","type":"order","customer":"card:991","id":"o-1"}`,
		"below a microsecond": `{"id":"o-1","customer":"card:991","type":"order","occurred_at":"2026-03-01T10:00:00.000000999Z","value":"49.90","currency":"EUR","channel":"store","touchpoint":"till","properties":{"a":1,"b":["x"]}}`,
	} {
		t.Run(name, func(t *testing.T) { s.in(t).post("/v1/events", `{"events":[`+same+`]}`).receipt(0, 1, 0) })
	}
	for name, changes := range map[string]object{
		"type": {"type": "visit"}, "occurred_at": {"occurred_at": "2026-03-01T10:00:00.000001Z"}, "value": {"value": "49.91"},
		"no value": {"value": nil}, "channel": {"channel": "web"}, "touchpoint": {"touchpoint": nil},
		"properties": {"properties": object{"a": 2}}, "a number as text": {"properties": object{"a": "1", "b": []any{"x"}}},
	} {
		t.Run("another "+name, func(t *testing.T) {
			r := s.in(t).post("/v1/events", events(and(first, changes))).receipt(0, 0, 1)
			if x := r.Rejections[0]; x.Code != "id_reused" || x.Retriable || *x.ID != "o-1" || r.Errors["o-1"].Code != "id_reused" {
				t.Errorf("%+v", r)
			}
		})
	}
	// Two different persons may use one id.
	s.post("/v1/events", events(and(first, object{"customer": "card:992", "value": "1"}))).receipt(1, 0, 0)
	if n := s.count(`SELECT count(*) FROM events`); n != 2 {
		t.Errorf("%d events are stored, want 2", n)
	}
}

// TestEventsWithinABatch: a batch may hold the same event twice, and the first of unequal
// ones counts.
func TestEventsWithinABatch(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	r := s.post("/v1/events", events(order, order, and(order, object{"value": 1}), and(order, object{"id": "o-2"}))).receipt(2, 1, 1)
	if x := r.Rejections[0]; x.Index != 2 || x.Code != "id_reused" {
		t.Errorf("%+v", x)
	}
	if n := s.count(`SELECT count(*) FROM events WHERE value = 49.90`); n != 2 {
		t.Errorf("%d events of 49.90, want 2", n)
	}
}

// rejected are events with a fault, and the code that they are rejected with.
var rejected = map[string]struct {
	element any
	code    string
}{
	"not an object":       {7, "wrong_type"},
	"null":                {nil, "wrong_type"},
	"a list":              {[]any{order}, "wrong_type"},
	"unknown field":       {and(order, object{"amount": 1}), "unknown_field"},
	"no id":               {and(order, object{"id": nil}), "invalid_id"},
	"empty id":            {and(order, object{"id": ""}), "invalid_id"},
	"long id":             {and(order, object{"id": text(257)}), "invalid_id"},
	"id is a number":      {and(order, object{"id": 7}), "wrong_type"},
	"no customer":         {and(order, object{"customer": nil}), "invalid_identifier"},
	"long customer":       {and(order, object{"customer": text(257)}), "invalid_identifier"},
	"control character":   {and(order, object{"customer": "a\x01"}), "invalid_identifier"},
	"no type":             {and(order, object{"type": nil}), "invalid_type"},
	"long type":           {and(order, object{"type": text(101)}), "invalid_type"},
	"no time":             {and(order, object{"occurred_at": nil}), "time_missing"},
	"a date":              {and(order, object{"occurred_at": "2026-03-01"}), "wrong_type"},
	"no such day":         {and(order, object{"occurred_at": "2026-02-30T10:00:00Z"}), "wrong_type"},
	"no zone":             {and(order, object{"occurred_at": "2026-03-01T10:00:00"}), "wrong_type"},
	"a number as time":    {and(order, object{"occurred_at": 1772359200}), "wrong_type"},
	"before 1970":         {and(order, object{"occurred_at": "1969-12-31T23:59:59Z"}), "before_1970"},
	"the year 0":          {and(order, object{"occurred_at": "0000-01-01T00:00:00+23:59"}), "before_1970"},
	"in the future":       {and(order, object{"occurred_at": "2026-03-01T12:05:01Z"}), "in_the_future"},
	"the year 9999":       {and(order, object{"occurred_at": "9999-12-31T23:59:59-23:59"}), "in_the_future"},
	"not a number":        {and(order, object{"value": "NaN"}), "invalid_amount"},
	"infinite":            {and(order, object{"value": "Infinity"}), "invalid_amount"},
	"minus infinite":      {and(order, object{"value": "-Inf"}), "invalid_amount"},
	"empty value":         {and(order, object{"value": ""}), "invalid_amount"},
	"hexadecimal":         {and(order, object{"value": "0x10"}), "invalid_amount"},
	"a comma":             {and(order, object{"value": "49,90"}), "invalid_amount"},
	"spaces":              {and(order, object{"value": " 1"}), "invalid_amount"},
	"a plus":              {and(order, object{"value": "+1"}), "invalid_amount"},
	"1e999":               {and(order, object{"value": "1e999"}), "amount_too_large"},
	"1e9999":              {and(order, object{"value": "1e9999"}), "invalid_amount"},
	"1e-999":              {and(order, object{"value": "1e-999"}), "too_many_decimals"},
	"more than 1e12":      {and(order, object{"value": "1000000000000.01"}), "amount_too_large"},
	"13 decimals":         {and(order, object{"value": "0.0000000000001"}), "too_many_decimals"},
	"30 decimals":         {and(order, object{"value": "1.123456789012345678901234567890"}), "too_many_decimals"},
	"100 digits":          {and(order, object{"value": strings.Repeat("9", 100)}), "invalid_amount"},
	"value is an object":  {and(order, object{"value": object{"amount": 1}}), "wrong_type"},
	"no currency":         {and(order, object{"currency": nil}), "currency_missing"},
	"unknown currency":    {and(order, object{"currency": "EURO"}), "unknown_currency"},
	"currency in letters": {and(order, object{"currency": "eur"}), "unknown_currency"},
	"no rate":             {and(order, object{"currency": "USD"}), "rate_missing"},
	"refund above 0":      {and(order, object{"type": "refund"}), "wrong_sign"},
	"chargeback above 0":  {and(order, object{"type": "chargeback"}), "wrong_sign"},
	"cost above 0":        {and(order, object{"type": "contact_cost", "value": "0.000000000001"}), "wrong_sign"},
	"unknown channel":     {and(order, object{"channel": "tv"}), "unknown_channel"},
	"bad touchpoint":      {and(order, object{"touchpoint": "a b"}), "invalid_touchpoint"},
	"properties a list":   {and(order, object{"properties": []any{}}), "invalid_properties"},
	"properties a text":   {and(order, object{"properties": "x"}), "invalid_properties"},
	"1e140000 within":     {raw(`{"id":"o-1","customer":"c","type":"x","occurred_at":"2026-03-01T10:00:00Z","properties":{"x":[1e140000]}}`), "invalid_properties"},
	"1e-400 within":       {raw(`{"id":"o-1","customer":"c","type":"x","occurred_at":"2026-03-01T10:00:00Z","properties":{"x":{"y":1e-400}}}`), "invalid_properties"},
	"large properties":    {and(order, object{"properties": object{"x": text(16 << 10)}}), "properties_too_large"},
	"deep properties":     {raw(`{"id":"o-1","customer":"c","type":"x","occurred_at":"2026-03-01T10:00:00Z","properties":{"x":` + nested(100) + `}}`), "too_deep"},
	"a NUL":               {raw(`{"id":"o-1\u0000","customer":"c","type":"x","occurred_at":"2026-03-01T10:00:00Z"}`), "nul_character"},
	"a NUL in properties": {raw(`{"id":"o-1","customer":"c","type":"x","occurred_at":"2026-03-01T10:00:00Z","properties":{"\u0000":1}}`), "nul_character"},
	"a NUL in disguise":   {raw(`{"id":"o-1","customer":"c","type":"x","occurred_at":"2026-03-01T10:00:00Z","properties":{"a":"\\\u0000"}}`), "nul_character"},
	"not UTF-8":           {raw("{\"id\":\"o-1\",\"customer\":\"\xff\",\"type\":\"x\",\"occurred_at\":\"2026-03-01T10:00:00Z\"}"), "malformed_json"},
	"half a character":    {raw(`{"id":"o-1","customer":"\ud800","type":"x","occurred_at":"2026-03-01T10:00:00Z"}`), "malformed_json"},
	"a field twice":       {raw(`{"id":"o-1","id":"o-1","customer":"c","type":"x","occurred_at":"2026-03-01T10:00:00Z"}`), "duplicate_key"},
	"a property twice":    {raw(`{"id":"o-1","customer":"c","type":"x","occurred_at":"2026-03-01T10:00:00Z","properties":{"a":1,"a":2}}`), "duplicate_key"},
	"another letter case": {raw(`{"ID":"o-1","customer":"c","type":"x","occurred_at":"2026-03-01T10:00:00Z"}`), "unknown_field"},
	"1e999 as a number":   {raw(`{"id":"o-1","customer":"c","type":"x","occurred_at":"2026-03-01T10:00:00Z","value":1e999,"currency":"EUR"}`), "amount_too_large"},
	"a long exponent":     {raw(`{"id":"o-1","customer":"c","type":"x","occurred_at":"2026-03-01T10:00:00Z","value":1e99999999999,"currency":"EUR"}`), "invalid_amount"},
}

// raw is JSON text that Go's encoder would not write.
type raw string

// nested is a list in a list in a list ….
func nested(depth int) string { return strings.Repeat("[", depth) + strings.Repeat("]", depth) }

// batchOf writes a batch whose elements may be raw.
func batchOf(name string, list ...any) string {
	var parts []string
	for _, element := range list {
		parts = append(parts, line(element))
	}
	return `{"` + name + `":[` + strings.Join(parts, ",") + `]}`
}

// TestRejections: whatever is wrong inside one element is a rejection of it alone, with its
// index, id and code; its good neighbours are taken.
func TestRejections(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	for name, c := range rejected {
		t.Run(name, func(t *testing.T) {
			s := s.in(t)
			id := fmt.Sprint("neighbour of ", name)
			before, after := and(order, object{"id": id, "value": 1}), and(order, object{"id": id + " 2"})
			for contentType, body := range map[string]string{
				"application/json": batchOf("events", before, c.element, after),
				ndjson:             line(before) + "\n\n" + line(c.element) + "\r\n" + line(after),
			} {
				a := s.post("/v1/events", body, header("Content-Type", contentType)).is(http.StatusOK)
				var r receipt
				a.into(&r)
				if r.Accepted+r.Duplicates != 2 || len(r.Rejections) != 1 {
					t.Fatalf("%s: %+v", contentType, r)
				}
				x := r.Rejections[0]
				if x.Index != 1 || x.Code != c.code || x.Detail == "" || x.Retriable != (c.code == "rate_missing") {
					t.Errorf("%s: %+v, want index 1 and code %s", contentType, x, c.code)
				}
				if x.ID != nil && r.Errors[*x.ID].Code != c.code {
					t.Errorf("%s: errors %+v do not name %q", contentType, r.Errors, *x.ID)
				}
			}
		})
	}
	if n := s.count(`SELECT count(*) FROM events WHERE id NOT LIKE 'neighbour of %'`); n != 0 {
		t.Errorf("%d rejected events are stored", n)
	}
	if n := s.count(`SELECT count(*) FROM events`); n != 2*len(rejected) {
		t.Errorf("%d events are stored, want %d neighbours", n, 2*len(rejected))
	}
}

// TestEventValues: what may be worth something.
func TestEventValues(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	for i, changes := range []object{
		{"value": "0"},
		{"value": "-0.00"},
		{"value": "-1000000000000"},
		{"value": 1e12},
		{"value": "0.000000000001"},
		{"value": nil},
		{"value": nil, "currency": nil},
		{"type": "refund", "value": "-5"},
		{"type": "contact_cost", "value": 0},
		{"type": "chargeback", "value": nil},
		{"occurred_at": "1970-01-01T00:00:00Z"},
		{"occurred_at": "2026-03-01T12:05:00Z"},
		{"type": "Ünïcode 🎁"},
		{"id": "a b/c?d#é"},
		{"properties": object{"deep": object{"list": []any{1, nil, true}}}},
		{"channel": nil},
	} {
		event := and(and(order, object{"id": fmt.Sprint("v-", i)}), changes)
		s.post("/v1/events", events(event)).receipt(1, 0, 0)
		s.post("/v1/events", events(event)).receipt(0, 1, 0)
	}
}

// TestEventFormats: JSON or NDJSON, plain or gzip.
func TestEventFormats(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	id := 0
	event := func() string { id++; return line(and(order, object{"id": fmt.Sprint(id)})) }
	gzip := header("Content-Encoding", "gzip")
	s.post("/v1/events", `{"events":[`+event()+`,`+event()+`]}`).receipt(2, 0, 0)
	s.post("/v1/events", event()+"\n"+event(), header("Content-Type", ndjson)).receipt(2, 0, 0)
	s.post("/v1/events", event()+"\r\n\r\n  "+event()+"\n\n", header("Content-Type", ndjson+"; charset=utf-8")).receipt(2, 0, 0)
	s.post("/v1/events", zipped(t, `{"events":[`+event()+`]}`), gzip).receipt(1, 0, 0)
	s.post("/v1/events", zipped(t, event()+"\n"), gzip, header("Content-Type", ndjson)).receipt(1, 0, 0)
	s.post("/v1/events", "", header("Content-Type", ndjson)).receipt(0, 0, 0)
	s.post("/v1/events", `{"events":[]}`).receipt(0, 0, 0)
	s.post("/v1/events", "not JSON\n"+event()+"\n{\n", header("Content-Type", ndjson)).receipt(1, 0, 2)
	s.put("/v1/touchpoints/zipped", zipped(t, `{"channel": "web"}`), gzip).is(http.StatusCreated)
}

// TestTooLarge: more than 10,000 elements, or 32 MiB unpacked, is 413 and nothing is taken.
func TestTooLarge(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	element := line(object{"id": "x", "customer": "c", "type": "t", "occurred_at": "2026-03-01T10:00:00Z"})
	s.post("/v1/events", `{"events":[`+strings.Repeat(element+",", 9_999)+element+`]}`).receipt(1, 9_999, 0)
	gzip := header("Content-Encoding", "gzip")
	s.keeps("too large", func() {
		s.post("/v1/events", `{"events":[`+strings.Repeat(element+",", 10_000)+element+`]}`).fails(http.StatusRequestEntityTooLarge, "batch_too_large")
		s.post("/v1/events", strings.Repeat(element+"\n", 10_001), header("Content-Type", ndjson)).fails(http.StatusRequestEntityTooLarge, "batch_too_large")
		s.post("/v1/exposures", `{"exposures":[`+strings.Repeat("1,", 10_000)+`1]}`).fails(http.StatusRequestEntityTooLarge, "batch_too_large")
		bomb := slices.Concat(zipped(t, `{"events":[`+element+`]}`), zippedSpaces())
		if len(bomb) > 100_000 {
			t.Fatalf("the bomb has %d bytes", len(bomb))
		}
		s.post("/v1/events", bomb, gzip).fails(http.StatusRequestEntityTooLarge, "too_large")
		s.put("/v1/touchpoints/t", slices.Concat(zipped(t, `{"channel":"web"}`), zippedSpaces()), gzip).fails(http.StatusRequestEntityTooLarge, "too_large")
	})
	big := `{"channel":"web"}` + strings.Repeat(" ", api.MaxBodyForTest-len(`{"channel":"web"}`))
	s.put("/v1/touchpoints/t", big).is(http.StatusCreated)
	s.put("/v1/touchpoints/t", big+" ").fails(http.StatusRequestEntityTooLarge, "too_large")
}

// TestTooLargeIsAnswered: a client that sends everything before it looks for an answer gets 413,
// no broken connection.
func TestTooLargeIsAnswered(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	connection, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = connection.Close() }()
	body := bytes.Repeat([]byte(" "), 80<<20)
	request := fmt.Appendf(nil, "POST /v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\n\r\n", adminKey, len(body))
	for _, part := range [][]byte{request, body} {
		if _, err := connection.Write(part); err != nil {
			t.Fatal(err)
		}
	}
	response, err := http.ReadResponse(bufio.NewReader(connection), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("status %d, want 413", response.StatusCode)
	}
}

// TestExposures: an exposure is taken once and enrols who is assigned there and not yet
// enrolled, at its own time.
func TestExposures(t *testing.T) {
	t.Parallel()
	s := newSystem(t).catalogue()
	s.running(and(welcomeTone, object{"touchpoints": []string{"welcome-web"}, "variants": []object{
		{"key": "a", "control": true, "weight": 1}, {"key": "b", "weight": 1},
	}}))
	s.pass(2 * time.Hour)
	exposure := func(id, customer, touchpoint, at string) object {
		return object{"id": id, "customer": customer, "touchpoint": touchpoint, "occurred_at": at}
	}
	post := func(list ...any) *answer { return s.post("/v1/exposures", object{"exposures": list}) }
	first := exposure("x-1", "c1", "welcome-web", "2026-03-01T13:00:00Z")
	post(first, exposure("x-2", "c2", "till", "2026-03-01T13:00:00Z"), exposure("x-3", "c3", "welcome-web", "2026-03-01T11:00:00Z")).receipt(3, 0, 0)
	post(first, exposure("x-4", "c1", "welcome-web", "2026-03-01T13:30:00Z")).receipt(1, 1, 0)
	s.get("/v1/customers/c1").has(object{
		"/enrolments/0/enrolled_at": "2026-03-01T13:00:00Z", "/enrolments/0/touchpoint": "welcome-web", "/enrolments/1": nil,
	})
	s.get("/v1/customers/c2").has(object{"/enrolments": []any{}}) // no test runs at the till
	s.get("/v1/customers/c3").has(object{"/enrolments": []any{}}) // met it before the test began
	want := s.post("/v1/assignments", `{"customer": "c1", "touchpoint": "welcome-web"}`).at("/variant")
	s.get("/v1/customers/c1").has(object{"/enrolments/0/variant": want})

	r := post(
		exposure("x-1", "c1", "welcome-web", "2026-03-01T13:00:01Z"), exposure("x-5", "c1", "none", "2026-03-01T13:00:00Z"),
		exposure("x-6", "c1", "", "2026-03-01T13:00:00Z"), exposure("x-7", "", "welcome-web", "2026-03-01T13:00:00Z"),
		exposure("", "c1", "welcome-web", "2026-03-01T13:00:00Z"), exposure("x-8", "c1", "welcome-web", "2027-01-01T00:00:00Z"),
		and(first, object{"channel": "web"}), 7,
	).receipt(0, 0, 8)
	for i, code := range []string{
		"id_reused", "unknown_touchpoint", "invalid_touchpoint", "invalid_identifier", "invalid_id", "in_the_future", "unknown_field", "wrong_type",
	} {
		if x := r.Rejections[i]; x.Index != i || x.Code != code || x.Retriable {
			t.Errorf("%+v, want code %s", x, code)
		}
	}
	s.post("/v1/exposures", object{"exposures": []object{exposure("y", "c9", "till", "2026-03-01T13:00:00Z")}}, with(s.key("assign"))).receipt(1, 0, 0)
}

// TestEnrolments: arms of an external test come in from elsewhere; of several of a customer
// the earliest counts, and the customer is contaminated.
func TestEnrolments(t *testing.T) {
	t.Parallel()
	s := newSystem(t).catalogue()
	external := and(welcomeTone, object{"key": "mailing", "assignment": "external", "touchpoints": nil, "variants": []object{
		{"key": "No E-Mail", "control": true, "weight": 1}, {"key": "Mens E-Mail", "weight": 1},
	}})
	s.post("/v1/experiments", external).is(http.StatusCreated)
	enrolment := func(experiment, variant, customer, at string) object {
		return object{"experiment": experiment, "variant": variant, "customer": customer, "enrolled_at": at}
	}
	const when = "2026-02-01T00:00:00Z"
	post := func(list ...any) *answer { return s.post("/v1/enrolments", object{"enrolments": list}) }
	first := enrolment("mailing", "Mens E-Mail", "c1", when)
	if x := post(first).receipt(0, 0, 1).Rejections[0]; x.Code != "experiment_not_running" || !x.Retriable || x.ID != nil {
		t.Errorf("before the start: %+v", x)
	}
	s.post("/v1/experiments/mailing/start", nil).is(http.StatusOK).has(object{"/slots": []any{}})
	s.running(welcomeTone)
	post(first, enrolment("mailing", "No E-Mail", "c2", when)).receipt(2, 0, 0)
	post(first, first).receipt(0, 2, 0)
	r := post(
		enrolment("mailing", "No E-Mail", "c1", when), enrolment("none", "No E-Mail", "c3", when), enrolment("welcome-tone", "warm", "c3", when),
		enrolment("mailing", "none", "c3", when), enrolment("mailing", "No E-Mail", "", when), enrolment("mailing", "No E-Mail", "c3", "2026-03-02T00:00:00Z"),
		enrolment("mailing", "No E-Mail", "c3", "1969-01-01T00:00:00Z"), and(first, object{"enrolled_at": nil}), and(first, object{"id": "e-1"}),
		and(first, object{"experiment": nil}), and(first, object{"experiment": text(1000)}), nil,
	).receipt(1, 0, 11)
	for i, code := range []string{
		"unknown_experiment", "not_external", "unknown_variant", "invalid_identifier", "in_the_future", "before_1970",
		"time_missing", "unknown_field", "unknown_experiment", "unknown_experiment", "wrong_type",
	} {
		if x := r.Rejections[i]; x.Index != i+1 || x.Code != code || x.Retriable {
			t.Errorf("%+v, want code %s", x, code)
		}
		if strings.Contains(r.Rejections[i].Detail, "occurred_at") {
			t.Errorf("%+v names a field that an enrolment does not have", r.Rejections[i])
		}
	}
	s.get("/v1/customers/c1").has(object{
		"/enrolments/0/contaminated": true,
		"/enrolments/0/variant":      "Mens E-Mail", "/enrolments/0/enrolled_at": when, "/enrolments/0/channel": nil, "/enrolments/0/touchpoint": nil,
		"/enrolments/1": nil,
	})
	if n := s.count(`SELECT count(*) FROM enrolments`); n != 2 {
		t.Errorf("%d enrolments are stored, want 2", n)
	}
	for _, tt := range []struct {
		action, code, detail string
		retriable            bool
	}{
		{"pause", "experiment_not_running", "resume it first", true},
		{"stop", "experiment_concluded", "any more", false}, // nothing starts it again
	} {
		s.post("/v1/experiments/mailing/"+tt.action, nil).is(http.StatusOK)
		x := post(first).receipt(0, 0, 1).Rejections[0]
		if x.Code != tt.code || x.Retriable != tt.retriable || !strings.Contains(x.Detail, tt.detail) {
			t.Errorf("after %s: %+v, want %+v", tt.action, x, tt)
		}
	}
}
