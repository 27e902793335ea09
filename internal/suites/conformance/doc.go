// Package conformance tests the gateway against RFC 6455 and RFC 7692, byte by byte. Its
// client is not a WebSocket library: it sends what a case says, valid or not, and checks
// every frame that comes back. The package has only tests.
//
// The numbers follow the case list of the Autobahn testsuite for servers, so that a
// reader can compare: 1 framing, 2 pings and pongs, 3 reserved bits, 4 opcodes,
// 5 fragmentation, 6 UTF-8, 7 close handling, 9 limits and performance (here: limits),
// 10 fragmentation by the sender, 12 and 13 compression; group C has 3, 9, 12 and 13 again,
// for a gateway with WithCompression. If an Autobahn case differs from
// the one before it only in how the bytes are cut into pieces, it has no number here,
// because every case is sent both whole and in pieces. Numbers that are longer than
// Autobahn's, or not in its list, are ours. Group B has the cases of 1, 5, 9 and 10 with binary
// messages, in a gateway with the option for them. Ours is also group H, the opening handshake, by
// RFC 6455, section 4.2.1.
//
// A case is run in four ways: in memory, with all its bytes in one write; in memory, byte
// by byte; over TCP, step by step; over TCP, byte by byte. Payloads above 4 KiB are sent
// in pieces of 997 bytes instead of single bytes.
//
// The table exceptions lists where the gateway behaves differently from the RFC or from
// Autobahn, with a reason for each line. RESULTS.md has the results of a run:
//
//	go test ./internal/suites/conformance -update
package conformance
