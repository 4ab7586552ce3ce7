package main

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestPlanText(t *testing.T) {
	for _, tt := range []struct{ name, answer, want string }{
		{"some come", `{"customers_per_arm": 10298, "customers": 20596, "customers_per_day": 201.5, "days_to_enrol": 102.2, "days_to_mature": 90,
			"inflation": 1.0495815, "baseline": {"customers": 4000, "mean": 40.25, "std_dev": 50}}`, `customers an arm           10,298
customers in all           20,596
days to enrol them            103
days to mature after that      90
customers a day             201.5
mean so far                 40.25
standard deviation             50
from customers              4,000
cost of the method         × 1.05
`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var s sizeAnswer
			if err := json.Unmarshal([]byte(tt.answer), &s); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, planText(s)); diff != "" {
				t.Errorf("text (-want +got):\n%s", diff)
			}
		})
	}
}
