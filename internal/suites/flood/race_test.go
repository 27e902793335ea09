//go:build race

package flood_test

// The race detector dies at 8,128 goroutines, and makes all of it ten times
// slower: what it looks for shows in less.
const (
	readers = 180
	stalled = 20
	tenth   = 10
)
