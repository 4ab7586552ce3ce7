//go:build !unix

package pgtest

// ended is never sure here; there are no private clusters here either.
func ended(int) bool { return false }
