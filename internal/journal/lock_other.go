//go:build !linux && !darwin

package journal

import (
	"errors"
	"fmt"
	"os"
)

// claim refuses: elsewhere a file cannot be replaced while it is open, nor a folder synced.
func claim(dir string) (*os.File, error) {
	return nil, fmt.Errorf("the journal in %s: %w: it needs Linux or macOS", dir, errors.ErrUnsupported)
}
