// Package connid makes the IDs of connections, requests, messages and traces, in the
// forms of the service.
//
// A connection ID is 13 bytes in URL-safe base64 with padding: 20 characters that end
// in "==". The bytes are
//
//	4 node tag | 7 random | 2 check
//
// From an ID alone each node can find out whether it was ever issued (by the check) and
// by which node (by the tag). The check finds typing mistakes and invented IDs, but it is
// no secret: everybody can compute it. Nobody can guess an ID, because 56 bits are random.
//
// A message ID ends with the last 5 bytes of its connection's ID, as in the service. It
// shows 24 of the random bits, so it belongs only into the log.
package connid

import (
	"cmp"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	mathrand "math/rand/v2"
	"strings"
	"unsafe"
)

const (
	tagSize   = 4
	checkSize = 2
	rawSize   = 13
	// Length is the number of characters of an ID.
	Length = 20
	// RequestLength is the number of characters of a request ID, with one "=" at the end.
	RequestLength = 16
	requestSize   = 11
	// tailSize is the number of bytes of a connection ID that its message IDs repeat.
	tailSize = 5
)

// NewTag returns a node tag. IDs with this tag do not begin with "-", because command
// lines would take them for an option.
func NewTag() uint32 {
	const dash = 62 // its value in the alphabet
	for {
		if tag := mathrand.Uint32(); tag>>26 != dash {
			return tag
		}
	}
}

// New returns a new ID with tag.
func New(tag uint32) string {
	var raw [rawSize]byte
	binary.BigEndian.PutUint32(raw[:], tag)
	rand.Read(raw[tagSize : rawSize-checkSize])
	binary.BigEndian.PutUint16(raw[rawSize-checkSize:], check(raw[:rawSize-checkSize]))
	return encode(raw[:])
}

// Parse returns the node tag of id. It reports false if no node has issued id, because its
// form is wrong or its check does not fit.
func Parse(id string) (tag uint32, ok bool) {
	raw, ok := decode(id)
	if !ok || binary.BigEndian.Uint16(raw[rawSize-checkSize:]) != check(raw[:rawSize-checkSize]) {
		return 0, false
	}
	return binary.BigEndian.Uint32(raw[:]), true
}

// Buckets is the number of buckets of [Bucket].
const Buckets = 64

// Bucket puts IDs into Buckets parts that are about equally large, by the first 6 random
// bits. What is no ID is in the first one.
func Bucket(id string) int {
	if len(id) != Length {
		return 0
	}
	return int(sextets[id[5]]&0xf<<2 | sextets[id[6]]>>4) // the characters have 2 bits of the tag, and 4 and 6 random bits
}

// Compare orders IDs: by their buckets first, then as texts. It depends on nothing else, so
// the order never changes.
func Compare(a, b string) int {
	return cmp.Or(cmp.Compare(Bucket(a), Bucket(b)), strings.Compare(a, b))
}

// sextets has the bits of each character of base64.
//
//nolint:gochecknoglobals // never changes
var sextets = func() (bits [256]byte) {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	for n, c := range []byte(alphabet) {
		bits[c] = byte(n)
	}
	return bits
}()

// NewRequest returns an ID for a request: 11 bytes in 16 characters that end in "=". It is
// unique enough to find a request in a log. It is not a secret.
func NewRequest() string {
	var text [RequestLength]byte
	putRequest(&text)
	return string(text[:])
}

func appendRequest(dst []byte) []byte {
	var text [RequestLength]byte
	putRequest(&text)
	return append(dst, text[:]...)
}

func putRequest(text *[RequestLength]byte) {
	var raw [requestSize + 5]byte
	binary.LittleEndian.PutUint64(raw[:], mathrand.Uint64())
	binary.LittleEndian.PutUint64(raw[8:], mathrand.Uint64())
	base64.URLEncoding.Encode(text[:], raw[:requestSize])
}

// NewMessage returns an ID for a message of the connection id. It has the form of a
// connection ID and ends with the same bytes as id, as in the service.
func NewMessage(id string) string {
	var text [Length]byte
	putMessage(&text, TailOf(id))
	return string(text[:])
}

func putMessage(text *[Length]byte, tail Tail) {
	var raw [rawSize]byte
	binary.LittleEndian.PutUint64(raw[:], mathrand.Uint64())
	copy(raw[rawSize-tailSize:], tail[:])
	base64.URLEncoding.Encode(text[:], raw[:])
}

// Tail is the end that all message IDs of a connection have.
type Tail [tailSize]byte

// TailOf returns the tail of a connection ID.
func TailOf(id string) Tail {
	raw, _ := decode(id)
	return Tail(raw[rawSize-tailSize:])
}

// IDs has the memory for the two IDs of one message, so that they need no allocation.
type IDs struct {
	request [RequestLength]byte
	message [Length]byte
}

// Make returns what [NewRequest] and [NewMessage] return, for the connection whose ID
// ends with tail. The strings share the memory of ids: call Make only once.
func (ids *IDs) Make(tail Tail) (request, message string) {
	putRequest(&ids.request)
	putMessage(&ids.message, tail)
	return ids.Strings()
}

// Strings returns the IDs that Make returned.
func (ids *IDs) Strings() (request, message string) {
	return unsafe.String(&ids.request[0], len(ids.request)), unsafe.String(&ids.message[0], len(ids.message))
}

func encode(raw []byte) string {
	var text [Length]byte
	n := base64.URLEncoding.EncodedLen(len(raw))
	base64.URLEncoding.Encode(text[:n], raw)
	return string(text[:n])
}

func decode(id string) (raw [rawSize]byte, ok bool) {
	if len(id) != Length {
		return raw, false
	}
	var text [Length]byte
	copy(text[:], id)
	var out [rawSize + 2]byte // Decode needs space for the padding
	n, err := base64.URLEncoding.Strict().Decode(out[:], text[:])
	if err != nil || n != rawSize {
		return raw, false
	}
	copy(raw[:], out[:])
	return raw, true
}

// check is CRC-16/CCITT. It detects every change of up to 16 neighbouring bits, and so
// every ID in which one character was changed.
func check(b []byte) uint16 {
	crc := uint16(0x1d0f)
	for _, x := range b {
		crc ^= uint16(x) << 8
		for range 8 {
			if crc&0x8000 != 0 {
				crc = crc<<1 ^ 0x1021
			} else {
				crc <<= 1
			}
		}
	}
	return crc
}
