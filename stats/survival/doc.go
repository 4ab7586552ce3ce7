// Package survival asks how long customers stay: survival curves, restricted
// means, and comparisons of both between arms, under right censoring.
//
// A [Table] holds the counts of events and censorings per time, which is all
// any of the methods here needs: daily counts of fifty million customers are as
// good as their rows. Events come before censorings at the same time, so a
// customer censored at t was still at risk at t.
//
// The retention effect to decide on is the difference of restricted means
// ([CompareMeans]): it is in days and assumes nothing about hazards. Log-rank
// and Cox are secondary.
//
// Warnings and missing numbers follow package stats. The reference throughout
// is R's survival package.
package survival
