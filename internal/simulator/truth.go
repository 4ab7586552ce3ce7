package simulator

import "math"

// Truth is what is so on average over all customers that New could ever make, under one
// behaviour. An experiment can only estimate it.
type Truth struct {
	Value    float64 `json:"value"`    // orders − refunds − cost of e-mails within Window, in whole units of money
	Retained float64 `json:"retained"` // share who order in the second half of Window
	Bought   float64 `json:"bought"`   // share who order within Window
	Clicked  float64 `json:"clicked"`  // share who click within seven days of the first contact
}

// Truth is computed, not simulated.
//
// A buyer's number of orders in a share t of Window is Poisson with an exponentially
// distributed mean of m·t, m = ordersPerBuyer·Orders: it has the mean m·t, and is 0 with
// probability 1/(1 + m·t). An order is worth medianCents·exp(spread²/2) on average. Orders
// are spread evenly over Window and refunds come a uniform time later, so of the refunds a
// share 1 − mean delay/Window falls inside. All e-mails fall inside, and exactly one of them
// into the first seven days. Values are rounded to cents, which moves the mean by less than
// a hundredth of a cent.
func (b Behaviour) Truth() Truth {
	orders := ordersPerBuyer * b.Orders
	value := medianCents * math.Exp(spread*spread/2)
	seen := 1 - float64(refundAfter+refundBefore)/2/float64(Window)
	some := func(share float64) float64 { return buyers * (1 - 1/(1+orders*share)) }
	cents := buyers*orders*value*(1-b.Refunded*seen) - mails*float64(b.MailCents)
	return Truth{Value: cents / 100, Retained: some(0.5), Bought: some(1), Clicked: b.Clicks}
}
