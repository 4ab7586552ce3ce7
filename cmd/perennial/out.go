package main

import (
	"fmt"
	"os"
)

// checkOut refuses what a file cannot be written over, before the work is done: a folder, and
// a device, of which a rename would make a file.
func checkOut(path string) error {
	info, err := os.Stat(path)
	if err == nil && info.IsDir() {
		return fmt.Errorf("--out %s is a folder: give a file in it", path)
	}
	if err == nil && !info.Mode().IsRegular() {
		return fmt.Errorf("--out %s is not an ordinary file: give another", path)
	}
	return nil // what is not there, or cannot be written to, says so itself
}
