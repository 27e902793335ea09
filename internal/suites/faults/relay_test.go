package faults_test

import (
	"errors"
	"io"
	"net"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// mode is what a direction of a relay does with bytes.
type mode int

const (
	flowing    mode = iota
	stalled         // stops reading, so that the sender's socket fills
	swallowing      // reads bytes and drops them
	holding         // reads bytes and keeps them until it flows again
	slicing         // passes each byte on its own
	over            // passes nothing any more
)

// relay is the network between one client and the server: two TCP connections and the
// bytes between them.
type relay struct {
	client, server *net.TCPConn // the relay's ends
	up, down       *direction   // to the server, to the client
}

// newRelay connects through a relay, and returns the client's socket.
func newRelay(t *testing.T, addr string) (*relay, *net.TCPConn) {
	t.Helper()
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = l.Close() }()
	socket := dialTCP(t, l.Addr().String())
	accepted, err := l.Accept()
	require.NoError(t, err)
	client, ok := accepted.(*net.TCPConn)
	require.True(t, ok)
	r := &relay{client: client, server: dialTCP(t, addr)}
	require.NoError(t, r.server.SetReadBuffer(socketBuffer))
	r.up, r.down = newDirection(r.client, r.server), newDirection(r.server, r.client)
	var pumps sync.WaitGroup
	pumps.Go(r.up.pump) // both end with the cleanup, which waits
	pumps.Go(r.down.pump)
	t.Cleanup(func() {
		r.both(over)
		_ = r.client.Close()
		_ = r.server.Close()
		pumps.Wait()
	})
	return r, socket
}

func dialTCP(t *testing.T, addr string) *net.TCPConn {
	t.Helper()
	var d net.Dialer
	nc, err := d.DialContext(t.Context(), "tcp", addr)
	require.NoError(t, err)
	t.Cleanup(func() { _ = nc.Close() })
	tcp, ok := nc.(*net.TCPConn)
	require.True(t, ok)
	return tcp
}

func (r *relay) both(m mode) {
	r.up.set(m)
	r.down.set(m)
}

// cut ends both connections with a FIN. A direction that is stalled stays stalled: a
// peer that has left does not read.
func (r *relay) cut() {
	r.up.set(swallowing)
	if r.down.is() != stalled {
		r.down.set(swallowing)
	}
	_ = r.server.CloseWrite()
	_ = r.client.CloseWrite()
}

// reset ends both connections with a RST.
func (r *relay) reset() {
	r.both(over)
	for _, nc := range []*net.TCPConn{r.server, r.client} {
		_ = nc.SetLinger(0)
		_ = nc.Close()
	}
}

func (r *relay) stall()    { r.both(stalled) }
func (r *relay) halfOpen() { r.both(swallowing) }
func (r *relay) slice()    { r.both(slicing) }

// direction passes bytes in one direction.
type direction struct {
	src, dst *net.TCPConn

	mu      sync.Mutex // guards the fields below
	changed *sync.Cond // for the mode
	mode    mode
	held    []byte
	left    int    // bytes until strike is called
	strike  func() // nil: none
}

func newDirection(src, dst *net.TCPConn) *direction {
	d := &direction{src: src, dst: dst}
	d.changed = sync.NewCond(&d.mu)
	return d
}

// set changes the mode. It first sends the bytes that were held, unless the new mode
// passes nothing.
func (d *direction) set(m mode) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.mode == over {
		return
	}
	d.mode = m
	if m == flowing {
		_, _ = d.dst.Write(d.held) // only a few bytes, so this does not block
		d.held = nil
	}
	d.changed.Broadcast()
}

func (d *direction) is() mode {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.mode
}

// after makes strike be called after the next n bytes, which still pass.
func (d *direction) after(n int, strike func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.left, d.strike = n, strike
}

func (d *direction) pump() {
	buf := make([]byte, 4<<10)
	for {
		n, err := d.src.Read(buf)
		d.forward(buf[:n])
		if err == nil {
			continue
		}
		if d.is() == flowing || d.is() == slicing { // the end of the stream passes as bytes do
			if !errors.Is(err, io.EOF) {
				_ = d.dst.SetLinger(0)
				_ = d.dst.Close()
				return
			}
			_ = d.dst.CloseWrite()
		}
		return
	}
}

// forward treats b according to the mode, which may change in the meantime.
func (d *direction) forward(b []byte) {
	for len(b) > 0 {
		piece, m, strike := d.take(b)
		if m == flowing || m == slicing {
			if _, err := d.dst.Write(piece); err != nil {
				return
			}
		}
		b = b[len(piece):]
		if strike != nil {
			strike()
		}
	}
}

// take returns the next piece of b, the mode for it, and what to call after it. It
// waits while the direction is stalled.
func (d *direction) take(b []byte) (piece []byte, m mode, strike func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for d.mode == stalled {
		d.changed.Wait()
	}
	if d.mode == slicing {
		b = b[:1]
	}
	if d.strike != nil {
		if len(b) >= d.left {
			b, strike, d.strike = b[:d.left], d.strike, nil
		}
		d.left -= len(b)
	}
	if d.mode == holding {
		d.held = append(d.held, b...)
	}
	return b, d.mode, strike
}
