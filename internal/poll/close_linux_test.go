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

// marked is a connection on which both sides send nothing but one byte.
type marked struct {
	poll.Socket
	mark   byte
	faults *faults
	ended  chan struct{} // closed when the reader has heard of Close
}

// check complains of bytes that belong to another connection.
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

// Close while the socket is read, written and served takes no descriptor from
// under them: it would be another connection's by then, whose peer read what is
// not meant for it.
func TestSocket_Close_hammered(t *testing.T) {
	t.Parallel()
	const churners, rounds = 6, 60
	p, seen := newPool(t), new(faults)
	l, err := net.Listen("unix", t.TempDir()+"/s")
	require.NoError(t, err)
	defer l.Close()
	var accepting sync.Mutex // so that both ends are of one connection
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
			if read += n; read > int(m.mark)<<10 { // sooner or later
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

// unlessGone returns err unless it says that the other side has closed.
func unlessGone(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET) {
		return nil
	}
	return err
}

// A place in the loop's table is given to the next socket, who hears nothing of
// what still happens to the one before.
func TestSocket_Close_lateEvents(t *testing.T) {
	t.Parallel()
	const sockets = 8 // some in each loop
	p := newPool(t)
	ends := func() (ends []*end, peers []net.Conn) {
		for range sockets {
			server, peer := tcpPair(t)
			tcp, _ := server.(*net.TCPConn)
			kept, err := tcp.File() // while this is open, the kernel tells of the socket though it is closed
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
			require.True(t, e.Park(), "it heard of another one's bytes")
			e.Close()
			wait(t, e.called)
			late = append(late, peers[i])
		}
		successors, _ := ends()
		for _, peer := range late {
			write(t, peer, "late")
		}
		for i, w := range witnesses { // whoever is told of later bytes proves that the loop knows of the late ones
			w.park(t)
			write(t, heard[i], "x")
			wait(t, w.called)
			_, err := w.read(10)
			require.ErrorIs(t, err, poll.ErrAgain)
		}
		for _, e := range successors {
			require.True(t, e.Park(), "it heard of another one's bytes")
			require.Empty(t, e.called)
			e.Close()
			wait(t, e.called)
		}
	}
}

// Places are used again and again: a socket that was closed has none.
func TestSocket_Close_churn(t *testing.T) {
	t.Parallel()
	p := newPool(t)
	for round := range 300 {
		server, peer := tcpPair(t)
		e := adopt(t, p, server)
		e.park(t)
		write(t, peer, "x")
		if round%2 == 0 {
			wait(t, e.called) // else Close comes together with the byte
		}
		e.Close()
		_, err := e.readToEnd(t, 1)
		require.ErrorIs(t, err, net.ErrClosed)
		_ = peer.Close()
		require.Less(t, p.Places(), 8)
	}
}
