package flood_test

import "example.com/gateway/internal/testutil"

// Without GATEWAY_LONG, a run has a tenth of the clients, and they do a tenth of the
// work. So does a run with the race detector, which fails at 8,128 goroutines and
// makes everything ten times slower; it also finds races with fewer clients.
var readers, stalled, tenth = sizes()

// sizes returns the numbers of clients, and a divisor for all other counts.
func sizes() (readers, stalled, tenth int) {
	if raceDetector || !testutil.Long() {
		return 180, 20, 10
	}
	return 900, 100, 1
}
