//go:build !unix

package host

import (
	"os"
	"time"
)

// Used returns 0: this system is not asked.
func Used() time.Duration { return 0 }

// Descriptors returns a bound that is not known to be one.
func Descriptors() int { return 1 << 30 }

// Stdin returns the standard input.
func Stdin() *os.File { return os.Stdin }
