// Package simulation plays experiments whose truth is known and counts what the
// methods of package stats say about them.
//
// A [Scenario] draws the looks of one experiment: [Trial] has independent
// customers, as matured values are; [Accrual] has customers whose purchases
// arrive over the calendar, measured in three ways; [Replay] has real ones, whose
// arms are picked by a hash. A [Method] puts an interval around the difference at
// every look and stops at the first that excludes zero. [Run] plays many experiments
// and counts. [Family] plays several treatments and metrics at once, [Split] the
// check of the assigned counts, and [Panel] counts how often other intervals hold
// the truth.
//
// Everything is a function of its arguments. Run i of seed s draws from its own
// source, PCG(s, i), and results are added up in the order of the runs, so that
// they depend neither on the number of cores nor on which core was faster. A run
// keeps the moments of each look, never its customers' rows.
//
// docs/methods/validation.md has the tables, and the command that makes them.
package simulation
