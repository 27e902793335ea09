// Package lifecycle holds tests of a connection's life that span the whole gateway:
// how it begins, how messages and replies overtake each other or do not, what a
// callback that misbehaves costs, and how it ends, whoever ends it. They use nothing
// but the public API, in memory on virtual time or over sockets of every kind.
package lifecycle
