package wsconn_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"example.com/gateway/internal/wsconn"
)

// serverFrame is a frame of ours as a client sees it.
type serverFrame struct {
	first   byte
	payload string
}

// serverFrames splits b into frames, or says what is wrong with b.
func serverFrames(b []byte) (frames []serverFrame, err error) {
	for len(b) > 0 {
		if len(b) < 2 || b[1]&0x80 != 0 {
			return nil, fmt.Errorf("bad head %x", b)
		}
		size, n := 2, int(b[1])
		switch {
		case n == 126 && len(b) >= 4:
			size, n = 4, int(binary.BigEndian.Uint16(b[2:]))
		case n == 127 && len(b) >= 10:
			size, n = 10, int(binary.BigEndian.Uint64(b[2:]))
		}
		if n < 0 || len(b)-size < n {
			return nil, fmt.Errorf("%d bytes announced, %d there", n, len(b)-size)
		}
		frames = append(frames, serverFrame{first: b[0], payload: string(b[size : size+n])})
		b = b[size+n:]
	}
	return frames, nil
}

func TestAppendText(t *testing.T) {
	t.Parallel()
	x := func(n int) string { return strings.Repeat("x", n) }
	const most = wsconn.FragmentBytes
	for _, tc := range []struct {
		name, in string
		want     []serverFrame
	}{
		{"an empty text is a frame", "", []serverFrame{{fin | textFrame, ""}}},
		{"a short text", "hello €", []serverFrame{{fin | textFrame, "hello €"}}},
		{"the longest short length", x(125), []serverFrame{{fin | textFrame, x(125)}}},
		{"the shortest middle length", x(126), []serverFrame{{fin | textFrame, x(126)}}},
		{"one frame, at most", x(most), []serverFrame{{fin | textFrame, x(most)}}},
		{"one byte more makes two", x(most + 1), []serverFrame{{textFrame, x(most)}, {fin | contFrame, "x"}}},
		{"no empty frame at the end", x(3 * most), []serverFrame{{textFrame, x(most)}, {contFrame, x(most)}, {fin | contFrame, x(most)}}},
		{"each bad byte becomes a character", "a\xff\xe2\x82b\xc0", []serverFrame{{fin | textFrame, "a��" + "�b�"}}},
		{"a surrogate becomes three", "\xed\xa0\x80", []serverFrame{{fin | textFrame, "���"}}},
		{"U+FFFD itself stays", "�", []serverFrame{{fin | textFrame, "�"}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			got := wsconn.AppendText([]byte("before"), []byte(tc.in))
			require.Equal(t, "before", string(got[:6]))
			frames, err := serverFrames(got[6:])
			require.NoError(t, err)
			require.Equal(t, tc.want, frames)
			length := 0
			for _, f := range frames {
				length += len(f.payload)
			}
			require.Equal(t, length, wsconn.TextLength([]byte(tc.in)))
		})
	}
	t.Run("the payload is left alone", func(t *testing.T) {
		t.Parallel()
		payload := []byte("a\xff")
		wsconn.AppendText(nil, payload)
		require.Equal(t, "a\xff", string(payload))
	})
	t.Run("TextSize is enough and hardly more", func(t *testing.T) {
		t.Parallel()
		for _, n := range []int{0, 1, 125, 126, most - 1, most, most + 1, 2 * most, 2*most + 1, 131072} {
			size := len(wsconn.AppendText(nil, bytes.Repeat([]byte{'x'}, n)))
			require.GreaterOrEqual(t, wsconn.TextSize(n), size)
			require.LessOrEqual(t, wsconn.TextSize(n), size+6)
		}
	})
}

func TestAppendClose(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		code   int
		reason string
		want   string
	}{
		{"code and reason", 1000, "bye €", "\x03\xe8bye €"},
		{"code alone", 1001, "", "\x03\xe9"},
		{"no status is an empty frame", wsconn.CloseNoStatus, "lost", ""},
		{"the longest reason", 4000, strings.Repeat("r", 123), "\x0f\xa0" + strings.Repeat("r", 123)},
		{"a longer one is cut", 4000, strings.Repeat("r", 124), "\x0f\xa0" + strings.Repeat("r", 123)},
		{"not within a character", 4000, strings.Repeat("r", 121) + "€€", "\x0f\xa0" + strings.Repeat("r", 121)},
		{"but behind one", 4000, strings.Repeat("r", 120) + "€€", "\x0f\xa0" + strings.Repeat("r", 120) + "€"},
		// A client must fail the connection if the reason is not valid UTF-8.
		{"a reason that is not UTF-8", 4000, "a\xffb", "\x0f\xa0a�b"},
		{"a long reason that is not UTF-8", 4000, strings.Repeat("\x80", 200), "\x0f\xa0�"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			frames, err := serverFrames(wsconn.AppendClose(nil, tc.code, tc.reason))
			require.NoError(t, err)
			require.Equal(t, []serverFrame{{fin | closeOp, tc.want}}, frames)
		})
	}
}

func TestAppendPing(t *testing.T) {
	t.Parallel()
	b := wsconn.AppendPong(wsconn.AppendPing(nil, []byte("a")), nil)
	frames, err := serverFrames(b)
	require.NoError(t, err)
	require.Equal(t, []serverFrame{{fin | pingOp, "a"}, {fin | pongOp, ""}}, frames)
}

func TestMask(t *testing.T) {
	t.Parallel()
	// Try every length around the step sizes of the loops, and compare with masking
	// one byte at a time.
	for n := range 100 {
		for shift := range 8 { // the payload may begin at any address
			b := make([]byte, shift+n)
			for i := range b {
				b[i] = byte(i * 7)
			}
			want := bytes.Clone(b)
			for i := range want[shift:] {
				want[shift+i] ^= testKey[i%4]
			}
			wsconn.Mask(b[shift:], testKey)
			require.Equal(t, want, b)
		}
	}
}

func FuzzRoundTrip(f *testing.F) {
	for _, s := range []string{"", "hello", "a\xff€\xe2\x82", "€"} {
		f.Add([]byte(s), uint16(1))
		f.Add([]byte(s), uint16(wsconn.FragmentBytes))
	}
	// The fuzzing engine is slow with large inputs, so a small part is repeated.
	f.Fuzz(func(t *testing.T, part []byte, times uint16) {
		payload := bytes.Repeat(part, min(int(times), (64<<10)/(len(part)+1)))
		b := wsconn.AppendText(nil, payload)
		frames, err := serverFrames(b)
		require.NoError(t, err)
		var got strings.Builder
		for i, fr := range frames {
			want := byte(contFrame)
			if i == 0 {
				want = textFrame
			}
			if i == len(frames)-1 {
				want |= fin
			}
			require.Equal(t, want, fr.first)
			require.LessOrEqual(t, len(fr.payload), wsconn.FragmentBytes)
			got.WriteString(fr.payload)
		}
		require.Equal(t, string([]rune(string(payload))), got.String()) // as Go itself replaces them
		if utf8.Valid(payload) {
			require.LessOrEqual(t, len(b), wsconn.TextSize(len(payload)))
		}
	})
}
