package stats_test

import "github.com/perennial-engine/perennial/stats"

var distributionMethods = map[string]goldenMethod{
	"norm_cdf":      one(stats.NormalCDF, "x"),
	"norm_sf":       one(stats.NormalSF, "x"),
	"norm_log_sf":   one(stats.NormalLogSF, "x"),
	"norm_ppf":      one(stats.NormalQuantile, "p"),
	"norm_isf":      one(stats.NormalISF, "q"),
	"t_cdf":         two(stats.StudentCDF, "t", "df"),
	"t_sf":          two(stats.StudentSF, "t", "df"),
	"t_log_sf":      two(stats.StudentLogSF, "t", "df"),
	"t_two_sided_p": two(stats.StudentTwoSidedP, "t", "df"),
	"t_ppf":         two(stats.StudentQuantile, "p", "df"),
	"t_isf":         two(stats.StudentISF, "q", "df"),
	"chi2_sf":       two(stats.ChiSquareSF, "x", "df"),
	"chi2_log_sf":   two(stats.ChiSquareLogSF, "x", "df"),
	"chi2_cdf":      two(stats.ChiSquareCDF, "x", "df"),
	"chi2_ppf":      two(stats.ChiSquareQuantile, "p", "df"),
	"f_sf":          three(stats.FSF, "x", "df1", "df2"),
	"beta_cdf":      three(stats.BetaCDF, "x", "a", "b"),
	"beta_sf":       three(stats.BetaSF, "x", "a", "b"),
	"beta_ppf":      three(stats.BetaQuantile, "p", "a", "b"),
	"gamma_p":       two(stats.GammaP, "a", "x"),
	"gamma_q":       two(stats.GammaQ, "a", "x"),
	"binom_sf":      three(stats.BinomialSF, "k", "n", "p"),
	"binom_cdf":     three(stats.BinomialCDF, "k", "n", "p"),
	"nct_cdf":       three(stats.NoncentralTCDF, "t", "df", "ncp"),
	"lgamma":        one(stats.LogGamma, "x"),
	"digamma":       one(stats.Digamma, "x"),
	"lbeta":         two(stats.LogBeta, "a", "b"),
	"lambertw_m1":   one(stats.LambertWm1, "x"),
	"hyp2f1": func(in inputs) any {
		return stats.Hyp2F1(in.f("a"), in.f("b"), in.f("c"), in.f("x"))
	},
}

func one(f func(float64) float64, a string) goldenMethod {
	return func(in inputs) any { return f(in.f(a)) }
}

func two(f func(float64, float64) float64, a, b string) goldenMethod {
	return func(in inputs) any { return f(in.f(a), in.f(b)) }
}

func three(f func(float64, float64, float64) float64, a, b, c string) goldenMethod {
	return func(in inputs) any { return f(in.f(a), in.f(b), in.f(c)) }
}
