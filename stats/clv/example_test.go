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
