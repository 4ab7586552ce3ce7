package api_test

import (
	"net/http"
	"strings"
	"testing"
)

// TestBadAudiences: an audience that cannot be read, or could cost too much, is 422 with the
// position and what to do, when the draft is written and when it is changed.
func TestBadAudiences(t *testing.T) {
	t.Parallel()
	s := newSystem(t).catalogue()
	const draft = `{"audience": "customer.country == 'FR'"}`
	etag := s.post("/v1/experiments", and(welcomeTone, object{"key": "draft"})).is(http.StatusCreated).header.Get("ETag")
	etag = s.patch("/v1/experiments/draft", draft, ifMatch(etag)).is(http.StatusOK).header.Get("ETag")
	for name, c := range map[string]struct{ audience, detail string }{
		"syntax":              {"customer.country = 'FR'", "line 1, column 18: '=' is not expected here: equality is written =="},
		"on the second line":  {"customer.vip &&\n  (customer.age > 18", "line 2, column 21: ')' is missing here"},
		"an unknown variable": {"country == 'FR'", `line 1, column 1: "country" is unknown: an audience knows customer.<attribute>, channel`},
		"an unknown function": {"lower(customer.country) == 'fr'", `line 1, column 6: "lower" is unknown`},
		"not a truth":         {"'FR'", "line 1, column 1: the result is of type string, neither true nor false"},
		"a number":            {"size(customer.tags)", "line 1, column 5: the result is of type int, neither true nor false"},
		"customer as a whole": {"size(customer) > 1", "line 1, column 6: customer can only be used with the name of an attribute"},
		"cost":                {"customer.a.exists(x, customer.b.exists(y, x == y))", "line 1, column 1: the expression could take more than 300000 steps"},
		"depth":               {strings.Repeat("(", 100) + "true" + strings.Repeat(")", 100), "line 1, column 1: the expression is more than 50 levels deep"},
		"length":              {"true" + strings.Repeat(" ", 4000), "line 1, column 1: the expression has 4004 bytes, more than 4000"},
	} {
		t.Run(name, func(t *testing.T) {
			s := s.in(t)
			s.keeps(name, func() {
				for _, a := range []*answer{
					s.post("/v1/experiments", and(welcomeTone, object{"audience": c.audience})),
					s.patch("/v1/experiments/draft", object{"audience": c.audience}, ifMatch(etag)),
				} {
					a.fails(http.StatusUnprocessableEntity, "invalid_audience", "/audience")
					if detail, _ := a.at("/errors/0/detail").(string); !strings.HasPrefix(detail, c.detail) {
						t.Errorf("detail %q, want %q …", detail, c.detail)
					}
				}
			})
		})
	}
}
