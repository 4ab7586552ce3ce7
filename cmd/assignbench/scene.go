package main

import (
	"context"
	"fmt"
	"net/http"
)

// The scene of the rates.
const (
	touchpoints = 20
	tests       = 50
)

// set makes touchpoints and running tests on them, which share each touchpoint's traffic.
func (s *stack) set(ctx context.Context, touchpoints, tests int) error {
	if err := s.call(ctx, http.MethodPut, "/v1/metrics/ltv_90", object{
		"kind": "ltv", "events": []string{"order"}, "window": object{"from_day": 0, "to_day": 90},
	}); err != nil {
		return err
	}
	for i := range touchpoints {
		if err := s.call(ctx, http.MethodPut, fmt.Sprintf("/v1/touchpoints/touchpoint-%d", i), object{
			"channel": "web", "content": object{"subject": "Welcome", "hero": "plain"},
		}); err != nil {
			return err
		}
	}
	for i := range tests {
		at := i % touchpoints
		here := (tests - at + touchpoints - 1) / touchpoints // tests on this touchpoint
		key := fmt.Sprintf("test-%02d", i)
		experiment := object{
			"key": key, "touchpoints": []string{fmt.Sprintf("touchpoint-%d", at)}, "objective": "retention",
			"traffic": float64(10_000/here) / 10_000,
			"variants": []object{
				{"key": "control", "control": true, "weight": 1},
				{"key": "warm", "weight": 1, "content": object{fmt.Sprintf("touchpoint-%d", at): object{"subject": "Hello you", "hero": "warm"}}},
			},
			"metrics": object{"primary": "ltv_90"}, "plan": object{"method": "anytime", "min_effect": 0.03},
		}
		if err := s.call(ctx, http.MethodPost, "/v1/experiments", experiment); err != nil {
			return err
		}
		if err := s.call(ctx, http.MethodPost, "/v1/experiments/"+key+"/start", object{}); err != nil {
			return err
		}
	}
	return nil
}

// enrol has n customers meet a touchpoint.
func (s *stack) enrol(ctx context.Context, prefix string, touchpoint, n int) error {
	const batch = 10_000
	for from := 0; from < n; from += batch {
		var customers []string
		for i := from; i < min(from+batch, n); i++ {
			customers = append(customers, fmt.Sprint(prefix, i))
		}
		if err := s.call(ctx, http.MethodPost, "/v1/assignments", object{
			"customers": customers, "touchpoint": fmt.Sprintf("touchpoint-%d", touchpoint),
		}); err != nil {
			return err
		}
	}
	return nil
}
