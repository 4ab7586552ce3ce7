package api_test

import (
	"encoding/base64"
	"encoding/csv"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

// pages reads a list to its end, two entries at a time, and answers the value of each entry
// under a pointer. The Link header must lead to the same pages as next_cursor.
func (s *system) pages(path, pointer string) (all []string) {
	s.t.Helper()
	next := path + "?limit=2"
	for range 20 {
		page := s.get(next).is(http.StatusOK)
		entries := elements(page.at("/data"))
		if len(entries) > 2 {
			s.t.Fatalf("%s answers %d entries, want at most 2", next, len(entries))
		}
		for _, entry := range entries {
			value, _ := lookup(entry, pointer)
			all = append(all, fmt.Sprint(value))
		}
		cursor, more := page.at("/next_cursor").(string)
		link := page.header.Get("Link")
		if !more {
			if link != "" {
				s.t.Errorf("%s: the last page has a Link %s", next, link)
			}
			return all
		}
		next = path + "?cursor=" + url.QueryEscape(cursor) + "&limit=2"
		if want := "<" + next + `>; rel="next"`; link != want {
			s.t.Errorf("Link is %s, want %s", link, want)
		}
	}
	s.t.Fatalf("%s has no end", path)
	return nil
}

// TestLists: each list comes whole and in order, page by page.
func TestLists(t *testing.T) {
	t.Parallel()
	s := newSystem(t).catalogue()
	for i := range 5 {
		s.put(fmt.Sprintf("/v1/layers/layer-%d", i), nil).is(http.StatusCreated)
		s.running(and(welcomeTone, object{"key": fmt.Sprintf("test-%d", i), "traffic": 0.1}))
		s.post("/v1/experiments/test-0/reports", nil).is(http.StatusCreated)
		s.key("read")
	}
	for i := range 5 {
		s.pass(time.Second)
		s.post(fmt.Sprintf("/v1/experiments/test-%d/stop", i), nil).is(http.StatusOK)
	}
	numbered := func(prefix string) (names []string) {
		for i := range 5 {
			names = append(names, fmt.Sprintf("%s%d", prefix, i))
		}
		return names
	}
	newestFirst := numbered("test-")
	slices.Reverse(newestFirst)
	for _, c := range []struct {
		path, pointer string
		want          []string
	}{
		{"/v1/touchpoints", "/key", []string{"checkout", "till", "welcome-email", "welcome-web"}},
		{"/v1/metrics", "/key", []string{"clicks_30", "kept_30", "ltv_30", "orders_30", "unsubscribed_30"}},
		{"/v1/layers", "/key", append([]string{"default"}, numbered("layer-")...)},
		{"/v1/experiments", "/key", numbered("test-")},
		{"/v1/experiments/test-0/reports", "/version", []string{"1", "2", "3", "4", "5"}},
		{"/v1/decisions", "/experiment", newestFirst},
		{"/v1/experiments/test-3/decisions", "/action", []string{"stop"}},
		{"/v1/jobs", "/name", []string{"measure", "analyze", "decide", "ramp", "holdback", "tiers", "recompute", "webhooks"}},
	} {
		t.Run(c.path, func(t *testing.T) {
			s := s.in(t)
			if got := s.pages(c.path, c.pointer); !slices.Equal(got, c.want) {
				t.Errorf("%q, want %q", got, c.want)
			}
			s.get(c.path + "?limit=1000").is(http.StatusOK).has(object{"/next_cursor": nil})
		})
	}
	t.Run("/v1/keys", func(t *testing.T) {
		ids := s.in(t).pages("/v1/keys", "/id")
		if slices.Sort(ids); len(slices.Compact(ids)) != 6 {
			t.Errorf("%d keys, want 6", len(ids))
		}
	})
}

// TestBadPages: a limit that is none and a cursor that is none are 400, on every list.
func TestBadPages(t *testing.T) {
	t.Parallel()
	s := newSystem(t).catalogue()
	s.running(welcomeTone)
	cursor := func(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }
	lists := []string{
		"/v1/touchpoints", "/v1/metrics", "/v1/layers", "/v1/experiments", "/v1/experiments/welcome-tone/reports", "/v1/decisions",
		"/v1/experiments/welcome-tone/decisions", "/v1/keys", "/v1/jobs",
	}
	for _, path := range lists {
		t.Run(path, func(t *testing.T) {
			s := s.in(t)
			for _, limit := range []string{"", "0", "-1", "1001", "1.5", "1e3", "ten", "%00", "%ff", "99999999999999999999", "+5%205"} {
				s.get(path+"?limit="+limit).fails(http.StatusBadRequest, "invalid_limit")
			}
			for _, bad := range []string{"%00", "%ff", "!!!", "a", "_w" + cursor("x"), cursor("a\x00b"), cursor("\xff"), cursor(text(301)), text(10_000), "=="} {
				s.get(path+"?cursor="+bad).fails(http.StatusBadRequest, "invalid_cursor")
			}
			for _, odd := range []string{"?cursor=", "?nothing=1", "?%00=%ff", "?format=%ff", "?limit=5&limit=x", "?;", "?%zz"} {
				s.get(path + odd).is(http.StatusOK)
			}
		})
	}
	for _, bad := range []string{"x", "-", "99999999999", "99999999999999999999", "1.5"} {
		s.get("/v1/experiments/welcome-tone/reports?cursor="+cursor(bad)).fails(http.StatusBadRequest, "invalid_cursor")
	}
	s.get("/v1/decisions?cursor=" + cursor("none")).is(http.StatusOK).has(object{"/data": []any{}})
	s.get("/v1/experiments/none/decisions").fails(http.StatusNotFound, "not_found")
	s.get("/v1/experiments/none/reports").fails(http.StatusNotFound, "not_found")
}

// table reads an answer as CSV.
func (a *answer) table() [][]string {
	a.t.Helper()
	if got := a.header.Get("Content-Type"); got != "text/csv; charset=utf-8" {
		a.t.Fatalf("%s: Content-Type is %q", a.what, got)
	}
	rows, err := csv.NewReader(strings.NewReader(string(a.body))).ReadAll()
	if err != nil {
		a.t.Fatal(err)
	}
	return rows
}

// TestCSV: lists come as CSV by ?format=csv or Accept; a cell that a spreadsheet would run
// gets an apostrophe, a number does not.
func TestCSV(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	for key, name := range map[string]string{
		"a": `=HYPERLINK("http://evil")`, "b": "+49 170", "c": "-5.50", "d": "@SUM(A1)", "e": `say "hi", twice`, "f": "-5.5.5", "g": "+1e3", "h": "plain",
	} {
		s.put("/v1/touchpoints/"+key, object{"channel": "web", "name": name, "content": object{"x": "=1"}}).is(http.StatusCreated)
	}
	want := []string{
		"name", `'=HYPERLINK("http://evil")`, "'+49 170", "-5.50", "'@SUM(A1)", `say "hi", twice`, "'-5.5.5", "+1e3", "plain",
	}
	for _, a := range []*answer{
		s.get("/v1/touchpoints?format=csv"),
		s.get("/v1/touchpoints", header("Accept", "text/csv")),
		s.get("/v1/touchpoints", header("Accept", "text/csv;q=0.9, */*;q=0.1")),
	} {
		rows := a.is(http.StatusOK).table()
		if header := strings.Join(rows[0], " "); header != "key name channel stage content cost_per_contact created_at updated_at" {
			t.Errorf("columns %q", header)
		}
		for i, row := range rows {
			if row[1] != want[i] {
				t.Errorf("row %d: %q, want %q", i, row[1], want[i])
			}
		}
		if rows[1][4] != `{"x":"=1"}` || rows[1][3] != "" {
			t.Errorf("content is %q, stage %q", rows[1][4], rows[1][3])
		}
	}
	for path, columns := range map[string]string{
		"/v1/holdouts":  "key share salt created_at",
		"/v1/webhooks":  "id url",
		"/v1/decisions": "experiment",
	} {
		rows := s.get(path + "?format=csv").is(http.StatusOK).table()
		if len(rows) != 1 || !contains(strings.Join(rows[0], " "), columns) {
			t.Errorf("%s: an empty list has the lines %q, want one with the columns %s", path, rows, columns)
		}
	}
	page := s.get("/v1/touchpoints?format=csv&limit=3").is(http.StatusOK)
	if rows := page.table(); len(rows) != 4 || !contains(page.header.Get("Link"), "format=csv") {
		t.Errorf("a page of CSV has %d lines and the Link %q", len(rows), page.header.Get("Link"))
	}
	// What is no list comes as JSON.
	s.get("/v1/touchpoints/a?format=csv").is(http.StatusOK).has(object{"/key": "a"})
	s.get("/v1/touchpoints/none?format=csv").fails(http.StatusNotFound, "not_found")
}
