// Package conformance holds the gateway against RFC 6455 and RFC 7692, byte by
// byte: a client that is no WebSocket library sends what a case says, good or
// bad, and every frame that comes back is looked at. It has tests only.
//
// The numbers follow the case list of the Autobahn testsuite for servers, so that
// a reader can compare: 1 framing, 2 pings and pongs, 3 reserved bits, 4 opcodes,
// 5 fragmentation, 6 UTF-8, 7 close handling, 9 limits and performance (here:
// limits), 10 fragmentation by the sender, 12 and 13 compression. A case of
// Autobahn's that differs from its predecessor in nothing but how the bytes are
// chopped has no number here, since every case is sent both whole and chopped. A
// number that is longer than Autobahn's, or beyond its list, is ours. So is group
// H: the opening handshake, by RFC 6455, section 4.2.1.
//
// A case is run in four ways: in memory, all its bytes in one write; in memory,
// byte by byte; over TCP, step by step; over TCP, byte by byte. Payloads above
// 4 KiB go in pieces of 997 bytes instead of single ones.
//
// What the gateway does in another way than the RFC or Autobahn wants, each with
// its reason, is one table: exceptions. RESULTS.md is what a run gave:
//
//	go test ./internal/suites/conformance -update
package conformance
