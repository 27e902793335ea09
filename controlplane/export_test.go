package controlplane

// NewMemory is the store in memory, for the tests that a store outside this package passes
// too.
func NewMemory() Store { return newMemory() }
