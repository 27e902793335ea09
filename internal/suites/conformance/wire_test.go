package conformance_test

import (
	"bytes"

	"example.com/gateway/internal/suites/wiretest"
)

// The frames that clients send in the cases.

// rsv returns the first byte's reserved bits for the number n; RSV1 is 4.
func rsv(n int) byte { return byte(n) << 4 }

func client(first byte, payload string) []byte { return wiretest.Frame(first, payload) }

// masked encodes a frame whose header announces length, whatever the size of payload.
func masked(first byte, length int, key, payload string) []byte {
	return wiretest.OddFrame{First: first, Length: uint64(length), Key: key, Payload: payload}.Bytes()
}

// length16 and length64 encode the length in more bytes than necessary, which clients
// must not do.
func length16(first byte, payload string) []byte {
	return wiretest.OddFrame{First: first, Length: uint64(len(payload)), LengthSize: 2, Key: wiretest.MaskKey, Payload: payload}.Bytes()
}

func length64(first byte, announced uint64, payload string) []byte {
	return wiretest.OddFrame{First: first, Length: announced, LengthSize: 8, Key: wiretest.MaskKey, Payload: payload}.Bytes()
}

// unmasked encodes a short frame without a mask, as only a server may send it.
func unmasked(first byte, payload string) []byte {
	return wiretest.OddFrame{First: first, Length: uint64(len(payload)), Unmasked: true, Payload: payload}.Bytes()
}

func text(payload string) []byte { return client(wiretest.Text, payload) }
func ping(payload string) []byte { return client(wiretest.Ping, payload) }
func pong(payload string) []byte { return client(wiretest.Pong, payload) }

// begin, next and last return the fragments of a text.
func begin(payload string) []byte { return client(wiretest.TextBegin, payload) }
func next(payload string) []byte  { return client(wiretest.Next, payload) }
func last(payload string) []byte  { return client(wiretest.Last, payload) }

func fragments(payload string, size int) []byte { return wiretest.Fragments(payload, size) }

func closing(code int, reason string) []byte { return wiretest.CloseFrame(code, reason) }

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
