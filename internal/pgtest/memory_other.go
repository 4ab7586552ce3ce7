//go:build !linux

package pgtest

// memory is empty: only Linux has a folder in memory everywhere.
func memory() string { return "" }
