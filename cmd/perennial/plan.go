package main

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"strconv"

	"github.com/spf13/cobra"
)

// A sizeQuestion is the body of POST /v1/plans/size.
type sizeQuestion struct {
	Metric    string  `json:"metric"`
	Audience  string  `json:"audience,omitempty"`
	Variants  int     `json:"variants"`
	MinEffect float64 `json:"min_effect"`
	Alpha     float64 `json:"alpha"`
	Power     float64 `json:"power"`
	Method    string  `json:"method"`
	Covariate bool    `json:"covariate,omitempty"`
}

// A sizeAnswer is what the planner answers.
type sizeAnswer struct {
	CustomersPerArm int64    `json:"customers_per_arm"`
	Customers       int64    `json:"customers"`
	CustomersPerDay float64  `json:"customers_per_day"`
	DaysToEnrol     *float64 `json:"days_to_enrol"`
	DaysToMature    int      `json:"days_to_mature"`
	Inflation       float64  `json:"inflation"`
	Baseline        struct {
		Customers int64   `json:"customers"`
		Mean      float64 `json:"mean"`
		StdDev    float64 `json:"std_dev"`
	} `json:"baseline"`
}

func newPlan(a *app) *cobra.Command {
	q := sizeQuestion{}
	cmd := &cobra.Command{
		Use:   "plan",
		Short: "Say how many customers and days a test will need",
		Long: `Size a test from the engine's own ledger: what customers of the audience were worth
over the metric's newest whole window, and how many came a day in the last 28.`,
		Example: `  perennial plan --metric ltv_90 --min-effect 0.03
  perennial plan --metric retention_30 --min-effect 0.05 --variants 3 --audience "customer.country == 'FR'"
  perennial plan --metric ltv_90 --min-effect 0.03 --json | jq .customers`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := a.clientFor(cmd)
			if err != nil {
				return err
			}
			var document json.RawMessage
			if err := client.do(cmd.Context(), call{method: http.MethodPost, path: "/v1/plans/size", body: q}, &document); err != nil {
				return err
			}
			var size sizeAnswer
			if err := json.Unmarshal(document, &size); err != nil {
				return fmt.Errorf("the engine answers another kind of plan; is it of another version? %w", err)
			}
			return a.answer(document, func() string { return planText(size) })
		},
	}
	cmd.Flags().StringVar(&q.Metric, "metric", "", "`KEY` of the primary metric")
	cmd.Flags().Float64Var(&q.MinEffect, "min-effect", 0, "least effect worth having, as a `SHARE` of the mean, such as 0.03")
	cmd.Flags().StringVar(&q.Audience, "audience", "", "CEL `EXPRESSION` over stored attributes; everybody when left out")
	cmd.Flags().IntVar(&q.Variants, "variants", 2, "`NUMBER` of equal arms, control included")
	cmd.Flags().Float64Var(&q.Alpha, "alpha", 0.05, "share of tests that find a difference where there is none, half of them in favour")
	cmd.Flags().Float64Var(&q.Power, "power", 0.8, "chance to find the least effect")
	cmd.Flags().StringVar(&q.Method, "method", "group_sequential", "group_sequential, anytime or fixed")
	cmd.Flags().BoolVar(&q.Covariate, "covariate", false, "take out what customers did before")
	_ = cmd.MarkFlagRequired("metric")
	_ = cmd.MarkFlagRequired("min-effect")
	addSettings(cmd.Flags(), "url", "key")
	return cmd
}

// planText is the size as a table.
func planText(s sizeAnswer) string {
	enrol := "nobody of the audience came in the last 28 days"
	if s.DaysToEnrol != nil {
		enrol = fmt.Sprintf("%.0f", math.Ceil(*s.DaysToEnrol))
	}
	figure := func(x float64) string { return strconv.FormatFloat(x, 'g', 4, 64) }
	return align([][]string{
		{"customers an arm", formatCount(s.CustomersPerArm)},
		{"customers in all", formatCount(s.Customers)},
		{"days to enrol them", enrol},
		{"days to mature after that", strconv.Itoa(s.DaysToMature)},
		{"customers a day", figure(s.CustomersPerDay)},
		{"mean so far", figure(s.Baseline.Mean)},
		{"standard deviation", figure(s.Baseline.StdDev)},
		{"from customers", formatCount(s.Baseline.Customers)},
		{"cost of the method", "× " + figure(s.Inflation)},
	}, 1, "")
}
