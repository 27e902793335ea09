package faults_test

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// First bytes of frames.
const (
	fragment = 0x01 // of a text, the first of several
	last     = 0x80 // fragment of several
	text     = 0x81
	closing  = 0x88
	ping     = 0x89
	pong     = 0x8a
)

// patience bounds every wait of a test. It is no claim: what has to happen within
// a quota is shown by there being no other.
const patience = time.Minute

// peer is a client that speaks bytes.
type peer struct {
	t  testing.TB
	nc net.Conn
	br *bufio.Reader
}

func newPeer(t testing.TB, nc net.Conn) *peer {
	t.Helper()
	require.NoError(t, nc.SetDeadline(time.Now().Add(patience)))
	return &peer{t: t, nc: nc, br: bufio.NewReader(nc)}
}

// request returns an upgrade request.
func request(query string) []byte {
	return []byte("GET /?" + query + " HTTP/1.1\r\nHost: faults.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
}

// frame returns a frame of a client, whose mask is zero.
func frame(first byte, payload string) []byte {
	b := []byte{first}
	switch n := len(payload); {
	case n < 126:
		b = append(b, 0x80|byte(n))
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, 0x80|126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 0x80|127), uint64(n))
	}
	return append(append(b, 0, 0, 0, 0), payload...)
}

// closeFrame returns the Close frame of a client that leaves by itself.
func closeFrame() []byte { return frame(closing, closePayload(leaving.code, leaving.reason)) }

func closePayload(code int, reason string) string {
	return string(binary.BigEndian.AppendUint16(nil, uint16(code))) + reason
}

// write fails the test on no error: a fault may have ended the connection.
func (p *peer) write(b []byte) { _, _ = p.nc.Write(b) }

// upgrade sends the request and requires a 101.
func (p *peer) upgrade(query string) {
	p.t.Helper()
	p.write(request(query))
	p.requireUpgraded()
}

func (p *peer) requireUpgraded() {
	p.t.Helper()
	require.NoError(p.t, p.upgraded())
}

// upgraded reads the answer to the request, which has to be a 101.
func (p *peer) upgraded() error {
	resp, err := http.ReadResponse(p.br, nil)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusSwitchingProtocols {
		return errors.Join(fmt.Errorf("refused with %s", resp.Status), resp.Body.Close())
	}
	return resp.Body.Close()
}

// next reads a frame, as far as a server sends them.
func (p *peer) next() (first byte, payload []byte, err error) {
	var head [8]byte
	if _, err := io.ReadFull(p.br, head[:2]); err != nil {
		return 0, nil, err
	}
	first, n := head[0], uint64(head[1])
	switch n {
	case 126:
		_, err = io.ReadFull(p.br, head[:2])
		n = uint64(binary.BigEndian.Uint16(head[:]))
	case 127:
		_, err = io.ReadFull(p.br, head[:])
		n = binary.BigEndian.Uint64(head[:])
	}
	if err != nil || n > 1<<20 {
		return 0, nil, fmt.Errorf("a frame of %d bytes: %w", n, err)
	}
	payload = make([]byte, n)
	_, err = io.ReadFull(p.br, payload)
	return first, payload, err
}

// message reads a whole message, answering pings before it.
func (p *peer) message() (message string, err error) {
	for {
		first, payload, err := p.next()
		switch {
		case err != nil:
			return "", err
		case first == ping:
			p.write(frame(pong, string(payload)))
			continue
		case first&0x0f > text&0x0f:
			return "", fmt.Errorf("frame %#x %q", first, payload)
		}
		message += string(payload)
		if first&0x80 != 0 {
			return message, nil
		}
	}
}

func (p *peer) requireMessage(want string) {
	p.t.Helper()
	got, err := p.message()
	require.NoError(p.t, err)
	require.Equal(p.t, want, got)
}

// requireClose reads the server's Close frame.
func (p *peer) requireClose(want end) {
	p.t.Helper()
	first, payload, err := p.next()
	require.NoError(p.t, err)
	require.Equal(p.t, byte(closing), first)
	require.Equal(p.t, closePayload(want.code, want.reason), string(payload))
}

// requireEnd reads the end of the stream.
func (p *peer) requireEnd() {
	p.t.Helper()
	_, err := p.br.ReadByte()
	require.ErrorIs(p.t, err, io.EOF)
}

// leave closes as a client does, and requires that the server does its part.
func (p *peer) leave() {
	p.t.Helper()
	p.write(closeFrame())
	p.requireClose(leaving)
	p.requireEnd()
}
