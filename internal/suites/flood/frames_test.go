package flood_test

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
	"example.com/gateway/internal/suites/wiretest"
	"example.com/gateway/internal/testutil"
)

// A client that pings without end gets pongs, at least for the newest ping, and costs
// no memory, whether it reads the pongs or not (RFC 6455, 5.5.3).
func TestFrames_Pings(t *testing.T) {
	pings := 1_000_000 / tenth
	for _, tt := range []struct {
		name  string
		reads bool // while it pings; else it reads afterwards
	}{{"the client reads", true}, {"the client reads afterwards only", false}} {
		t.Run(tt.name, func(t *testing.T) {
			s := start(t, gateway.Quotas{WriteTimeout: -1})
			read := make(chan struct{})
			s.HandleFunc(gateway.RouteKeyDefault, func(context.Context, *gateway.Request) (*gateway.Response, error) {
				close(read)
				return nil, nil
			})
			p := s.connect("pinger")
			before := memory()
			pongs := make(chan int, 1)
			readPongs := func() { pongs <- p.readPongs(t, uint64(pings-1)) }
			if tt.reads {
				go readPongs() // ends with the last pong, or the connection
			}
			var batch []byte
			for n := range pings {
				batch = append(batch, wiretest.Header(wiretest.Ping, 8)...)
				batch = binary.BigEndian.AppendUint64(batch, uint64(n))
				if len(batch) > 16<<10 || n == pings-1 {
					_, err := p.Write(batch)
					require.NoError(t, err, "pings are read even if nobody reads the pongs")
					batch = batch[:0]
				}
			}
			require.NoError(t, p.Send(wiretest.Text, "all pings are read"))
			<-read
			grown := memory() - before
			if !tt.reads {
				go readPongs() // likewise
			}
			n := <-pongs
			t.Logf("%d pings, %d pongs; memory grew by %d KiB", pings, n, grown>>10)
			require.Less(t, grown, overhead)
			require.Positive(t, n)
			if !tt.reads {
				require.Less(t, n, pings, "those that waited are forgotten")
			}
		})
	}
}

// readPongs counts pongs up to the one with the number last. Their numbers must grow.
// It returns 0 if that pong does not come.
func (p *peer) readPongs(t *testing.T, last uint64) (count int) {
	for next := uint64(0); ; count++ {
		first, payload, err := p.ReadFrame()
		if err != nil || first != wiretest.Pong || len(payload) != 8 {
			t.Errorf("frame %#x %q, %v instead of a pong", first, payload, err)
			return 0
		}
		number := binary.BigEndian.Uint64(payload)
		if number < next {
			t.Errorf("pong %d after %d", number, next-1)
			return 0
		}
		if next = number + 1; number == last {
			return count + 1
		}
	}
}

// A client that pings, reads nothing and never stops is cut after WriteTimeout.
func TestFrames_PingsAreNeverRead(t *testing.T) {
	t.Parallel()
	s := start(t, gateway.Quotas{WriteTimeout: time.Second})
	p := s.connect("pinger")
	requireCut(t, p.flood(repeat(wiretest.Frame(wiretest.Ping, strings.Repeat("p", 125)), 100), 0))
	s.requireLeft("pinger", 1006)
	s.requireServes(t, "another")
}

// requireCut checks that the server ended a write.
func requireCut(t *testing.T, err error) {
	t.Helper()
	require.Error(t, err)
	require.NotErrorIs(t, err, os.ErrDeadlineExceeded, "the server ends it")
	require.True(t, errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE), "%v", err)
}

// A message in fragments of one byte, or of none, is one message, and costs no more
// than its bytes.
func TestFrames_TinyFragments(t *testing.T) {
	for _, tt := range []struct {
		name, fragment string
		thousands      int // thousands of fragments
	}{{"of one byte", "x", 131}, {"of none", "", 1000 / tenth}} {
		t.Run(tt.name, func(t *testing.T) {
			s := start(t, gateway.Quotas{})
			arrived := make(chan int, 1)
			s.HandleFunc(gateway.RouteKeyDefault, func(_ context.Context, req *gateway.Request) (*gateway.Response, error) {
				arrived <- len(req.Body)
				return nil, nil
			})
			p := s.connect("fragmenter")
			before := memory()
			require.NoError(t, p.Send(wiretest.TextBegin, "x"))
			require.NoError(t, p.flood(repeat(wiretest.Frame(wiretest.Next, tt.fragment), 1000), tt.thousands))
			require.NoError(t, p.Send(wiretest.Ping, "in between")) // its pong shows that everything was read
			first, _, err := p.ReadFrame()
			require.NoError(t, err)
			require.Equal(t, byte(wiretest.Pong), first)
			grown := memory() - before
			require.NoError(t, p.Send(wiretest.Last, "x"))
			bytes := 2 + 1000*tt.thousands*len(tt.fragment)
			require.Equal(t, bytes, <-arrived)
			t.Logf("%d fragments of %d bytes: memory grew by %d KiB before the last", 1000*tt.thousands, len(tt.fragment), grown>>10)
			require.Less(t, grown, bytes*5/4+overhead)
		})
	}
}

// A message that never ends does not count as activity, however fast its bytes come.
// IdleTimeout bounds it, and so does ConnectionDuration.
func TestFrames_EndlessMessage(t *testing.T) {
	t.Parallel()
	empty := func(p *peer) error {
		if err := p.Send(wiretest.TextBegin, ""); err != nil {
			return err
		}
		return p.flood(repeat(wiretest.Frame(wiretest.Next, ""), 1000), 0)
	}
	slow := func(p *peer) error {
		return p.dribble(string(wiretest.Header(wiretest.Text, 32<<10)) + strings.Repeat("x", 32<<10))
	}
	for _, tt := range []struct {
		name   string
		quotas gateway.Quotas
		send   func(p *peer) error // goes on after the Close frame
	}{
		{"empty fragments until IdleTimeout", gateway.Quotas{IdleTimeout: time.Second}, empty},
		{"empty fragments until ConnectionDuration", gateway.Quotas{ConnectionDuration: time.Second}, empty},
		{"a byte at a time until IdleTimeout", gateway.Quotas{IdleTimeout: time.Second}, slow},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := start(t, tt.quotas)
			p := s.connect("endless")
			cut := make(chan error, 1)
			go func() { cut <- tt.send(p) }() // ends with the connection
			p.requireClose(t, 1001)
			requireCut(t, <-cut)
			s.requireLeft("endless", 1001)
		})
	}
}

// A client that is in the middle of a frame cannot answer a ping. It does not count
// as silent, because bytes arrive.
func TestFrames_SlowMessage(t *testing.T) {
	t.Parallel()
	s := start(t, gateway.Quotas{PingInterval: 500 * time.Millisecond})
	s.HandleFunc(gateway.RouteKeyDefault, func(context.Context, *gateway.Request) (*gateway.Response, error) {
		return &gateway.Response{Body: []byte("ok")}, nil
	}, gateway.WithRouteResponse())
	p := s.connect("slow")
	sent := p.sendSlowly(wiretest.Frame(wiretest.Text, strings.Repeat("x", 200))) // takes two seconds: four intervals
	first, reply, err := p.ReadFrame()
	for err == nil && first == wiretest.Ping {
		first, reply, err = p.ReadFrame()
	}
	require.NoError(t, sent)
	require.NoError(t, err)
	require.Equal(t, "ok", string(reply))
}

// Each empty message counts as a message, and leaves nothing in memory.
func TestFrames_EmptyMessages(t *testing.T) {
	messages := 300_000 / tenth
	s := start(t, gateway.Quotas{})
	served := 0 // in order, one at a time
	s.HandleFunc(gateway.RouteKeyDefault, func(context.Context, *gateway.Request) (*gateway.Response, error) {
		served++
		return nil, nil
	})
	p := s.connect("empty")
	require.NoError(t, p.Send(wiretest.Text, ""))
	before := memory()
	b := repeat(wiretest.Frame(wiretest.Text, ""), 1000)
	require.NoError(t, p.flood(b, messages/1000))
	require.NoError(t, p.Send(wiretest.Ping, "")) // its pong shows that everything was read
	_, _, err := p.ReadFrame()
	require.NoError(t, err)
	grown := memory() - before
	require.NoError(t, p.Send(wiretest.Close, "\x03\xe8"))
	p.requireClose(t, 1000)
	s.requireLeft("empty", 1000)
	t.Logf("%d messages: memory grew by %d KiB", messages, grown>>10)
	require.Less(t, grown, overhead)
	require.Equal(t, 1+messages, served)
}

// A header that announces a large payload reserves little memory.
func TestFrames_Announcements(t *testing.T) {
	clients := 200 / tenth
	none := gateway.Quotas{FrameBytes: -1, MessageBytes: -1}
	for _, tt := range []struct {
		name   string
		quotas gateway.Quotas
		header []byte
		code   int // of the Close frame
		each   int // bytes that a header may make the gateway reserve
	}{
		{"2^40 bytes, the default quotas", gateway.Quotas{}, wiretest.Header(wiretest.Text, 1<<40), 1009, 0},
		{"2^40 bytes of a fragment", gateway.Quotas{}, wiretest.Header(wiretest.TextBegin, 1<<40), 1009, 0},
		{"2^63 bytes", none, wiretest.Header(wiretest.Text, 1<<63), 1002, 0},
		{"2^40 bytes, no quotas", none, wiretest.Header(wiretest.Text, 1<<40), 0, 64 << 10},
		{"2^63-1 bytes, no quotas", none, wiretest.Header(wiretest.Text, 1<<63-1), 0, 64 << 10},
		{"32 KiB", gateway.Quotas{}, wiretest.Header(wiretest.Text, 32<<10), 0, 32 << 10},
		{"half a header", gateway.Quotas{}, wiretest.Header(wiretest.Text, 32<<10)[:3], 0, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := start(t, tt.quotas)
			before := memory()
			for range clients {
				p := s.connect("announcer")
				_, err := p.Write(tt.header)
				require.NoError(t, err)
				if tt.code != 0 {
					p.requireClose(t, tt.code)
				} else {
					_, err = p.Write([]byte("x"))
					require.NoError(t, err)
				}
			}
			s.requireServes(t, "another") // after the others
			const idle = 16 << 10         // what a connection and its client cost, both in this process
			grown := memory() - before
			t.Logf("%d clients: memory grew by %d KiB, %d bytes each", clients, grown>>10, grown/clients)
			require.Less(t, grown, clients*(tt.each+idle)+overhead)
		})
	}
}

// An extension that was not negotiated is refused: a compressed frame breaks the
// protocol before any byte of it is decompressed.
func TestFrames_Compressed(t *testing.T) {
	t.Parallel()
	s := start(t, gateway.Quotas{})
	p := s.connect("bomber")
	require.NoError(t, p.Send(wiretest.Text|0x40, "\xca\x48\xcd\xc9\xc9\x07\x00")) // the example of RFC 7692, 7.2.3.1
	p.requireClose(t, 1002)
	require.NoError(t, p.tcp.CloseWrite())
	_, err := io.Copy(io.Discard, p)
	require.NoError(t, err)
	s.requireLeft("bomber", 1002)
}

// The gateway holds back a client that sends faster than it is served. The client can
// occupy only its send queue, its inbox and what is with integrations.
func TestFrames_HeldBack(t *testing.T) {
	testutil.NeedsLong(t) // WriteTimeout has to pass
	const inbox, size = 128 << 10, 16 << 10
	quotas := gateway.Quotas{SendBufferBytes: 1 << 20, SendBufferMessages: 256, WriteTimeout: 3 * time.Second}
	parallel := quotas
	parallel.InFlight = 32
	echo := func(_ context.Context, req *gateway.Request) (*gateway.Response, error) {
		return &gateway.Response{Body: req.Body}, nil
	}
	stuck := func(ctx context.Context, _ *gateway.Request) (*gateway.Response, error) {
		<-ctx.Done() // until the gateway is closed
		return nil, nil
	}
	for _, tt := range []struct {
		name        string
		quotas      gateway.Quotas
		integration gateway.IntegrationFunc
		bound       int
		code        int // in $disconnect; 0: the client leaves
	}{
		{"it never reads the replies", quotas, echo, perConnection(quotas, size) + inbox, 1006},
		{"an integration never ends", quotas, stuck, inbox + size, 0},
		{"32 integrations never end", parallel, stuck, inbox + 32*size, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := start(t, tt.quotas)
			s.Handle(gateway.RouteKeyDefault, tt.integration, gateway.WithRouteResponse())
			p := s.connect("hasty")
			b := wiretest.Frame(wiretest.Text, strings.Repeat("x", size))
			before := memory()
			require.NoError(t, p.SetWriteDeadline(time.Now().Add(time.Second)))
			require.ErrorIs(t, p.flood(b, 0), os.ErrDeadlineExceeded, "the client is held back")
			grown, bound := memory()-before, tt.bound+overhead
			t.Logf("memory grew by %d KiB, bound %d KiB", grown>>10, bound>>10)
			require.Less(t, grown, bound)
			if tt.code != 0 {
				s.requireLeft("hasty", tt.code)
			}
		})
	}
}
