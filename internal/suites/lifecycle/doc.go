// Package lifecycle tests a connection's life across the whole gateway: how it
// begins, in which order messages and replies go, what a callback that misbehaves
// costs, and how the connection ends, whoever ends it. The tests use only the public
// API, in memory with virtual time, or over sockets of every kind.
package lifecycle
