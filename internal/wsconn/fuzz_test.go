package wsconn_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"net"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"example.com/gateway/internal/wsconn"
)

// FuzzRead lets a client send any bytes, in pieces of any size, where it may send binary
// messages and where not, and compares with a decoder that is too simple to be wrong.
func FuzzRead(f *testing.F) {
	for _, tc := range readCases() {
		if len(tc.in) < 200 { // the fuzzing engine is slow with large inputs
			for _, binary := range []bool{false, true} {
				f.Add(tc.in, uint16(0), uint16(tc.limits.FrameBytes), uint16(tc.limits.MessageBytes), binary)
				f.Add(tc.in, uint16(1), uint16(tc.limits.FrameBytes), uint16(tc.limits.MessageBytes), binary)
			}
		}
	}
	mixed := join(frame(binFrame, "\xff"), frame(fin|0x9, "p"), frame(fin|contFrame, "\xfe"), text("t"), frame(fin|binFrame, ""), frame(fin|textFrame, "\xff"))
	f.Add(mixed, uint16(0), uint16(0), uint16(0), true)
	f.Add(mixed, uint16(3), uint16(1), uint16(2), true)
	f.Fuzz(func(t *testing.T, in []byte, piece, frameBytes, messageBytes uint16, binary bool) {
		limits := wsconn.Limits{FrameBytes: int(frameBytes), MessageBytes: int(messageBytes), Binary: binary}
		want, wantPings, wantCode := reference(in, limits)
		c := wsconn.NewConn(&byteConn{rest: bytes.Clone(in), piece: int(piece)}, limits)
		var ctl control
		var messages []string
		var err error
		memory := allocated(func() { messages, err = readKinds(c, &ctl) })
		require.Equal(t, want, messages)
		require.Equal(t, wantPings, ctl.pings)
		require.Equal(t, wantCode, closeCode(err), "%v", err)
		// Leave some room for what the fuzzing engine allocates in the meantime.
		require.Less(t, memory, uint64(wsconn.FirstPayload+64*len(in)+(4<<20)))
		c.Discard(err)
	})
}

// readKinds is readAll; the text of a binary message has a mark.
func readKinds(c *wsconn.Conn, ctl wsconn.Control) (messages []string, err error) {
	for {
		message, binary, err := c.Read(ctl)
		if err != nil {
			return messages, err
		}
		messages = append(messages, marked(message, binary))
	}
}

func marked(message []byte, binary bool) string {
	if binary {
		return "binary " + string(message)
	}
	return "text " + string(message)
}

func closeCode(err error) int {
	var ce *wsconn.CloseError
	if errors.As(err, &ce) {
		return ce.Code
	}
	return 0
}

// reference decodes a whole stream. It returns the messages, marked with their kind, the
// pings and the final code, which is 0 if the stream ends early.
func reference(in []byte, limits wsconn.Limits) (messages, pings []string, code int) {
	var message []byte
	started, isBinary := false, false
	for len(in) >= 2 {
		first, masked, n := in[0], in[1]&0x80 != 0, uint64(in[1]&0x7f)
		op, last := first&0x0f, first&fin != 0
		control := op >= 8
		if first&0x70 != 0 || op > 10 || op > 2 && op < 8 || !masked || control && (!last || n > 125) {
			return messages, pings, 1002
		}
		in = in[2:]
		switch {
		case n == 126 && len(in) >= 2:
			n, in = uint64(binary.BigEndian.Uint16(in)), in[2:]
		case n == 127 && len(in) >= 8:
			n, in = binary.BigEndian.Uint64(in), in[8:]
			if n > math.MaxInt64 {
				return messages, pings, 1002
			}
		case n >= 126:
			return messages, pings, 0
		}
		if len(in) < 4 {
			return messages, pings, 0
		}
		key := in[:4]
		in = in[4:]
		have := uint64(len(message))
		switch {
		case op == 2 && !limits.Binary:
			return messages, pings, 1003
		case (op == 1 || op == 2) && started, op == 0 && !started:
			return messages, pings, 1002
		case !control && limits.FrameBytes > 0 && n > uint64(limits.FrameBytes),
			!control && limits.MessageBytes > 0 && have+n > uint64(limits.MessageBytes):
			return messages, pings, 1009
		case uint64(len(in)) < n:
			return messages, pings, 0
		}
		payload := make([]byte, n)
		for i := range payload {
			payload[i] = in[i] ^ key[i%4]
		}
		in = in[n:]
		switch op {
		case 8:
			return messages, pings, referenceClose(payload)
		case 9:
			pings = append(pings, string(payload))
		case 0, 1, 2:
			message, started, isBinary = append(message, payload...), true, op == 2 || op == 0 && isBinary
			if !last {
				break
			}
			if !isBinary && !utf8.Valid(message) {
				return messages, pings, 1007
			}
			messages = append(messages, marked(message, isBinary))
			message, started = nil, false
		}
	}
	return messages, pings, 0
}

func referenceClose(payload []byte) int {
	if len(payload) == 0 {
		return 1005
	}
	if len(payload) == 1 {
		return 1002
	}
	code := int(payload[0])<<8 | int(payload[1])
	switch {
	case code < 1000, code >= 5000, code == 1004, code == 1005, code == 1006, code > 1014 && code < 3000:
		return 1002
	case !utf8.Valid(payload[2:]):
		return 1007
	}
	return code
}

// byteConn is a socket that returns a client's bytes in pieces.
type byteConn struct {
	net.Conn
	rest  []byte
	piece int // 0: as many as fit
}

func (b *byteConn) Read(p []byte) (int, error) {
	if len(b.rest) == 0 {
		return 0, io.EOF
	}
	if b.piece > 0 && b.piece < len(p) {
		p = p[:b.piece]
	}
	n := copy(p, b.rest)
	b.rest = b.rest[n:]
	return n, nil
}
