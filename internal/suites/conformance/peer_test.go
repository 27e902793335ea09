package conformance_test

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway/gatewaytest"
	"example.com/gateway/internal/suites/wiretest"
)

// patience bounds every wait for the server. Nothing here takes that long: a read
// that does has hung.
const patience = 30 * time.Second

// peer is a client that writes any bytes and reads well-formed frames. It writes on a
// goroutine of its own, so that neither side blocks because the other does not read.
type peer struct {
	*wiretest.Conn

	chop    bool
	out     chan []byte
	written chan struct{} // closed when the writer has ended
}

func dial(t *testing.T, srv *gatewaytest.Server, chop bool) *peer {
	t.Helper()
	c := wiretest.Dial(t, srv.HTTPClient()).Conn
	require.NoError(t, c.SetReadDeadline(time.Now().Add(patience)))
	p := &peer{Conn: c, chop: chop, out: make(chan []byte, 1024), written: make(chan struct{})}
	go p.write() // ends with close, which waits
	return p
}

// close ends the connection and the writer.
func (p *peer) close() {
	_ = p.Close()
	close(p.out)
	<-p.written
}

// send gives b to the writer. It never waits.
func (p *peer) send(b []byte) { p.out <- b }

// halfClose ends the client's stream after everything that was sent, if the transport
// can do that.
func (p *peer) halfClose() { p.out <- nil }

func (p *peer) write() {
	defer close(p.written)
	for b := range p.out {
		if b == nil {
			if half, ok := p.Conn.Conn.(interface{ CloseWrite() error }); ok {
				_ = half.CloseWrite()
			}
			continue
		}
		for _, piece := range p.pieces(b) {
			if _, err := p.Write(piece); err != nil {
				break // the server is gone; the reader will notice
			}
		}
	}
}

// pieces returns b as it will be written: as a whole or in pieces.
func (p *peer) pieces(b []byte) (pieces [][]byte) {
	size := 1
	switch {
	case !p.chop:
		return [][]byte{b}
	case len(b) > 4<<10:
		size = 997
	}
	for len(b) > size {
		pieces, b = append(pieces, b[:size]), b[size:]
	}
	return append(pieces, b)
}

// readEnd requires that the server ends the stream. If the client goes on sending
// after its Close frame, TCP may report the end as a reset.
func (p *peer) readEnd(orReset bool) error {
	err := p.ReadEnd()
	if orReset && errors.Is(err, syscall.ECONNRESET) {
		return nil
	}
	return err
}

// quiet requires that nothing comes for a second. Use it only in virtual time.
func (p *peer) quiet() error {
	_ = p.SetReadDeadline(time.Now().Add(time.Second))
	err := p.Peek()
	_ = p.SetReadDeadline(time.Now().Add(patience))
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		return fmt.Errorf("the server did not keep quiet: %w", err)
	}
	return nil
}

// expect reads until all of want has come. Data must come in this order. A Pong comes
// at its place or earlier, because control frames go first, and the Pong of a later
// Ping may replace it (RFC 6455, section 5.5.3).
func (p *peer) expect(want []frame) error {
	var data, pongs []frame
	before := []int{} // for each entry of data, how many Pongs must have come before it
	for _, f := range want {
		switch {
		case f.op == wiretest.OpPong:
			pongs = append(pongs, f)
		case !f.unanswered:
			data, before = append(data, f), append(before, len(pongs))
		}
	}
	for d, ponged := 0, 0; d < len(data) || ponged < len(pongs); {
		got, err := p.ReadMessage()
		switch {
		case err != nil:
			return fmt.Errorf("after %d messages and %d pongs: %w", d, ponged, err)
		case got.Op == wiretest.OpPong:
			n := indexPayload(pongs[ponged:], got.Payload)
			if n < 0 {
				return fmt.Errorf("a pong without a ping: %v", got)
			}
			ponged += n + 1
		case d == len(data), got.Op != data[d].op, got.Payload != data[d].payload:
			return fmt.Errorf("unexpected %v", got)
		case ponged < before[d]:
			return fmt.Errorf("%v overtook a pong", got)
		case data[d].packed != (got.Compressed > 0):
			return fmt.Errorf("%v has %d compressed bytes", got, got.Compressed)
		case data[d].frames > 0 && data[d].frames != got.Frames:
			return fmt.Errorf("%v in %d frames instead of %d", got, got.Frames, data[d].frames)
		default:
			d++
		}
	}
	return nil
}

func indexPayload(frames []frame, payload string) int {
	for n, f := range frames {
		if f.payload == payload {
			return n
		}
	}
	return -1
}

// checkSwitching requires that a 101 has what RFC 6455, section 4.2.2, demands, the
// expected extensions, and no subprotocol, because the gateway has chosen none.
func checkSwitching(a wiretest.Answer, accept, extensions string) error {
	for name, want := range map[string]string{"Upgrade": "websocket", "Connection": "upgrade"} {
		if v := a.Values(name); len(v) != 1 || !strings.EqualFold(v[0], want) {
			return fmt.Errorf("%s of the 101 is %q", name, v)
		}
	}
	if v := a.Values("Sec-WebSocket-Accept"); len(v) != 1 || v[0] != accept {
		return fmt.Errorf("Sec-WebSocket-Accept is %q instead of %q", v, accept)
	}
	if v := strings.Join(a.Values("Sec-WebSocket-Extensions"), ", "); v != extensions {
		return fmt.Errorf("extensions of the 101 are %q instead of %q", v, extensions)
	}
	for _, name := range []string{"Sec-WebSocket-Protocol", "Content-Length", "Transfer-Encoding"} {
		if v := a.Values(name); len(v) > 0 {
			return fmt.Errorf("the 101 has %s: %q", name, v)
		}
	}
	if !strings.HasPrefix(a.Line, "HTTP/1.1 ") {
		return fmt.Errorf("the 101 begins with %q", a.Line)
	}
	return nil
}
