package main

import (
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

// mapRows answers the elements of a file, as JSON, and the refusals.
func mapRows(t *testing.T, kind importKind, text string, m mapping) []string {
	t.Helper()
	rows, err := openTable(strings.NewReader(text), tableConfig{})
	if err != nil {
		t.Fatal(err)
	}
	mapper, err := newMapper(kind, rows, m)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for {
		r, err := rows.Next()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		if !mapper.Wants(r) {
			continue
		}
		element, refused := mapper.Element(r)
		if refused != nil {
			all = append(all, refused.Code+": "+refused.Detail)
			continue
		}
		body, err := json.Marshal(element)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, string(body))
	}
}

func TestMapper(t *testing.T) {
	events, enrolments, customers := importKinds[0], importKinds[1], importKinds[2]
	minimal := []string{"customer=c", "occurred_at=d"}
	tests := []struct {
		name string
		kind importKind
		file string
		m    mapping
		want []string
	}{
		{
			"money keeps its digits", events, "c,d,v\nc1,2026-03-01T10:00:00+02:00,49.900000000000000001\n",
			mapping{Map: append(minimal, "value=v"), Set: []string{"type=order", "currency=EUR"}, IDPrefix: "f.csv:"},
			[]string{`{"currency":"EUR","customer":"c1","id":"f.csv:1","occurred_at":"2026-03-01T08:00:00Z","type":"order","value":"49.900000000000000001"}`},
		},
		{
			"an empty value leaves the currency out", events, "c,d,v\nc1,2026-03-01T10:00:00Z,\n",
			mapping{Map: append(minimal, "value=v"), Set: []string{"type=order", "currency=EUR"}, IDPrefix: "f.csv:"},
			[]string{`{"customer":"c1","id":"f.csv:1","occurred_at":"2026-03-01T10:00:00Z","type":"order"}`},
		},
		{
			"filters keep the row numbers", events, "c,d,hit,shop\nc1,20260301,TRUE,a\nc2,20260301,FALSE,a\nc3,20260301, TRUE ,b\nc4,20260301,TRUE,a\n",
			mapping{
				Map: append(minimal, "id=hit-{#}-{c}"), Set: []string{"type=hit"},
				Where: []string{"hit=TRUE", "shop!=b"}, DateFormat: "YYYYMMDD",
			},
			[]string{
				`{"customer":"c1","id":"hit-1-c1","occurred_at":"2026-03-01T00:00:00Z","type":"hit"}`,
				`{"customer":"c4","id":"hit-4-c4","occurred_at":"2026-03-01T00:00:00Z","type":"hit"}`,
			},
		},
		{
			"rows that cannot become events", events, "c,d,o\n,2026-03-01T10:00:00Z,1\nc2,yesterday,2\nc3\nc4,2026-03-01T10:00:00Z,\n",
			mapping{Map: append(minimal, "id=order-{o}"), Set: []string{"type=order"}},
			[]string{
				"missing_field: customer is empty",
				`unreadable_value: occurred_at: "yesterday" is not a time of the format rfc3339 (--date-format)`,
				"unreadable_row: has 1 fields, the file has 3 columns",
				"missing_field: id is empty",
			},
		},
		{
			"properties", events, "c,d,page,n\nc1,1772359200,home,3\n",
			mapping{
				Map: append(minimal, "properties.page=page", "properties.n:number=n", "channel=page"),
				Set: []string{"type=view", "properties.source=log"}, DateFormat: "unix", IDPrefix: "f:",
			},
			[]string{`{"channel":"home","customer":"c1","id":"f:1","occurred_at":"2026-03-01T10:00:00Z","properties":{"n":3,"page":"home","source":"log"},"type":"view"}`},
		},
		{
			"enrolments", enrolments, "arm\ngate_30\n",
			mapping{Map: []string{"variant=arm", "customer=row-{#}"}, Set: []string{"experiment=gates", "enrolled_at=2026-03-01"}, DateFormat: "YYYY-MM-DD"},
			[]string{`{"customer":"row-1","enrolled_at":"2026-03-01T00:00:00Z","experiment":"gates","variant":"gate_30"}`},
		},
		{
			"attributes have types", customers, "id,zip,age,member\nc1,01234,41.50,TRUE\nc2,,041,no\nc3,,,\n",
			mapping{Map: []string{"customer=id", "attributes.zip=zip", "attributes.age:number=age", "attributes.member:bool=member"}},
			[]string{
				`{"attributes":{"age":41.50,"member":true,"zip":"01234"},"customer":"c1"}`,
				`unreadable_value: attributes.age:number: "041" is not a number such as 12.5`,
				`{"customer":"c3"}`,
			},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if test.m.DateFormat == "" {
				test.m.DateFormat = dateRFC3339
			}
			if diff := cmp.Diff(test.want, mapRows(t, test.kind, test.file, test.m)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestMapperMistakes(t *testing.T) {
	rows := &table{Columns: []string{"c", "d", "v", "twice", "twice"}}
	good := []string{"customer=c", "occurred_at=d"}
	tests := []struct {
		name string
		m    mapping
		want []string // each a part of the error
	}{
		{
			"nothing given",
			mapping{},
			[]string{"customer is missing", "type is missing", "occurred_at is missing", "id is missing"},
		},
		{"unknown field", mapping{Map: []string{"user=c"}}, []string{`events have no field "user"`, "properties.NAME"}},
		{"attributes of events", mapping{Map: []string{"attributes.age=c"}}, []string{`no field "attributes.age"`}},
		{"unknown column", mapping{Map: []string{"customer=user"}}, []string{`no column "user"; it has c, d, v`}},
		{"unknown column in a template", mapping{Map: []string{"customer=x-{user}"}}, []string{`no column "user"`}},
		{"ambiguous column", mapping{Map: []string{"customer=twice"}}, []string{`more than one column "twice"`}},
		{"unclosed brace", mapping{Map: []string{"customer=x-{c"}}, []string{"does not close a brace"}},
		{"closed before open", mapping{Map: []string{"customer=x}-{c}"}}, []string{"closes a brace that is not open"}},
		{"no equals sign", mapping{Map: []string{"customer"}}, []string{`"customer" is not field=…`}},
		{"twice", mapping{Map: good, Set: []string{"customer=c1"}}, []string{"customer is given twice"}},
		{"value without currency", mapping{Map: append(good, "value=v")}, []string{"value needs a currency"}},
		{"currency without value", mapping{Map: good, Set: []string{"currency=EUR"}}, []string{"currency needs a value"}},
		{"constant that is no date", mapping{Set: []string{"occurred_at=today"}}, []string{`"today" is not a time`}},
		{"unknown type", mapping{Map: []string{"properties.n:int=v"}}, []string{":number, :bool or nothing"}},
		{"where without column", mapping{Where: []string{"=1"}}, []string{"column!=value"}},
		{"where on no column", mapping{Where: []string{"x!=1"}}, []string{`where: the file has no column "x"`}},
		{"date format", mapping{DateFormat: "DD.MM.JJJJ"}, []string{`"JJJJ" is none of`}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if test.m.DateFormat == "" {
				test.m.DateFormat = dateRFC3339
			}
			_, err := newMapper(importKinds[0], rows, test.m)
			if err == nil {
				t.Fatal("no error")
			}
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q, want %q in it", err, want)
				}
			}
		})
	}
}

func TestDateReader(t *testing.T) {
	tests := []struct {
		format, text, want string // without want, the text is no date
	}{
		{"rfc3339", "2026-03-01T10:00:00.123456+01:00", "2026-03-01T09:00:00.123456Z"},
		{"rfc3339", "2026-03-01", ""},
		{"YYYY-MM-DD", "2026-03-01", "2026-03-01T00:00:00Z"},
		{"YYYY-MM-DD", "2026-02-29", ""},
		{"YYYY-MM-DD", "2026-03-01 10:00", ""},
		{"YYYYMMDD", "19970101", "1997-01-01T00:00:00Z"},
		{"YYYYMMDDHHmmss", "20260301141516", "2026-03-01T14:15:16Z"},
		{"DD/MM/YYYY HH:mm:ss", "01/03/2026 14:15:16", "2026-03-01T14:15:16Z"},
		{"DD/MM/YYYY HH:mm:ss", "01/03/2026 14:15:16.25", "2026-03-01T14:15:16.25Z"},
		{"D.M.YYYY", "1.12.2026", "2026-12-01T00:00:00Z"},
		{"DD.MM.YYYY HH.mm.ss", "01.12.2026 23.59.58", "2026-12-01T23:59:58Z"},
		{"M/D/YYYY HH:mm", "3/1/2026 9:05", "2026-03-01T09:05:00Z"},
		{"YYYY-MM-DDTHH:mm", "2026-03-01T14:15", "2026-03-01T14:15:00Z"},
		{"unix", "1772359200", "2026-03-01T10:00:00Z"},
		{"unix", "1772359200000", ""},
		{"unix", "1772359200.5", ""},
	}
	for _, test := range tests {
		t.Run(test.format+" "+test.text, func(t *testing.T) {
			read, err := dateReader(test.format)
			if err != nil {
				t.Fatal(err)
			}
			got, err := read(test.text)
			if (err == nil) != (test.want != "") {
				t.Fatalf("error %v, want %q", err, test.want)
			}
			if err == nil && got.Format("2006-01-02T15:04:05.999999999Z07:00") != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
	for _, format := range []string{"", "YYYY", "YY-MM-DD", "MM/DD", "YYYY-MM-DD hh:mm", "2006-01-02", "YYYY_MM_DD"} {
		if _, err := dateReader(format); err == nil {
			t.Errorf("dateReader(%q) finds nothing wrong", format)
		}
	}
}

// Whatever file and mapping come in, an element is valid JSON in UTF-8 with all
// that is required, and text that no template takes apart comes through whole.
func FuzzMapper(f *testing.F) {
	f.Add("c,d\nc1,2026-03-01\n", "c", "id-{#}", "c=c1", "YYYY-MM-DD")
	f.Add("c\td\n\"c\"\"1\"\t1\n", "x{c}y{#}{d}", "{c}", "d!=", "unix")
	f.Add(" a  b\n 1 2\n", "{a}{", "}", "a=1=2", "rfc3339")
	f.Add("\ufeffc;d\n\xff;2\n", "{}", "{#}", "=", "DD.MM.YYYY HH:mm:ss")
	f.Fuzz(func(t *testing.T, file, customer, id, where, dateFormat string) {
		rows, err := openTable(strings.NewReader(file), tableConfig{})
		if err != nil {
			return
		}
		mapper, err := newMapper(importKinds[0], rows, mapping{
			Map:   []string{"customer=" + customer, "id=" + id, "occurred_at=" + rows.Columns[0], "properties.x:number=" + rows.Columns[len(rows.Columns)-1]},
			Set:   []string{"type=seen"},
			Where: []string{where}, DateFormat: dateFormat,
		})
		if err != nil {
			return
		}
		for {
			r, err := rows.Next()
			if err != nil {
				return
			}
			if !mapper.Wants(r) {
				continue
			}
			element, refused := mapper.Element(r)
			if refused != nil {
				if refused.Code == "" || refused.Detail == "" {
					t.Errorf("a refusal without reason: %+v", refused)
				}
				continue
			}
			body, err := json.Marshal(element)
			if err != nil {
				t.Fatalf("%v: %v", element, err)
			}
			var back struct {
				Customer, ID string
			}
			if err := json.Unmarshal(body, &back); err != nil {
				t.Fatal(err)
			}
			if back.Customer == "" || back.ID == "" {
				t.Errorf("%s lacks a required field", body)
			}
			if want := element["customer"]; utf8.ValidString(customer) && back.Customer != want {
				t.Errorf("customer %q became %q", want, back.Customer)
			}
		}
	})
}
