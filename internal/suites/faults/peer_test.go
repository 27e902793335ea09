package faults_test

import (
	"fmt"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway/internal/suites/wiretest"
)

// patience bounds every wait of a test. It proves nothing about time: to show that
// something happens because of a quota, a scene has no other time quota.
const patience = time.Minute

// peer is a client. Its helpers fail the test, if it belongs to one.
type peer struct {
	*wiretest.Conn

	t testing.TB
}

func newPeer(t testing.TB, nc net.Conn) *peer {
	t.Helper()
	require.NoError(t, nc.SetDeadline(time.Now().Add(patience)))
	return &peer{wiretest.NewConn(nc), t}
}

// request returns an upgrade request.
func request(query string) []byte { return []byte(wiretest.Upgrade("/?" + query)) }

// closeFrame returns the Close frame of a client that leaves on its own.
func closeFrame() []byte { return wiretest.CloseFrame(leaving.code, leaving.reason) }

// write ignores errors, because a fault may have ended the connection.
func (p *peer) write(b []byte) { _, _ = p.Write(b) }

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

// upgraded reads the answer to the request, which must be a 101.
func (p *peer) upgraded() error {
	answer, err := p.ReadAnswer()
	if err == nil && answer.Status != http.StatusSwitchingProtocols {
		err = fmt.Errorf("refused with %q", answer.Line)
	}
	return err
}

// next reads a message or a Close frame. It answers the pings before it.
func (p *peer) next() (wiretest.Message, error) {
	for {
		m, err := p.ReadMessage()
		if err != nil || m.Op != wiretest.OpPing {
			return m, err
		}
		p.write(wiretest.Frame(wiretest.Pong, m.Payload))
	}
}

// message reads a message. It answers the pings before it.
func (p *peer) message() (string, error) {
	m, err := p.next()
	if err == nil && m.Op != wiretest.OpText {
		err = fmt.Errorf("unexpected %v", m)
	}
	return m.Payload, err
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
	m, err := p.ReadMessage()
	require.NoError(p.t, err)
	require.Equal(p.t, wiretest.Message{Op: wiretest.OpClose, Payload: wiretest.ClosePayload(want.code, want.reason), Frames: 1}, m)
}

// requireEnd reads the end of the stream.
func (p *peer) requireEnd() {
	p.t.Helper()
	require.NoError(p.t, p.ReadEnd())
}

// leave closes the connection normally, and checks the server's part.
func (p *peer) leave() {
	p.t.Helper()
	p.write(closeFrame())
	p.requireClose(leaving)
	p.requireEnd()
}
