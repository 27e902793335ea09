//go:build !linux

package boltstore

// acts is empty: the tests with other processes run on Linux.
var acts map[string]func(file string) error
