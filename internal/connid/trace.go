package connid

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash/fnv"
	mathrand "math/rand/v2"
	"time"
)

// TraceID returns the X-Amzn-Trace-Id of a request. It is made from the request's ID and
// time, so that everybody who sees the request gets the same trace ID.
func TraceID(requestID string, requestTime time.Time) string {
	h := fnv.New128a()
	_, _ = h.Write([]byte(requestID))
	return fmt.Sprintf("Root=1-%08x-%s", uint32(requestTime.Unix()), hex.EncodeToString(h.Sum(nil)[:12]))
}

// Answer has the IDs of an answer of the management API, in the forms of the service.
type Answer struct {
	Request string // see [NewRequest]
	UUID    string // a random UUID (RFC 9562, version 4)
	Trace   string // for X-Amzn-Trace-Id
}

// NewAnswer returns the IDs for an answer at this time. They share one allocation.
func NewAnswer(now time.Time) Answer {
	var buf [128]byte
	b := appendRequest(buf[:0])
	n := len(b)
	b = appendUUID(b)
	m := len(b)
	text := string(appendTrace(b, now))
	return Answer{text[:n], text[n:m], text[m:]}
}

func appendUUID(b []byte) []byte {
	hi, lo := mathrand.Uint64(), mathrand.Uint64()
	hi = hi&^0xf000 | 0x4000
	lo = lo&^(0xc<<60) | 0x8<<60
	h := hexDigits(hi, lo)
	for n, group := range [...][]byte{h[:8], h[8:12], h[12:16], h[16:20], h[20:]} {
		if n > 0 {
			b = append(b, '-')
		}
		b = append(b, group...)
	}
	return b
}

func appendTrace(b []byte, now time.Time) []byte {
	h := hexDigits(uint64(now.Unix())<<32|uint64(mathrand.Uint32()), mathrand.Uint64())
	b = append(append(b, "Root=1-"...), h[:8]...)
	return append(append(b, '-'), h[8:]...)
}

func hexDigits(hi, lo uint64) (digits [32]byte) {
	var raw [16]byte
	binary.BigEndian.PutUint64(raw[:], hi)
	binary.BigEndian.PutUint64(raw[8:], lo)
	hex.Encode(digits[:], raw[:])
	return digits
}
