package boltstore

import "example.com/gateway/controlplane"

// The contract of a store: see package controlplane.
type (
	// Reader reads one state of the store.
	Reader = controlplane.Reader
	// Writer reads and changes the state of one Update.
	Writer = controlplane.Writer
)
