package flood_test

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// First bytes of frames.
const (
	contFrame = 0x00
	text      = 0x81
	textBegin = 0x01
	closing   = 0x88
	ping      = 0x89
	pong      = 0x8a
)

// peer is a client that speaks bytes, so that it can be as rude as it likes.
type peer struct {
	nc *net.TCPConn
	br *bufio.Reader
}

// patience is how long a peer waits for anything.
const patience = 4 * time.Minute

// dial connects a client of that name from a source IP, "" being any.
func dial(addr, name, sourceIP string, readBuffer int) (*peer, error) {
	p, err := dialTCP(addr, sourceIP, readBuffer)
	if err != nil {
		return nil, err
	}
	resp, err := p.upgrade(addr, name) //nolint:bodyclose // upgrade does
	if err == nil && resp.StatusCode != http.StatusSwitchingProtocols {
		err = fmt.Errorf("upgrade refused: %s", resp.Status)
	}
	if err != nil {
		_ = p.nc.Close()
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
	return &peer{nc: tcp, br: bufio.NewReader(tcp)}, err
}

func upgradeRequest(addr, name string) string {
	return "GET /?name=" + name + " HTTP/1.1\r\nHost: " + addr + "\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
}

// upgrade returns the answer to an upgrade request, its body read.
func (p *peer) upgrade(addr, name string) (*http.Response, error) {
	if _, err := io.WriteString(p.nc, upgradeRequest(addr, name)); err != nil {
		return nil, err
	}
	resp, err := http.ReadResponse(p.br, nil)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusSwitchingProtocols {
		_, err = io.Copy(io.Discard, resp.Body)
	}
	return resp, errors.Join(err, resp.Body.Close())
}

// connect is dial within a test, to whose server it connects.
func (s *server) connect(name string) *peer {
	s.t.Helper()
	p, err := dial(s.addr, name, "", 0)
	require.NoError(s.t, err)
	s.t.Cleanup(func() { _ = p.nc.Close() })
	return p
}

// frame returns a frame of a client, whose mask is zero.
func frame(first byte, payload string) []byte {
	return append(announce(first, uint64(len(payload))), payload...)
}

// announce returns the header of a frame.
func announce(first byte, length uint64) []byte {
	b := []byte{first}
	switch {
	case length < 126:
		b = append(b, 0x80|byte(length))
	case length < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, 0x80|126), uint16(length))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 0x80|127), length)
	}
	return append(b, 0, 0, 0, 0)
}

func (p *peer) send(first byte, payload string) error {
	_, err := p.nc.Write(frame(first, payload))
	return err
}

// receive reads a frame. The payload counts until the next call.
func (p *peer) receive() (first byte, payload []byte, err error) {
	head, err := p.br.Peek(2)
	if err != nil {
		return 0, nil, err
	}
	first, size, length := head[0], 2, int(head[1])
	if length == 126 {
		if head, err = p.br.Peek(4); err != nil {
			return first, nil, err
		}
		size, length = 4, int(binary.BigEndian.Uint16(head[2:]))
	}
	if _, err = p.br.Discard(size); err != nil {
		return first, nil, err
	}
	payload = make([]byte, length) // at most 8 KiB: what is longer the gateway cuts
	_, err = io.ReadFull(p.br, payload)
	return first, payload, err
}

// ask sends a message and returns what comes next.
func (p *peer) ask(message string) (string, error) {
	if err := p.send(text, message); err != nil {
		return "", err
	}
	first, reply, err := p.receive()
	if err == nil && first != text {
		err = fmt.Errorf("frame %#x %q instead of a text", first, reply)
	}
	return string(reply), err
}

// requireClose reads on to the server's Close frame and checks its code, or, for
// 1006, to the end of the stream without one.
func (p *peer) requireClose(t *testing.T, code int) {
	t.Helper()
	for {
		switch first, payload, err := p.receive(); {
		case err != nil:
			require.Equal(t, 1006, code, "the stream ended with %v", err)
			return
		case first == closing:
			require.GreaterOrEqual(t, len(payload), 2)
			require.Equal(t, code, int(binary.BigEndian.Uint16(payload)), "reason %q", payload[2:])
			return
		}
	}
}

// flood writes the same bytes again and again, times times or, where that is 0,
// until the connection ends, of which it returns the error.
func (p *peer) flood(b []byte, times int) error {
	for n := 0; times == 0 || n < times; n++ {
		if _, err := p.nc.Write(b); err != nil {
			return err
		}
	}
	return nil
}

// slowly is how often a slow client sends or reads a byte.
const slowly = 10 * time.Millisecond

// dribble sends a byte at a time, again and again until the connection ends.
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
		if _, err := p.nc.Write(b[n : n+1]); err != nil {
			return err
		}
		<-ticker.C
	}
	return nil
}

// requireServes checks that a client is served, now.
func (s *server) requireServes(t *testing.T, name string) {
	t.Helper()
	p := s.connect(name)
	require.NoError(t, p.send(ping, name))
	first, payload, err := p.receive()
	require.NoError(t, err)
	require.Equal(t, byte(pong), first)
	require.Equal(t, name, string(payload))
	require.NoError(t, p.nc.Close())
}

// repeat joins copies of a frame to one write.
func repeat(b []byte, times int) []byte { return []byte(strings.Repeat(string(b), times)) }
