package simulation_test

import "math"

// The figures of the reference, sections 1, 3 and 7, to the digits of its reference
// simulations (results_aa, results_unequal, results_ltv, results_power and
// results_guardvar, made by the Python of the same names with numpy), with their
// runs. Shares are fractions of runs.

// reference is one row of a reference table, in the order of the columns.
type reference struct {
	runs   int
	shares []float64
	// means says that the figures are means, not shares of runs.
	means bool
}

// referenceAA has the columns of methodsAA.
var referenceAA = map[string]reference{
	"normal, 30 looks of 100/100":                                             {runs: 20000, shares: []float64{0.2805, 0.01565, 0.04935, 0.04885, 0.0123, 0.01775, 0.0137, 0.0495}},
	"normal, 60 looks of 100/100":                                             {runs: 20000, shares: []float64{0.33525, 0.01105, 0.0481, 0.0491, 0.0137, 0.0213, 0.0191, 0.04935}},
	"lognormal sd1.5, 30 looks of 100/100":                                    {runs: 20000, shares: []float64{0.26175, 0.00795, 0.04565, 0.0364, 0.0073, 0.0093, 0.0077, 0.0507}},
	"lognormal sd1.5, 60 looks of 100/100":                                    {runs: 20000, shares: []float64{0.31255, 0.00595, 0.0456, 0.0402, 0.0097, 0.0149, 0.0139, 0.0481}},
	"lognormal sd2 (skew 414), 60 looks of 100/100":                           {runs: 20000, shares: []float64{0.28615, 0.00215, 0.0378, 0.02845, 0.00565, 0.00765, 0.0072, 0.0433}},
	"zero-infl 90%, ln 1.5, 30 looks of 100/100":                              {runs: 20000, shares: []float64{0.22955, 0.0044, 0.03805, 0.02505, 0.0041, 0.00545, 0.0044, 0.04335}},
	"zero-infl 90%, ln 1.5, 60 looks of 100/100":                              {runs: 20000, shares: []float64{0.2878, 0.0034, 0.04235, 0.02895, 0.00675, 0.00875, 0.0087, 0.0468}},
	"zero-infl 97%, ln 1.5, 60 looks of 100/100":                              {runs: 20000, shares: []float64{0.24935, 0.0009, 0.03505, 0.0203, 0.0032, 0.00345, 0.0037, 0.04115}},
	"zero-infl 97%, ln 1.5, small 20/day, 60 looks of 20/20":                  {runs: 20000, shares: []float64{0.15795, 0.0001, 0.02535, 0.0097, 0.00085, 0.00095, 0.0005, 0.03275}},
	"zero-infl 90%, ln 1.5, 500/day, 60 looks of 500/500":                     {runs: 8000, shares: []float64{0.314, 0.006625, 0.049125, 0.04175, 0.010875, 0.01525, 0.014375, 0.052125}},
	"zero-infl 90%, ln 2, 500/day, 60 looks of 500/500":                       {runs: 8000, shares: []float64{0.281375, 0.0025, 0.036375, 0.022, 0.005, 0.005875, 0.00475, 0.04175}},
	"zero-infl 90%, ln 2, cap p99.9 of payers, 60 looks of 100/100":           {runs: 20000, shares: []float64{0.2554, 0.0009, 0.03955, 0.02195, 0.0039, 0.0041, 0.0046, 0.04735}},
	"zero-infl 90%, ln 2, uncapped, 60 looks of 100/100":                      {runs: 20000, shares: []float64{0.23575, 0.0006, 0.0298, 0.0166, 0.0027, 0.0029, 0.0032, 0.03575}},
	"zero-infl 90%, ln 2, 90/10 split, 60 looks of 180/20":                    {runs: 20000, shares: []float64{0.63615, 0.14315, 0.18725, 0.27965, 0.14645, 0.19325, 0.18245, 0.12845}},
	"zero-infl 90%, ln 2, 90/10 split, cap p99 of payers, 60 looks of 180/20": {runs: 20000, shares: []float64{0.6427, 0.20565, 0.17025, 0.31825, 0.19, 0.2549, 0.23745, 0.08715}},
}

// referenceUnequal has the columns of methodsUnequal that it knows.
var referenceUnequal = map[string]reference{
	"160/40, ln1.5":                  {runs: 10000, shares: []float64{0.0471, 0, 0.0815, 0.0111, 0.0678, 0.0178}},
	"160/40, ln1.5 cap p99 payers":   {runs: 10000, shares: []float64{0.0541, 0.0024, 0.0683, 0.0277, 0.0543, 0.0337}},
	"160/40, ln2":                    {runs: 10000, shares: []float64{0.0434, 0, 0.0904, 0.0041, 0.0775, 0.0084}},
	"160/40, ln2 cap p99 payers":     {runs: 10000, shares: []float64{0.0652, 0.0012, 0.0789, 0.0215, 0.0571, 0.0305}},
	"160/40, ln2 cap p95 payers":     {runs: 10000, shares: []float64{0.0428, 0.0028, 0.0601, 0.0315, 0.0506, 0.0367}},
	"180/20, ln1.5":                  {runs: 10000, shares: []float64{0.1371, 0, 0.0901, 0.0039, 0.1007, 0.0093}},
	"180/20, ln1.5 cap p99 payers":   {runs: 10000, shares: []float64{0.1516, 0.0002, 0.0646, 0.0122, 0.0735, 0.0263}},
	"180/20, ln2":                    {runs: 10000, shares: []float64{0.1546, 0, 0.1294, 0.0008, 0.1331, 0.0028}},
	"180/20, ln2 cap p99 payers":     {runs: 10000, shares: []float64{0.1852, 0.0001, 0.081, 0.0074, 0.084, 0.0176}},
	"180/20, ln2 cap p95 payers":     {runs: 10000, shares: []float64{0.1428, 0.0005, 0.0513, 0.0185, 0.0618, 0.0298}},
	"20/180, ln1.5":                  {runs: 10000, shares: []float64{0.1372, 0, 0.0854, 0.0032, 0.094, 0.0074}},
	"20/180, ln1.5 cap p99 payers":   {runs: 10000, shares: []float64{0.147, 0.0001, 0.0555, 0.0103, 0.0637, 0.0223}},
	"20/180, ln2":                    {runs: 10000, shares: []float64{0.1525, 0, 0.1233, 0.0005, 0.1272, 0.0022}},
	"20/180, ln2 cap p99 payers":     {runs: 10000, shares: []float64{0.1871, 0.0001, 0.0794, 0.0058, 0.08, 0.0167}},
	"20/180, ln2 cap p95 payers":     {runs: 10000, shares: []float64{0.1455, 0.0002, 0.0504, 0.0164, 0.0595, 0.0285}},
	"900/100, ln1.5":                 {runs: 4000, shares: []float64{0.0932, 0.0005, 0.1037, 0.015, 0.0725, 0.019}},
	"900/100, ln1.5 cap p99 payers":  {runs: 4000, shares: []float64{0.0542, 0.0027, 0.0665, 0.0328, 0.055, 0.038}},
	"900/100, ln2":                   {runs: 4000, shares: []float64{0.1293, 0, 0.1537, 0.0032, 0.103, 0.0053}},
	"900/100, ln2 cap p99 payers":    {runs: 4000, shares: []float64{0.0907, 0.003, 0.0818, 0.0297, 0.0587, 0.0367}},
	"900/100, ln2 cap p95 payers":    {runs: 4000, shares: []float64{0.0455, 0.0053, 0.058, 0.0372, 0.0525, 0.0418}},
	"1800/200, ln1.5":                {runs: 2500, shares: []float64{0.0628, 0.0004, 0.09, 0.0188, 0.0724, 0.0264}},
	"1800/200, ln1.5 cap p99 payers": {runs: 2500, shares: []float64{0.0284, 0.0036, 0.0576, 0.0336, 0.052, 0.0408}},
	"1800/200, ln2":                  {runs: 2500, shares: []float64{0.1112, 0, 0.1396, 0.0028, 0.0936, 0.0064}},
	"1800/200, ln2 cap p99 payers":   {runs: 2500, shares: []float64{0.048, 0.0052, 0.0632, 0.0352, 0.0532, 0.0388}},
	"1800/200, ln2 cap p95 payers":   {runs: 2500, shares: []float64{0.0236, 0.008, 0.0512, 0.0388, 0.0532, 0.0448}},
}

// referenceAccrual has the columns of methodsAccrual, per outcome.
var referenceAccrual = map[string]map[string]reference{
	"to date": {
		"enrol in 5 days, alike":          {runs: 2000, shares: []float64{0.3255, 0.025, 0.0455, 0.0515}},
		"enrol in 5 days, heterogeneous":  {runs: 2000, shares: []float64{0.258, 0.0155, 0.034, 0.047}},
		"enrol in 45 days, heterogeneous": {runs: 2000, shares: []float64{0.3335, 0.0125, 0.045, 0.0515}},
		"enrol in 45 days, alike":         {runs: 2000, shares: []float64{0.4365, 0.024, 0.062, 0.053}},
		"enrol in 45 days, heavy tail":    {runs: 2000, shares: []float64{0.336, 0.012, 0.048, 0.0465}},
		"pull-forward":                    {runs: 2000, shares: []float64{0.8655, 0.4115, 0.227, 0.043}},
		"strong pull-forward":             {runs: 2000, shares: []float64{1, 0.9995, 0.99, 0.0445}},
	},
	"matured": {
		"enrol in 5 days, alike":          {runs: 2000, shares: []float64{0.152, 0.0085, 0.057, 0.0575}},
		"enrol in 5 days, heterogeneous":  {runs: 2000, shares: []float64{0.139, 0.007, 0.0535, 0.0545}},
		"enrol in 45 days, heterogeneous": {runs: 2000, shares: []float64{0.3025, 0.0115, 0.0445, 0.046}},
		"enrol in 45 days, alike":         {runs: 2000, shares: []float64{0.3055, 0.0135, 0.0525, 0.053}},
		"enrol in 45 days, heavy tail":    {runs: 2000, shares: []float64{0.2775, 0.006, 0.0415, 0.0455}},
		"pull-forward":                    {runs: 2000, shares: []float64{0.2905, 0.0125, 0.055, 0.051}},
		"strong pull-forward":             {runs: 2000, shares: []float64{0.317, 0.0125, 0.047, 0.05}},
	},
	"cumulative": {
		"enrol in 5 days, alike":          {runs: 2000, shares: []float64{0.074, 0.004, 0.058}},
		"enrol in 5 days, heterogeneous":  {runs: 2000, shares: []float64{0.067, 0.002, 0.0545}},
		"enrol in 45 days, heterogeneous": {runs: 2000, shares: []float64{0.1645, 0.009, 0.046}},
		"enrol in 45 days, alike":         {runs: 2000, shares: []float64{0.199, 0.0135, 0.053}},
		"enrol in 45 days, heavy tail":    {runs: 2000, shares: []float64{0.168, 0.0055, 0.0455}},
		"pull-forward":                    {runs: 2000, shares: []float64{0.155, 0.0085, 0.051}},
		"strong pull-forward":             {runs: 2000, shares: []float64{0.155, 0.0115, 0.05}},
	},
}

// referencePower has the columns of methodsPower: power, mean share of N, and
// exaggeration of what is shipped.
var referencePower = map[string][3]reference{
	"effect of the design": {{runs: 100000, shares: []float64{0.80004, 0.78123, 0.69359, 0.78207, 0.50197, 0.50046, 0.50025}}, {runs: 100000, shares: []float64{1, 0.750424, 0.677843, 0.743501, 0.790159, 0.806786, 0.80715}, means: true}, {runs: 100000, shares: []float64{1.12488, 1.29428, 1.64034, 1.3547, 1.68346, 1.61392, 1.61321}, means: true}},
	"1.5 times the effect": {{runs: 100000, shares: []float64{0.98744, 0.98466, 0.96782, 0.98491, 0.91095, 0.91241, 0.91238}}, {runs: 100000, shares: []float64{1, 0.545166, 0.420231, 0.513388, 0.520405, 0.543946, 0.544534}, means: true}, {runs: 100000, shares: []float64{1.00761, 1.10906, 1.3162, 1.17775, 1.27722, 1.2371, 1.23648}, means: true}},
}

// referenceFamily has naive, naive with Holm at each look, sequence, sequence with
// Holm.
var referenceFamily = map[string]reference{
	"1 treatments x 1 metrics": {runs: 20000, shares: []float64{0.2811, 0.2811, 0.0118, 0.0118}},
	"3 treatments x 1 metrics": {runs: 20000, shares: []float64{0.5739, 0.2765, 0.03335, 0.00935}},
	"1 treatments x 5 metrics": {runs: 20000, shares: []float64{0.7525, 0.2858, 0.0522, 0.0069}},
	"3 treatments x 3 metrics": {runs: 20000, shares: []float64{0.9002, 0.29475, 0.0905, 0.0072}},
	"4 treatments x 5 metrics": {runs: 20000, shares: []float64{0.9893, 0.29495, 0.17335, 0.00495}},
}

// referenceSplit has chi-squared and the sequential test; NaN is not reported.
var referenceSplit = map[string]reference{
	"planned split, alpha 0.01":  {runs: 20000, shares: []float64{0.0932, 0.00155}},
	"planned split, alpha 0.001": {runs: 20000, shares: []float64{0.0119, 0.00015}},
	"51/49, alpha 0.001":         {runs: 4000, shares: []float64{math.NaN(), 0.768}},
}

// referenceGuard has power with Welch and with the decision error, of the sequence
// and of the plan.
var referenceGuard = map[string]reference{
	"500/500 lift +20%": {runs: 3000, shares: []float64{0.267, 0.267, 0.545, 0.545}},
	"500/500 lift -18%": {runs: 3000, shares: []float64{0.326, 0.326, 0.619, 0.619}},
	"900/100 lift +33%": {runs: 3000, shares: []float64{0.105, 0.105, 0.41, 0.41}},
	"900/100 lift -30%": {runs: 3000, shares: []float64{0.578, 0.227, 0.759, 0.611}},
	"100/900 lift +33%": {runs: 3000, shares: []float64{0.405, 0.129, 0.608, 0.44}},
	"100/900 lift -30%": {runs: 3000, shares: []float64{0.177, 0.177, 0.567, 0.567}},
}

// referenceOverrun has the plan stopped at its end, carried on to twice its size,
// and the sequence to twice the size.
var referenceOverrun = reference{runs: 100000, shares: []float64{0.04949, 0.10895, 0.01724}}
