package flood_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway/internal/suites/wiretest"
)

// peer is a client that can send any bytes.
type peer struct {
	*wiretest.Conn

	tcp *net.TCPConn // the same connection
}

// patience bounds every wait of a peer.
const patience = 4 * time.Minute

// dial connects a client with this name from a source IP; "" means any IP.
func dial(addr, name, sourceIP string, readBuffer int) (*peer, error) {
	p, err := dialTCP(addr, sourceIP, readBuffer)
	if err != nil {
		return nil, err
	}
	if err := p.Open("/?name=" + name); err != nil {
		_ = p.Close()
		return nil, err
	}
	return p, nil
}

func dialTCP(addr, sourceIP string, readBuffer int) (*peer, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	d := net.Dialer{}
	if sourceIP != "" {
		d.LocalAddr = &net.TCPAddr{IP: net.ParseIP(sourceIP)}
	}
	nc, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	tcp, _ := nc.(*net.TCPConn)
	err = tcp.SetDeadline(time.Now().Add(patience))
	if readBuffer > 0 {
		err = errors.Join(err, tcp.SetReadBuffer(readBuffer))
	}
	return &peer{wiretest.NewConn(tcp), tcp}, err
}

// connect is dial for a test: it connects to the test's server.
func (s *server) connect(name string) *peer {
	s.t.Helper()
	p, err := dial(s.addr, name, "", 0)
	require.NoError(s.t, err)
	s.t.Cleanup(func() { _ = p.Close() })
	return p
}

// ask sends a message and returns the next text.
func (p *peer) ask(message string) (string, error) {
	if err := p.Send(wiretest.Text, message); err != nil {
		return "", err
	}
	first, reply, err := p.ReadFrame()
	if err == nil && first != wiretest.Text {
		err = fmt.Errorf("frame %#x %q instead of a text", first, reply)
	}
	return string(reply), err
}

// requireClose reads up to the server's Close frame and checks its code. For 1006 it
// reads up to the end of the stream, which must come without a Close frame.
func (p *peer) requireClose(t *testing.T, code int) {
	t.Helper()
	for {
		switch first, payload, err := p.ReadFrame(); {
		case err != nil:
			require.Equal(t, 1006, code, "the stream ended with %v", err)
			return
		case first == wiretest.Close:
			got, reason := wiretest.ParseClose(payload)
			require.Equal(t, code, got, "reason %q", reason)
			return
		}
	}
}

// flood writes the same bytes again and again, as often as times says. If times is 0,
// it writes until the connection ends, and returns the error.
func (p *peer) flood(b []byte, times int) error {
	for n := 0; times == 0 || n < times; n++ {
		if _, err := p.Write(b); err != nil {
			return err
		}
	}
	return nil
}

// slowly is the pause of a slow client between two bytes.
const slowly = 10 * time.Millisecond

// dribble sends one byte at a time, again and again, until the connection ends.
func (p *peer) dribble(s string) error {
	for {
		if err := p.sendSlowly([]byte(s)); err != nil {
			return err
		}
	}
}

func (p *peer) sendSlowly(b []byte) error {
	ticker := time.NewTicker(slowly)
	defer ticker.Stop()
	for n := range b {
		if _, err := p.Write(b[n : n+1]); err != nil {
			return err
		}
		<-ticker.C
	}
	return nil
}

// requireServes checks that a new client is served now.
func (s *server) requireServes(t *testing.T, name string) {
	t.Helper()
	p := s.connect(name)
	require.NoError(t, p.Send(wiretest.Ping, name))
	first, payload, err := p.ReadFrame()
	require.NoError(t, err)
	require.Equal(t, byte(wiretest.Pong), first)
	require.Equal(t, name, string(payload))
	require.NoError(t, p.Close())
}

// repeat joins copies of a frame into one write.
func repeat(b []byte, times int) []byte { return []byte(strings.Repeat(string(b), times)) }
