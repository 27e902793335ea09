package boltstore

import "example.com/gateway/controlplane/storetest"

// The three interfaces of a store: see package storetest.
type (
	// Reader reads one state of the store.
	Reader = storetest.Reader
	// Writer reads and changes the state of one Update.
	Writer = storetest.Writer
)
