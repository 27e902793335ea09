//go:build race

package soak_test

// connections is what the race detector allows: it dies at 8,128 goroutines.
const connections = 3000
