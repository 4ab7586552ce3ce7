package stats

import (
	"math"

	"gonum.org/v1/gonum/mat"
)

// RegressionEffect is a treatment effect from a regression on rows.
type RegressionEffect struct {
	Effect float64
	// HC2 and HC3 are its heteroscedasticity-robust standard errors.
	HC2, HC3 float64
	Warning  Warning
}

// LinAdjusted returns the effect of w (0 control, 1 treatment) on y from the
// regression with full interaction,
//
//	y ~ 1 + w + (x - x̄) + w (x - x̄),
//
// which is never less precise than the plain difference, asymptotically. It
// warns [ZeroVariance] when x does not vary within both arms or an arm is empty.
//
// Source: Lin 2013, Annals of Applied Statistics 7; errors: MacKinnon & White 1985.
func LinAdjusted(y, x []float64, w []float64) RegressionEffect {
	return adjusted(y, x, w, true)
}

// AncovaAdjusted returns the effect of w on y with a common slope,
// y ~ 1 + w + (x - x̄).
//
// Source: Freedman 2008, Annals of Applied Statistics 2, for its limits.
func AncovaAdjusted(y, x []float64, w []float64) RegressionEffect {
	return adjusted(y, x, w, false)
}

func adjusted(y, x, w []float64, interact bool) RegressionEffect {
	nan := math.NaN()
	if len(y) != len(x) || len(y) != len(w) {
		return RegressionEffect{nan, nan, nan, InvalidInput}
	}
	columns := 3
	if interact {
		columns = 4
	}
	if len(y) <= columns {
		return RegressionEffect{nan, nan, nan, TooFewCustomers}
	}
	mean := FromValues(x).Mean
	design := mat.NewDense(len(y), columns, nil)
	for i := range y {
		row := []float64{1, w[i], x[i] - mean, w[i] * (x[i] - mean)}
		design.SetRow(i, row[:columns])
	}
	r, warning := regress(design, y)
	if warning != NoWarning {
		return RegressionEffect{nan, nan, nan, warning}
	}
	e := RegressionEffect{Effect: r.beta[1], HC2: errorOf(r.robust(hc2), 1), HC3: errorOf(r.robust(hc3), 1)}
	if notFinite(e.Effect) || notFinite(e.HC2) || notFinite(e.HC3) {
		// A row of leverage 1 fits itself and has no error of its own.
		return RegressionEffect{nan, nan, nan, Overflow}
	}
	return e
}
