package storetest

import "example.com/gateway/controlplane"

// The contract that Run tests.
type (
	Store  = controlplane.Store
	Reader = controlplane.Reader
	Writer = controlplane.Writer
)
