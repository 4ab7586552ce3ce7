package ltv_test

import (
	"fmt"

	"github.com/perennial-engine/perennial/stats/ltv"
)

// Four customers, of whom two have been here for the whole window. Matured value
// knows those two; cumulative value uses the others for as long as they were.
func ExampleCumulativeValue() {
	arm := ltv.Arm{
		FollowUp: []float64{40, 35, 20, 10},
		Purchases: []ltv.Purchase{
			{Customer: 0, Age: 5, Amount: 30}, {Customer: 1, Age: 25, Amount: 20}, {Customer: 2, Age: 15, Amount: 45},
		},
	}
	v := ltv.CumulativeValue(arm, 30)
	matured, _ := ltv.Matured(arm, 30)
	fmt.Printf("%.2f ± %.2f from all, %.2f from the matured\n", v.Mean, v.SE, matured.Mean)
	// A window nobody has lived through has no value yet.
	fmt.Println(ltv.CumulativeValue(arm, 90).Warning)
	// Output:
	// 32.50 ± 9.60 from all, 25.00 from the matured
	// not_identified
}
