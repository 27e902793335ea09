package flood_test

import "example.com/gateway/internal/testutil"

// A run that is not to be long has a tenth of the clients and of what they do. So
// has one with the race detector, which dies at 8,128 goroutines, and makes all of
// it ten times slower: what it looks for shows in less.
var readers, stalled, tenth = sizes()

// sizes returns the numbers of clients, and by what other counts are divided.
func sizes() (readers, stalled, tenth int) {
	if raceDetector || !testutil.Long() {
		return 180, 20, 10
	}
	return 900, 100, 1
}
