// Package ltv measures what customers spent over a fixed window since they were
// assigned, when not all of them have been observed for the whole of it.
//
// [Matured] uses only those who have: it decides. [CumulativeValue] uses
// everyone for as long as they were observed: it monitors. Both need the
// potential follow-up of every customer, the age at the data cut, which is
// known for everyone whether or not they still buy. Nobody is ever removed for
// having gone quiet.
//
// Warnings and missing numbers follow package stats.
package ltv
