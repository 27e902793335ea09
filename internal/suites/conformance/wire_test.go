package conformance_test

import (
	"bytes"
	"encoding/binary"
)

// Opcodes of RFC 6455, section 5.2.
const (
	opContinuation = 0x0
	opText         = 0x1
	opBinary       = 0x2
	opClose        = 0x8
	opPing         = 0x9
	opPong         = 0xa

	fin = 0x80
)

// rsv returns the reserved bits of the number n, of which RSV1 is 4.
func rsv(n int) byte { return byte(n) << 4 }

// maskKey is that of the example in RFC 6455, section 5.7.
const maskKey = "\x37\xfa\x21\x3d"

// client encodes a frame as a client has to: masked, its length in as few bytes
// as it needs. first has the opcode and the bits above it.
func client(first byte, payload string) []byte {
	return masked(first, len(payload), maskKey, payload)
}

// masked encodes a frame whose header announces length, whatever payload has.
func masked(first byte, length int, key, payload string) []byte {
	b := []byte{first}
	switch {
	case length < 126:
		b = append(b, 0x80|byte(length))
	case length < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, 0x80|126), uint16(length))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 0x80|127), uint64(length))
	}
	return appendMasked(b, key, payload)
}

func appendMasked(b []byte, key, payload string) []byte {
	b = append(b, key...)
	for i := range len(payload) {
		b = append(b, payload[i]^key[i%4])
	}
	return b
}

// length16 and length64 encode the length in more bytes than client may.
func length16(first byte, payload string) []byte {
	b := binary.BigEndian.AppendUint16([]byte{first, 0x80 | 126}, uint16(len(payload)))
	return appendMasked(b, maskKey, payload)
}

func length64(first byte, announced uint64, payload string) []byte {
	b := binary.BigEndian.AppendUint64([]byte{first, 0x80 | 127}, announced)
	return appendMasked(b, maskKey, payload)
}

// unmasked encodes a short frame as only a server may.
func unmasked(first byte, payload string) []byte {
	return append([]byte{first, byte(len(payload))}, payload...)
}

func text(payload string) []byte { return client(fin|opText, payload) }
func ping(payload string) []byte { return client(fin|opPing, payload) }
func pong(payload string) []byte { return client(fin|opPong, payload) }

// begin, next and last are the fragments of a text.
func begin(payload string) []byte { return client(opText, payload) }
func next(payload string) []byte  { return client(opContinuation, payload) }
func last(payload string) []byte  { return client(fin|opContinuation, payload) }

// fragments sends payload as a text in fragments of size bytes.
func fragments(payload string, size int) []byte {
	var b []byte
	first := byte(opText)
	for len(payload) > size {
		b = append(b, client(first, payload[:size])...)
		first, payload = opContinuation, payload[size:]
	}
	return append(b, client(fin|first, payload)...)
}

func closing(code int, reason string) []byte {
	return client(fin|opClose, closePayload(code, reason))
}

func closePayload(code int, reason string) string {
	return string(binary.BigEndian.AppendUint16(nil, uint16(code))) + reason
}

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
