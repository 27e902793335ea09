package poll_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway/internal/poll"
)

// marked is a connection on which both sides send only one byte value, its mark.
type marked struct {
	poll.Socket
	mark   byte
	faults *faults
	ended  chan struct{} // closed when the reader has seen Close
}

// check reports bytes that belong to another connection.
func (m *marked) check(side string, p []byte) {
	for _, b := range p {
		if b != m.mark {
			m.faults.add(fmt.Errorf("%s of %d read %d", side, m.mark, b))
			return
		}
	}
}

func (m *marked) serve(*poll.Keep) {
	p := make([]byte, 1000)
	for {
		n, err := m.Read(p)
		m.check("our end", p[:n])
		switch {
		case errors.Is(err, poll.ErrAgain):
			if m.Park() {
				return
			}
		case err != nil:
			if !errors.Is(err, net.ErrClosed) {
				m.faults.add(fmt.Errorf("our end: %w", err))
			}
			close(m.ended)
			return
		}
	}
}

// Close may run while others read, write and serve the socket. It must not close the
// descriptor while they use it: its number could already belong to another
// connection, whose peer would then read bytes that are not for it.
func TestSocket_Close_hammered(t *testing.T) {
	t.Parallel()
	const churners, rounds = 6, 60
	p, seen := newPool(t), new(faults)
	l, err := net.Listen("unix", t.TempDir()+"/s")
	require.NoError(t, err)
	defer l.Close()
	var accepting sync.Mutex // so that both ends belong to one connection
	connect := func() (server, client net.Conn, err error) {
		accepting.Lock()
		defer accepting.Unlock()
		if client, err = net.Dial("unix", l.Addr().String()); err != nil {
			return nil, nil, err
		}
		server, err = l.Accept()
		return server, client, errors.Join(err, client.SetDeadline(time.Now().Add(patience)))
	}
	var marks atomic.Uint32
	churn := func() error {
		server, peer, err := connect()
		if err != nil {
			return err
		}
		m := &marked{mark: byte(marks.Add(1)), faults: seen, ended: make(chan struct{})}
		if err := p.Adopt(&m.Socket, server, m.serve); err != nil {
			return err
		}
		block := make([]byte, 64<<10)
		for i := range block {
			block[i] = m.mark
		}
		var wg sync.WaitGroup
		wg.Go(func() { m.serve(nil) })
		wg.Go(func() {
			var err error
			for err == nil {
				err = m.WriteAll(block, within(patience))
			}
			if !errors.Is(err, net.ErrClosed) {
				seen.add(fmt.Errorf("our writer: %w", err))
			}
		})
		wg.Go(func() {
			for {
				if _, err := peer.Write(block[:1000]); err != nil {
					seen.add(unlessGone(err))
					return
				}
			}
		})
		var once sync.Once
		in := make([]byte, 8<<10)
		for read := 0; ; {
			n, err := peer.Read(in)
			m.check("the peer", in[:n])
			if err != nil {
				seen.add(unlessGone(err))
				break
			}
			if read += n; read > int(m.mark)<<10 { // at some point, different for each connection
				once.Do(func() { wg.Go(m.Close); wg.Go(m.Close) })
			}
		}
		wg.Wait()
		<-m.ended
		return peer.Close()
	}
	var wg sync.WaitGroup
	for range churners {
		wg.Go(func() {
			for range rounds {
				seen.add(churn())
			}
		})
	}
	wg.Wait()
	seen.require(t)
}

// unlessGone returns nil if err says that the other side has closed, else err.
func unlessGone(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET) {
		return nil
	}
	return err
}

// The place of a closed socket goes to the next socket. That one must not get events
// of the socket before it.
func TestSocket_Close_lateEvents(t *testing.T) {
	t.Parallel()
	const sockets = 8 // so that each loop has some
	p := newPool(t)
	ends := func() (ends []*end, peers []net.Conn) {
		for range sockets {
			server, peer := tcpPair(t)
			tcp, _ := server.(*net.TCPConn)
			kept, err := tcp.File() // while this is open, the kernel still reports events of the socket, although it is closed
			require.NoError(t, err)
			t.Cleanup(func() { _ = kept.Close() })
			ends, peers = append(ends, adopt(t, p, server)), append(peers, peer)
		}
		return ends, peers
	}
	witnesses, heard := ends()
	var late []net.Conn
	for range 5 {
		old, peers := ends()
		for i, e := range old {
			require.True(t, e.Park(), "it was called for the bytes of another socket")
			e.Close()
			wait(t, e.called)
			late = append(late, peers[i])
		}
		successors, _ := ends()
		for _, peer := range late {
			write(t, peer, "late")
		}
		for i, w := range witnesses { // a witness that is called for later bytes proves that its loop has handled the late events
			w.park(t)
			write(t, heard[i], "x")
			wait(t, w.called)
			_, err := w.read(10)
			require.ErrorIs(t, err, poll.ErrAgain)
		}
		for _, e := range successors {
			require.True(t, e.Park(), "it was called for the bytes of another socket")
			require.Empty(t, e.called)
			e.Close()
			wait(t, e.called)
		}
	}
}

// Places are used again: a closed socket holds none.
func TestSocket_Close_churn(t *testing.T) {
	t.Parallel()
	p := newPool(t)
	for round := range 300 {
		server, peer := tcpPair(t)
		e := adopt(t, p, server)
		e.park(t)
		write(t, peer, "x")
		if round%2 == 0 {
			wait(t, e.called) // otherwise Close could come together with the byte
		}
		e.Close()
		_, err := e.readToEnd(t, 1)
		require.ErrorIs(t, err, net.ErrClosed)
		_ = peer.Close()
		require.Less(t, p.Places(), 8)
	}
}
