package wsconn_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/gateway/internal/wsconn"
)

var benchSizes = []struct {
	name string
	n    int
}{{"128B", 128}, {"4KiB", 4 << 10}, {"32KiB", 32 << 10}}

func BenchmarkRead(b *testing.B) {
	for _, tr := range transports() {
		for _, size := range benchSizes {
			b.Run(fmt.Sprintf("transport=%s/size=%s", tr.name, size.name), func(b *testing.B) {
				c, client := tr.connect(b, wsconn.Limits{FrameBytes: 32 << 10, MessageBytes: 128 << 10})
				// The peer keeps the socket full, so this measures the cost of a
				// frame, not of a round trip.
				many := bytes.Repeat(text(strings.Repeat("x", size.n)), max(1, 64<<10/size.n))
				background(b, func() {
					for {
						if _, err := client.Write(many); err != nil {
							return
						}
					}
				})
				b.Cleanup(c.Close) // before the cleanup of background, which waits
				b.ReportAllocs()
				b.SetBytes(int64(size.n))
				ctl := &silent{}
				for b.Loop() {
					if _, _, err := c.Read(ctl); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

func BenchmarkEcho(b *testing.B) {
	for _, tr := range transports() {
		b.Run("transport="+tr.name+"/size=128B", func(b *testing.B) {
			c, client := tr.connect(b, wsconn.Limits{})
			in := text(strings.Repeat("x", 128))
			out := wsconn.AppendText(nil, []byte(strings.Repeat("x", 128)))
			background(b, func() {
				answer := make([]byte, len(out))
				for {
					if _, err := client.Write(in); err != nil {
						return
					}
					if _, err := io.ReadFull(client, answer); err != nil {
						return
					}
				}
			})
			b.Cleanup(c.Close)
			b.ReportAllocs()
			b.SetBytes(128)
			buf := make([]byte, 0, 256)
			ctl := &silent{}
			for b.Loop() {
				message, _, err := c.Read(ctl)
				if err != nil {
					b.Fatal(err)
				}
				if err := c.Write(wsconn.AppendText(buf, message), patiently); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkMask(b *testing.B) {
	for _, size := range benchSizes {
		b.Run("size="+size.name, func(b *testing.B) {
			payload := make([]byte, size.n)
			b.ReportAllocs()
			b.SetBytes(int64(size.n))
			for b.Loop() {
				wsconn.Mask(payload, testKey)
			}
		})
	}
}

func BenchmarkAppendText(b *testing.B) {
	for _, size := range benchSizes {
		b.Run("size="+size.name, func(b *testing.B) {
			payload := bytes.Repeat([]byte{'x'}, size.n)
			dst := make([]byte, 0, wsconn.TextSize(size.n))
			b.ReportAllocs()
			b.SetBytes(int64(size.n))
			for b.Loop() {
				wsconn.AppendText(dst, payload)
			}
		})
	}
}

// TestAllocations is not parallel, because it would count what other tests allocate.
func TestAllocations(t *testing.T) {
	ctl := &silent{}
	for _, tc := range []struct {
		name string
		in   []byte
		most int
	}{
		{"a small text is one allocation: the message", text("hello"), 1},
		{"a text as large as a frame may be is a few: it grows with what arrives", text(strings.Repeat("x", 32<<10)), 5},
		{"a ping before it adds none", join(frame(fin|pingOp, "payload"), text("hello")), 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for _, tr := range transports() {
				if tr.name == "tls" {
					continue // crypto/tls itself allocates
				}
				c, client := tr.connect(t, wsconn.Limits{})
				next := make(chan struct{})
				background(t, func() {
					for range next {
						sendNow(client, tc.in, 0)
					}
				})
				got := testing.AllocsPerRun(100, func() {
					next <- struct{}{}
					if _, _, err := c.Read(ctl); err != nil {
						t.Error(err)
					}
				})
				close(next)
				require.LessOrEqual(t, int(got), tc.most, tr.name)
			}
		})
	}
	t.Run("a short write of a frame is none", func(t *testing.T) {
		server, client := tcpPair(t)
		background(t, func() { _, _ = io.Copy(io.Discard, client) })
		c := wsconn.NewConn(server, wsconn.Limits{})
		buf, payload := make([]byte, 0, 64), []byte("hello")
		require.Zero(t, testing.AllocsPerRun(100, func() {
			if err := c.Write(wsconn.AppendText(buf, payload), patiently); err != nil {
				t.Error(err)
			}
		}))
		require.NoError(t, server.(*net.TCPConn).Close())
	})
}

// silent is a Control that does nothing.
type silent struct{}

func (*silent) Ping([]byte) {}
func (*silent) Pong()       {}
