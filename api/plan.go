package api

import (
	"cmp"

	"github.com/gin-gonic/gin"

	"github.com/perennial-engine/perennial/engine"
)

// sizeBody is a question to the planner. What is left out is as in a new experiment.
type sizeBody struct {
	Metric    string   `json:"metric"`
	Audience  string   `json:"audience"`
	Variants  *int     `json:"variants"`
	MinEffect float64  `json:"min_effect"`
	Alpha     *float64 `json:"alpha"`
	Power     *float64 `json:"power"`
	Method    string   `json:"method"`
	Covariate bool     `json:"covariate"`
}

type sizeJSON struct {
	Metric          string       `json:"metric"`
	Method          string       `json:"method"`
	CustomersPerArm int64        `json:"customers_per_arm"`
	Customers       int64        `json:"customers"`
	CustomersPerDay float64      `json:"customers_per_day"`
	DaysToEnrol     *float64     `json:"days_to_enrol"`
	DaysToMature    int          `json:"days_to_mature"`
	Inflation       float64      `json:"inflation"`
	Baseline        baselineJSON `json:"baseline"`
}

type baselineJSON struct {
	Customers int64   `json:"customers"`
	Mean      float64 `json:"mean"`
	StdDev    float64 `json:"std_dev"`
}

func (s *Server) sizePlan(c *gin.Context) (reply, error) {
	var b sizeBody
	if err := read(c, &b); err != nil {
		return reply{}, err
	}
	plan := engine.DefaultPlan()
	plan.MinEffect, plan.Covariate = b.MinEffect, b.Covariate
	plan.Method = cmp.Or(engine.Method(b.Method), plan.Method)
	if b.Alpha != nil {
		plan.Alpha = *b.Alpha
	}
	if b.Power != nil {
		plan.Power = *b.Power
	}
	arms := 2
	if b.Variants != nil {
		arms = *b.Variants
	}
	size, err := s.engine.PlanSize(c.Request.Context(), engine.SizeQuery{
		Metric: engine.MetricKey(b.Metric), Audience: b.Audience, Weights: evenly(arms), Primaries: 1, Plan: plan,
	})
	if err != nil {
		return reply{}, err
	}
	return ok(sizeJSON{
		Metric: b.Metric, Method: string(plan.Method),
		CustomersPerArm: size.CustomersPerArm, Customers: size.Customers, CustomersPerDay: size.CustomersPerDay,
		DaysToEnrol: size.DaysToEnrol, DaysToMature: size.DaysToMature, Inflation: size.Inflation,
		Baseline: baselineJSON(size.Baseline),
	}), nil
}

// evenly is the weights of so many equal arms, none for a number that the planner refuses anyway.
func evenly(arms int) []int {
	if arms < 2 || arms > 20 {
		return nil
	}
	weights := make([]int, arms)
	for i := range weights {
		weights[i] = 1
	}
	return weights
}
