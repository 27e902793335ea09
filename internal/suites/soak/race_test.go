//go:build race

package soak_test

// The race detector allows no more: it dies at 8,128 goroutines.
const (
	connections = 3000

	randomConnections = 1500
	busyConnections   = 1000
	// slower is by how much a run is slower than one without the race detector.
	slower = 8
)
