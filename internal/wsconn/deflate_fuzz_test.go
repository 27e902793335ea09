package wsconn_test

import (
	"bytes"
	"compress/flate"
	"io"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"example.com/gateway/internal/wsconn"
)

// FuzzRead_Deflate lets a client that may compress send a message in any fragments, and
// compares with a reader that collects all and inflates it then.
func FuzzRead_Deflate(f *testing.F) {
	for _, payload := range []string{hello, "", "\x00", hello + "\xff", packed("€"), packed("a\xff"), packed(string(bytes.Repeat([]byte("x"), 5000))), "\x07"} {
		f.Add([]byte(payload), true, uint16(1), uint16(0), uint16(0))
		f.Add([]byte(payload), true, uint16(3), uint16(2), uint16(7))
		f.Add([]byte(payload), false, uint16(0), uint16(300), uint16(1000))
	}
	f.Fuzz(func(t *testing.T, payload []byte, compressed bool, size, frameBytes, messageBytes uint16) {
		first, rest, in := byte(textFrame), payload, []byte(nil)
		if compressed {
			first |= rsv1
		}
		largest := 0
		for size > 0 && len(rest) > int(size) {
			in, rest = append(in, frame(first, string(rest[:size]))...), rest[size:]
			first, largest = contFrame, int(size)
		}
		in = append(append(in, frame(fin|first, string(rest))...), text("after")...)
		largest = max(largest, len(rest), len("after"))

		limits := deflating(wsconn.Limits{FrameBytes: int(frameBytes), MessageBytes: int(messageBytes)})
		c := wsconn.NewConn(&byteConn{rest: bytes.Clone(in)}, limits)
		var messages []string
		var err error
		memory := allocated(func() { messages, err = readAll(c, &control{}) })
		require.Less(t, memory, uint64(300*len(in)+3*int(messageBytes)+(4<<20)))
		if frameBytes > 0 && largest > int(frameBytes) {
			require.Contains(t, []int{1007, 1009}, closeCode(err))
			return
		}
		want, code := deflateReference(payload, compressed, int(messageBytes))
		if messageBytes > 0 && len("after") > int(messageBytes) && code == 0 {
			code = 1009
		}
		if _, whole := deflateReference(payload, compressed, 0); code == 1009 && whole == 1007 {
			require.Contains(t, []int{1007, 1009}, closeCode(err), "too big, and not valid further on: %v", err)
			return
		}
		require.Equal(t, code, closeCode(err), "%v", err)
		if code == 0 {
			require.Equal(t, []string{want, "after"}, messages)
		}
	})
}

// deflateReference returns a message, or the code to close with. It knows no ratio, because
// the fuzzing engine makes no message of 128 KiB.
func deflateReference(payload []byte, compressed bool, most int) (string, int) {
	wire := most
	if compressed {
		wire += most/8 + 64
	}
	if most > 0 && len(payload) > wire {
		return "", 1009
	}
	message := payload
	if compressed && len(payload) > 0 {
		message = nil
		src := bytes.NewReader(append(bytes.Clone(payload), "\x00\x00\xff\xff\x01\x00\x00\xff\xff"...))
		for src.Len() > 0 {
			r := flate.NewReaderDict(src, message[max(0, len(message)-32<<10):])
			for one := make([]byte, 1); ; {
				n, err := r.Read(one)
				if message = append(message, one[:n]...); most > 0 && len(message) > most {
					return "", 1009
				}
				if err == io.EOF {
					break
				}
				if err != nil {
					return "", 1007
				}
			}
		}
	}
	if !utf8.Valid(message) {
		return "", 1007
	}
	return string(message), 0
}
