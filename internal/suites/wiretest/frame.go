// Package wiretest has the WebSocket client for tests that look at bytes. A [Conn]
// writes what the test tells it to, valid or not. It does nothing on its own: it
// answers no Ping and no Close frame. It checks what it reads against RFC 6455. A
// [Peer] is a Conn that fails its test on an error.
package wiretest

import (
	"encoding/binary"
	"slices"
)

// Opcodes of RFC 6455, section 5.2, and the bit of a message's last frame.
const (
	OpContinuation = 0x0
	OpText         = 0x1
	OpBinary       = 0x2
	OpClose        = 0x8
	OpPing         = 0x9
	OpPong         = 0xa

	Fin = 0x80
)

// RSV1 is set in the first byte of a compressed message (RFC 7692, section 6).
const RSV1 = 0x40

// First bytes of frames. A message in fragments is TextBegin, any number of Next,
// and Last.
const (
	Text      = Fin | OpText
	Binary    = Fin | OpBinary
	Close     = Fin | OpClose
	Ping      = Fin | OpPing
	Pong      = Fin | OpPong
	TextBegin = OpText
	Next      = OpContinuation
	Last      = Fin | OpContinuation
)

// MaskKey is the key of the example in RFC 6455, section 5.7.
const MaskKey = "\x37\xfa\x21\x3d"

// Frame returns a frame as a client must send it: masked, with the length in as few
// bytes as possible.
func Frame(first byte, payload string) []byte {
	return OddFrame{First: first, Length: uint64(len(payload)), Key: MaskKey, Payload: payload}.Bytes()
}

// AppendFrame appends [Frame] to dst.
func AppendFrame(dst []byte, first byte, payload []byte) []byte {
	return appendMasked(appendHeader(dst, first, uint64(len(payload)), 0), MaskKey, payload)
}

// Header returns the header of a frame that announces length bytes. Its mask key is
// zero, so the payload can follow unchanged.
func Header(first byte, length uint64) []byte {
	return append(appendHeader(nil, first, length, 0), 0, 0, 0, 0)
}

// Fragments returns payload as a text message in fragments of size bytes.
func Fragments(payload string, size int) []byte {
	var b []byte
	first := byte(TextBegin)
	for len(payload) > size {
		b = append(b, Frame(first, payload[:size])...)
		first, payload = Next, payload[size:]
	}
	return append(b, Frame(Fin|first, payload)...)
}

// NoStatus is the code that [ParseClose] returns for a Close frame without a code.
const NoStatus = 1005

// CloseFrame returns a Close frame with any code, also one that must not be sent.
func CloseFrame(code int, reason string) []byte { return Frame(Close, ClosePayload(code, reason)) }

// ClosePayload returns the payload of a Close frame.
func ClosePayload(code int, reason string) string {
	return string(binary.BigEndian.AppendUint16(nil, uint16(code))) + reason //nolint:gosec // a code is below 65,536
}

// ParseClose reads the payload of a Close frame.
func ParseClose[T ~string | ~[]byte](payload T) (code int, reason string) {
	if len(payload) < 2 {
		return NoStatus, ""
	}
	return int(payload[0])<<8 | int(payload[1]), string(payload[2:])
}

// OddFrame is a frame that may be invalid.
type OddFrame struct {
	First      byte   // Fin, reserved bits and opcode
	Length     uint64 // announced, whatever the size of Payload
	LengthSize int    // bytes of the extended length, 2 or 8; 0: as few as Length needs
	Unmasked   bool   // as only a server may send it
	Key        string // four bytes, unless Unmasked
	Payload    string // before masking
}

// Bytes returns the encoded frame.
func (f OddFrame) Bytes() []byte {
	b := appendHeader(make([]byte, 0, 14+len(f.Payload)), f.First, f.Length, f.LengthSize)
	if f.Unmasked {
		b[1] &^= maskBit
		return append(b, f.Payload...)
	}
	return appendMasked(b, f.Key, f.Payload)
}

const maskBit = 0x80

// appendHeader appends a header up to the mask key.
func appendHeader(b []byte, first byte, length uint64, size int) []byte {
	switch {
	case size == 8 || size == 0 && length >= 1<<16:
		return binary.BigEndian.AppendUint64(append(b, first, maskBit|127), length)
	case size == 2 || length >= 126:
		return binary.BigEndian.AppendUint16(append(b, first, maskBit|126), uint16(length)) //nolint:gosec // checked above
	}
	return append(b, first, maskBit|byte(length))
}

func appendMasked[T ~string | ~[]byte](b []byte, key string, payload T) []byte {
	b = slices.Grow(append(b, key...), len(payload))
	for i := range len(payload) {
		b = append(b, payload[i]^key[i%4])
	}
	return b
}
