//go:build !race

package soak_test

const (
	connections = 10000

	randomConnections = 20000
	busyConnections   = 5000
	// slower is by how much a run is slower than one without the race detector.
	slower = 1
)
