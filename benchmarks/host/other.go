//go:build !unix

package host

import (
	"os"
	"time"
)

// Used returns 0: it is not known on this system.
func Used() time.Duration { return 0 }

// Descriptors returns a high number: the limit is not known on this system.
func Descriptors() int { return 1 << 30 }

// Stdin returns the standard input.
func Stdin() *os.File { return os.Stdin }
