package api

import (
	"fmt"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/perennial-engine/perennial/engine"
)

type rateJSON struct {
	Date     string `json:"date"`
	Currency string `json:"currency"`
	Rate     amount `json:"rate"`
}

// rate reads the rate that stands at a pointer.
func (j *rateJSON) rate(pointer string) (engine.Rate, error) {
	day, err := time.Parse(time.DateOnly, j.Date)
	if err != nil {
		return engine.Rate{}, at(pointer+"/date", engine.Errorf(engine.KindInvalid, "invalid_date", "must be a date such as 2026-03-01"))
	}
	value, err := engine.ParseAmount(string(j.Rate))
	if err != nil {
		return engine.Rate{}, at(pointer+"/rate", err)
	}
	return engine.Rate{RateDay: engine.RateDay{Currency: engine.Currency(j.Currency), Day: day}, Rate: value}, nil
}

// putRates writes down what other currencies were worth.
func (s *Server) putRates(c *gin.Context) (reply, error) {
	var b struct {
		Rates []rateJSON `json:"rates"`
	}
	if err := read(c, &b); err != nil {
		return reply{}, err
	}
	rates := make([]engine.Rate, 0, len(b.Rates))
	for i := range b.Rates {
		rate, err := b.Rates[i].rate(fmt.Sprintf("/rates/%d", i))
		if err != nil {
			return reply{}, err
		}
		rates = append(rates, rate)
	}
	changed, err := s.engine.PutRates(c.Request.Context(), rates)
	if err != nil {
		return reply{}, err
	}
	return ok(struct {
		Rates   int `json:"rates"`
		Changed int `json:"changed"`
	}{len(rates), changed}), nil
}
