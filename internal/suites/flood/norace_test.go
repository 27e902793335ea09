//go:build !race

package flood_test

const (
	readers = 900
	stalled = 100
	tenth   = 1 // by which counts are divided
)
