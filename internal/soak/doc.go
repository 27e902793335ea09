// Package soak holds a test of many connections at once on the loopback
// interface: what opens is closed, once each, and nothing is left behind. It
// prints what an idle connection costs. Another holds a throttle under load.
//
//	go test -v ./internal/soak
package soak
