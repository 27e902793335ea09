//go:build race

package conformance_test

// underRace says that the race detector is on, which makes the large messages slow.
const underRace = true
