package flood_test

import "example.com/gateway/internal/testutil"

// A run that is not to be long has a tenth of the clients and of what they do. So
// has one with the race detector, which dies at 8,128 goroutines, and makes all of
// it ten times slower: what it looks for shows in less.
var (
	readers, stalled = 900, 100
	tenth            = 1 // by which counts are divided
)

func init() {
	if raceDetector || !testutil.Long() {
		readers, stalled, tenth = 180, 20, 10
	}
}
