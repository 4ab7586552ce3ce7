// Package playing plays tests whose truth is known, so that everybody can see how often the
// engine is wrong.
//
// A test is played from its first customer to its decision. Customers are drawn, or taken
// from a log of real ones, and put into arms by the engine's own hash with a salt of the
// test. A virtual clock goes on in steps; at each step the sums that are known by then are
// handed to [engine.Engine.Rehearse], which judges and decides as the jobs analyze and decide
// do. Nothing here decides anything, but for the method naive, which the engine does not
// have: a plain test at each look, to show what that does.
//
// # Time
//
// Times are days since the first customer entered. A step of the clock is a day, or of a log
// the days of entry over the number of looks. A customer has matured [Config.Horizon] days
// after entering; looks before anybody has matured see the split of the customers only. So
// Looks counts the steps at which there are more matured customers than before.
//
// # Randomness
//
// Test i of a seed draws from PCG(seed, i) and from nothing else: the result is the same
// whatever the number of processors.
package playing
