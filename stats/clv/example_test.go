package clv_test

import (
	"fmt"

	"github.com/perennial-engine/perennial/stats/clv"
)

// The customer of the paper: two repeat purchases, the last after 30 weeks, a
// customer for 39.
func ExampleBGNBD_ExpectedNext() {
	m := clv.BGNBD{R: 0.2426, Alpha: 4.4136, A: 0.7929, B: 2.4259}
	next, _ := m.ExpectedNext(clv.Customer{X: 2, Recency: 30.43, Age: 38.86}, 39)
	fmt.Printf("%.3f purchases in the next 39 weeks\n", next)
	// Output: 1.226 purchases in the next 39 weeks
}

// A year of a customer in money, discounted by one per cent a month.
func ExampleValue() {
	m := clv.BGNBD{R: 0.2426, Alpha: 4.4136, A: 0.7929, B: 2.4259}
	g := clv.GammaGamma{P: 6.25, Q: 3.74, V: 15.44}
	c := clv.Customer{X: 2, Recency: 30.43, Age: 38.86}
	v := clv.Value(m, g, c, 22.35, clv.Discounting{Months: 12, MonthlyRate: 0.01, UnitsPerMonth: 4.345})
	fmt.Printf("%.2f purchases of %.2f, worth %.2f today\n", v.Purchases, v.Spend, v.Value)
	// Output: 1.56 purchases of 24.66, worth 36.29 today
}

// Customers who are all alike do not say what a model of differences asks.
func ExampleFitBGNBD_warning() {
	customers := make([]clv.Customer, 40)
	for i := range customers {
		customers[i] = clv.Customer{X: 2, Recency: 20, Age: 20}
	}
	m, fit := clv.FitBGNBD(customers)
	fmt.Println(fit.Warning, m.R)
	// Output: no_convergence NaN
}
