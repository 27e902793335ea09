package wsconn

import (
	"errors"
	"sync"
	"unicode/utf8"

	"example.com/gateway/internal/deflate"
)

// Deflate says how messages are compressed on the connections that have agreed on it.
type Deflate struct {
	Threshold int // bytes of the shortest message that is compressed
	Level     int // see [deflate.Append]
	Ratio     int // see [deflate.Bounds]; zero means no limit

	windowBits int
}

// Windows has the limits of clients that compress, by the number of [Handshake.Deflate].
// Many connections share them, so that a connection has nothing of its own for compression.
type Windows [deflate.MaxWindowBits + 1]Limits

// NewWindows returns limits with d, for each window that a client may have.
func NewWindows(limits Limits, d Deflate) *Windows {
	all := new(Windows)
	for bits := range all {
		own := d
		own.windowBits = bits
		all[bits] = limits
		all[bits].Deflate = &own
	}
	return all
}

// Compresses reports whether a message, text or binary, is compressed. A client with a window
// of less than 32 KiB gets longer messages as they are: compress/flate would refer to what is
// farther back than that window.
func (d *Deflate) Compresses(payload []byte, binary bool) bool {
	window := 1 << d.windowBits
	switch {
	case len(payload) < d.Threshold:
		return false
	case d.windowBits == deflate.MaxWindowBits:
		return true
	case len(payload) > window || binary:
		return len(payload) <= window
	}
	return TextLength(payload) <= window
}

// Frames encodes payload, which [Deflate.Compresses], as one message, text or binary, in
// frames of up to 8 KiB. The result can be sent to every client for whom payload is
// compressed. It is nil if payload does not become shorter.
func (d *Deflate) Frames(payload []byte, binary bool) []byte {
	op := opBinary
	if !binary {
		op = opText
		if !utf8.Valid(payload) {
			payload = toValidUTF8(payload)
		}
	}
	buf, _ := deflated.Get().(*[]byte)
	defer deflated.Put(buf)
	b, ok := deflate.Append((*buf)[:0], payload, d.Level)
	if cap(b) <= maxDeflated {
		*buf = b
	}
	if !ok {
		return nil
	}
	return appendMessage(make([]byte, 0, TextSize(len(b))), op, rsv1, b)
}

//nolint:gochecknoglobals // a pool is useful only if it is shared
var deflated = sync.Pool{New: func() any { return new([]byte) }}

// maxDeflated is the largest buffer that is kept for the next message.
const maxDeflated = 64 << 10

// inflate returns the message of a compressed payload.
func (c *Conn) inflate(b []byte) ([]byte, error) {
	message, err := deflate.Inflate(b, deflate.Bounds{Bytes: c.limits.MessageBytes, Ratio: c.limits.Deflate.Ratio})
	switch {
	case err == nil:
		return message, nil
	case errors.Is(err, deflate.ErrCorrupt):
		return nil, &CloseError{Code: CloseInvalidUTF8, Reason: "Invalid compressed data", Detail: err.Error()}
	}
	return nil, &CloseError{Code: CloseTooBig, Reason: "Message too big", Detail: err.Error()}
}
