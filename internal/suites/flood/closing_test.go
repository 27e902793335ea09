package flood_test

import (
	"context"
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
	"example.com/gateway/internal/suites/wiretest"
)

// Whatever a client does after a Close frame, its connection is released: five
// seconds after our Close frame, or at once after the client's.
func TestClosing(t *testing.T) {
	t.Parallel()
	flood := func(b []byte) func(p *peer) error {
		return func(p *peer) error { return p.flood(repeat(b, 1000), 0) }
	}
	after := func(b []byte, then func(p *peer) error) func(p *peer) error {
		return func(p *peer) error {
			if _, err := p.Write(b); err != nil {
				return err
			}
			return then(p)
		}
	}
	messages := flood(wiretest.Frame(wiretest.Text, `{"action":"none"}`))
	tests := []struct {
		name string
		rude func(p *peer) error // ends with the connection; nil: the client does nothing
		byUs bool                // the server begins the close
		code int
	}{
		{"the client never answers ours", nil, true, 1000},
		{"the client answers ours with messages", messages, true, 1000},
		{"the client answers ours with empty fragments", after(wiretest.Frame(wiretest.TextBegin, ""), flood(wiretest.Frame(wiretest.Next, ""))), true, 1000},
		{"the client answers ours with pings", flood(wiretest.Frame(wiretest.Ping, "x")), true, 1000},
		{"the client answers ours with a frame that has no end", after(wiretest.Header(wiretest.Text, 1<<40), flood([]byte("xxxx"))), true, 1000},
		{"the client answers ours with what is no frame", flood([]byte{0, 0, 0, 0}), true, 1000},
		{"no end after a violation", after(wiretest.Frame(0x83, ""), messages), false, 1002},
		{"no end after a message above the quota", after(wiretest.Header(wiretest.Text, 1<<20), messages), false, 1009},
		{"no end after the client's own", after(wiretest.Frame(wiretest.Close, "\x03\xe8bye"), messages), false, 1000},
	}
	servers, ended := make([]*server, len(tests)), make([]chan error, len(tests))
	for n, tt := range tests { // all at once, because each takes some seconds
		s := start(t, gateway.Quotas{})
		p := s.connect("rude")
		if tt.byUs {
			require.NoError(t, s.DeleteConnection(t.Context(), s.id("rude")))
			p.requireClose(t, tt.code)
		}
		servers[n], ended[n] = s, make(chan error, 1)
		go func() { // ends with the connection, which the test waits for
			var err error
			if tt.rude != nil {
				err = tt.rude(p)
			}
			if _, unread := io.Copy(io.Discard, p); err == nil {
				err = unread
			}
			ended[n] <- err
		}()
	}
	for n, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := servers[n]
			s.requireLeft("rude", tt.code)
			require.Zero(t, s.open())
			require.ErrorIs(t, s.PostToConnection(t.Context(), s.id("rude"), nil), gateway.ErrGone)
			if err := <-ended[n]; tt.rude == nil {
				require.NoError(t, err, "the socket is closed")
			} else {
				requireCut(t, err)
			}
			s.requireServes(t, "another")
		})
	}
}

// Messages after the client's Close frame in the same write are ignored.
func TestClosing_NothingFollows(t *testing.T) {
	t.Parallel()
	s := start(t, gateway.Quotas{})
	served := make(chan string, 10)
	s.HandleFunc(gateway.RouteKeyDefault, func(_ context.Context, req *gateway.Request) (*gateway.Response, error) {
		served <- string(req.Body)
		return nil, nil
	})
	p := s.connect("leaver")
	b := append(wiretest.Frame(wiretest.Text, "before"), wiretest.Frame(wiretest.Close, "\x03\xe8")...)
	_, err := p.Write(append(b, repeat(wiretest.Frame(wiretest.Text, "after"), 100)...))
	require.NoError(t, err)
	s.requireLeft("leaver", 1000)
	require.Len(t, served, 1)
	require.Equal(t, "before", <-served)
}
