package storetest

import "example.com/gateway/controlplane"

// The contract that Run tests: see package controlplane.
type (
	// Store is what is tested.
	Store = controlplane.Store
	// Reader reads one state of it.
	Reader = controlplane.Reader
	// Writer changes it.
	Writer = controlplane.Writer
)
