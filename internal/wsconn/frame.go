package wsconn

import (
	"encoding/binary"
	"math/bits"
	"strings"
	"unicode/utf8"
)

// Close codes of RFC 6455, section 7.4.1.
const (
	CloseNormal        = 1000
	CloseGoingAway     = 1001
	CloseProtocolError = 1002
	CloseUnsupported   = 1003
	CloseNoStatus      = 1005 // never sent: stands for a Close frame without a code
	CloseAbnormal      = 1006 // never sent: stands for an end without a Close frame
	CloseInvalidUTF8   = 1007
	CloseTooBig        = 1009
)

type opcode byte

const (
	opContinuation opcode = 0x0
	opText         opcode = 0x1
	opBinary       opcode = 0x2
	opClose        opcode = 0x8
	opPing         opcode = 0x9
	opPong         opcode = 0xa
)

const (
	finBit  = 0x80
	rsvBits = 0x70
	rsv1    = 0x40 // of the first frame of a compressed message (RFC 7692, section 6)
	maskBit = 0x80

	maxHeader  = 14  // 2, up to 8 of length, 4 of mask
	maxControl = 125 // payload bytes of a control frame (RFC 6455, section 5.5)
	// fragmentBytes is the largest payload of a frame that we send. The service cuts
	// large messages into pieces of about this size.
	fragmentBytes = 8 << 10
)

// header is the head of a frame from a client.
type header struct {
	fin      bool
	deflated bool // the message is compressed
	op       opcode
	length   uint64
	mask     [4]byte
	size     int // bytes of the header itself
}

// mayDeflate reports whether a frame that begins with first, which has reserved bits, is
// the first one of a compressed message, and notes that.
func (h *header) mayDeflate(first byte, deflate bool) bool {
	h.deflated = deflate && first&rsvBits == rsv1 && (h.op == opText || h.op == opBinary)
	return h.deflated
}

func (h *header) control() bool { return h.op >= opClose }

// parseHeader reads a header at the start of b. If b is too short, the size of the
// header is 0. parseHeader reports a violation as soon as b has the bytes that prove
// it. deflate says that messages may be compressed.
func parseHeader(b []byte, deflate bool) (h header, violation *CloseError) {
	if len(b) < 2 {
		return h, nil
	}
	h.fin, h.op = b[0]&finBit != 0, opcode(b[0]&0x0f)
	h.length = uint64(b[1] &^ maskBit)
	size := 2
	switch {
	case b[0]&rsvBits != 0 && !h.mayDeflate(b[0], deflate):
		return h, protocolError("reserved bits are set")
	case h.op > opPong || h.op > opBinary && h.op < opClose:
		return h, protocolError("unknown opcode")
	case b[1]&maskBit == 0:
		return h, protocolError("frame is not masked")
	case h.control() && !h.fin:
		return h, protocolError("control frame is fragmented")
	case h.control() && h.length > maxControl:
		return h, protocolError("control frame is too long")
	}
	switch h.length {
	case 126:
		if size += 2; len(b) < size {
			return h, nil
		}
		h.length = uint64(binary.BigEndian.Uint16(b[2:]))
	case 127:
		if size += 8; len(b) < size {
			return h, nil
		}
		if h.length = binary.BigEndian.Uint64(b[2:]); h.length>>63 != 0 {
			return h, protocolError("length has its highest bit set")
		}
	}
	if len(b) < size+4 {
		return h, nil
	}
	h.size = size + copy(h.mask[:], b[size:size+4])
	return h, nil
}

// mask applies the masking key of RFC 6455, section 5.3, to b, or removes it. b must
// begin at the start of the payload.
func mask(b []byte, key [4]byte) {
	k := binary.LittleEndian.Uint32(key[:])
	k64 := uint64(k)<<32 | uint64(k)
	for len(b) >= 32 {
		binary.LittleEndian.PutUint64(b, binary.LittleEndian.Uint64(b)^k64)
		binary.LittleEndian.PutUint64(b[8:], binary.LittleEndian.Uint64(b[8:])^k64)
		binary.LittleEndian.PutUint64(b[16:], binary.LittleEndian.Uint64(b[16:])^k64)
		binary.LittleEndian.PutUint64(b[24:], binary.LittleEndian.Uint64(b[24:])^k64)
		b = b[32:]
	}
	for len(b) >= 8 {
		binary.LittleEndian.PutUint64(b, binary.LittleEndian.Uint64(b)^k64)
		b = b[8:]
	}
	for i := range b {
		b[i] ^= byte(k)
		k = bits.RotateLeft32(k, -8)
	}
}

// AppendText appends payload to dst as one text message: one frame, or several of up
// to 8 KiB. A text message must be valid UTF-8, so each byte that is not becomes
// U+FFFD, as in the service.
func AppendText(dst, payload []byte) []byte {
	if !utf8.Valid(payload) {
		payload = toValidUTF8(payload)
	}
	return appendMessage(dst, opText, 0, payload)
}

// AppendBinary is like [AppendText] for a binary message. It appends as many bytes.
func AppendBinary(dst, payload []byte) []byte { return appendMessage(dst, opBinary, 0, payload) }

// appendMessage appends the frames of a message. The first one has the reserved bits rsv.
func appendMessage(dst []byte, op opcode, rsv byte, payload []byte) []byte {
	first := byte(op) | rsv
	for len(payload) > fragmentBytes {
		dst = append(appendHeader(dst, first, fragmentBytes), payload[:fragmentBytes]...)
		payload, first = payload[fragmentBytes:], byte(opContinuation)
	}
	return append(appendHeader(dst, finBit|first, len(payload)), payload...)
}

// TextLength returns the length of the message that [AppendText] makes of payload, without
// the frame headers.
func TextLength(payload []byte) int {
	if utf8.Valid(payload) {
		return len(payload)
	}
	length := 0
	for len(payload) > 0 {
		r, n := utf8.DecodeRune(payload)
		length += utf8.RuneLen(r) // of U+FFFD for a byte that is not valid
		payload = payload[n:]
	}
	return length
}

// TextSize returns how many bytes [AppendText] appends for n bytes of valid
// UTF-8, or a little more.
func TextSize(n int) int { return n + 4*(1+n/fragmentBytes) }

// AppendPing appends a Ping frame. The payload of a Ping or Pong frame has at most
// 125 bytes.
func AppendPing(dst, payload []byte) []byte { return appendControl(dst, opPing, payload) }

// AppendPong appends a Pong frame.
func AppendPong(dst, payload []byte) []byte { return appendControl(dst, opPong, payload) }

// AppendClose appends a Close frame. If the reason is too long, it is cut between two
// characters; if it is not valid UTF-8, the wrong bytes are replaced. With the code
// [CloseNoStatus] the frame is empty.
func AppendClose(dst []byte, code int, reason string) []byte {
	if code == CloseNoStatus {
		return appendControl(dst, opClose, nil)
	}
	reason = strings.ToValidUTF8(reason, "\uFFFD")
	if len(reason) > maxControl-2 {
		cut := maxControl - 2
		for cut > 0 && !utf8.RuneStart(reason[cut]) {
			cut--
		}
		reason = reason[:cut]
	}
	payload := binary.BigEndian.AppendUint16(make([]byte, 0, maxControl), uint16(code))
	return appendControl(dst, opClose, append(payload, reason...))
}

func appendControl(dst []byte, op opcode, payload []byte) []byte {
	return append(appendHeader(dst, finBit|byte(op), len(payload)), payload...)
}

func appendHeader(dst []byte, first byte, n int) []byte {
	switch {
	case n < 126:
		return append(dst, first, byte(n))
	case n < 1<<16:
		return append(dst, first, 126, byte(n>>8), byte(n))
	default:
		return binary.BigEndian.AppendUint64(append(dst, first, 127), uint64(n))
	}
}

func toValidUTF8(b []byte) []byte {
	valid := make([]byte, 0, len(b)+16)
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		valid = utf8.AppendRune(valid, r) // RuneError is U+FFFD
		b = b[n:]
	}
	return valid
}

// parseClose reads the payload of a Close frame from a client.
func parseClose(payload []byte) *CloseError {
	if len(payload) == 0 {
		return &CloseError{Code: CloseNoStatus, Remote: true}
	}
	if len(payload) == 1 {
		return protocolError("close frame has half a code")
	}
	code, reason := int(binary.BigEndian.Uint16(payload)), payload[2:]
	switch {
	case !validCloseCode(code):
		return protocolError("invalid close code")
	case !utf8.Valid(reason):
		return invalidUTF8()
	}
	return &CloseError{Code: code, Reason: string(reason), Remote: true}
}

// validCloseCode reports whether a Close frame may have this code: one that RFC 6455
// or the IANA registry defines, or one from the ranges for libraries and
// applications.
func validCloseCode(code int) bool {
	switch {
	case code >= 1000 && code <= 1003, code >= 1007 && code <= 1014, code >= 3000 && code <= 4999:
		return true
	}
	return false
}
