package soak_test

import (
	"time"

	"example.com/gateway/internal/testutil"
)

// The sizes of the tests: in a short run, in a long run, and in a long run with the
// race detector, which fails at 8,128 goroutines.
var (
	connections       = size(1000, 10_000, 3000)
	randomConnections = size(300, 20_000, 1500)
	busyConnections   = size(300, 5000, 1000)
	randomDuration    = time.Duration(size(2, 15, 15)) * time.Second
	randomLateAfter   = time.Duration(size(3, 10, 10)) * time.Second
	// slower is how many times slower a run is than one without the race detector.
	slower = size(1, 1, 8)
)

func size(short, long, race int) int {
	switch {
	case !testutil.Long():
		return short
	case raceDetector:
		return race
	}
	return long
}
