package poll_test

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway/internal/poll"
)

// counter is the pool's end of a connection. Its peer sends 0, 1, 2 and so on;
// counter checks each byte and sends it back.
type counter struct {
	poll.Socket
	piece  int         // bytes read at a time
	busy   atomic.Bool // a reader is running
	next   byte
	faults *faults
	ended  *sync.WaitGroup // done when the stream has ended
}

func (c *counter) serve(*poll.Keep) {
	if c.busy.Swap(true) {
		c.faults.add(errors.New("two readers at a time"))
	}
	p := make([]byte, c.piece)
	for {
		n, err := c.Read(p)
		for _, b := range p[:n] {
			if b != c.next {
				c.faults.add(fmt.Errorf("read %d, not %d", b, c.next))
			}
			c.next = b + 1
		}
		if n > 0 {
			if err := c.WriteAll(p[:n], nil); err != nil {
				c.faults.add(err)
			}
		}
		if errors.Is(err, poll.ErrAgain) {
			c.busy.Store(false)
			if c.Park() {
				return // the next reader may already run
			}
			if c.busy.Swap(true) {
				c.faults.add(errors.New("two readers after a Park that returned false"))
			}
			continue
		}
		if err != nil {
			if !errors.Is(err, io.EOF) {
				c.faults.add(err)
			}
			c.ended.Done()
			return
		}
	}
}

// count sends n bytes: next, next+1 and so on.
func count(nc net.Conn, next byte, n int) error {
	p := make([]byte, n)
	for i := range p {
		p[i] = next + byte(i)
	}
	_, err := nc.Write(p)
	return err
}

// counted reads n bytes and checks that they are next, next+1 and so on.
func counted(nc net.Conn, next byte, n int) error {
	p := make([]byte, n)
	if _, err := io.ReadFull(nc, p); err != nil {
		return err
	}
	for i := range p {
		if p[i] != next+byte(i) {
			return fmt.Errorf("got %d back, not %d", p[i], next+byte(i))
		}
	}
	return nil
}

// counters makes n counters and returns their peers.
func counters(t *testing.T, nw network, n int) (peers []net.Conn, seen *faults, ended *sync.WaitGroup) {
	t.Helper()
	p := newPool(t)
	seen, ended = new(faults), new(sync.WaitGroup)
	for i := range n {
		server, peer := nw.pair(t)
		c := &counter{piece: 1 + i%20, faults: seen, ended: ended}
		require.NoError(t, p.Adopt(&c.Socket, server, c.serve))
		t.Cleanup(c.Close)
		ended.Add(1)
		go c.serve(nil)
		peers = append(peers, peer)
	}
	return peers, seen, ended
}

// A thousand sockets answer a few clients at once: no byte is lost or read twice, and
// each socket has one reader at a time.
func TestPool_pingPong(t *testing.T) {
	t.Parallel()
	const sockets, clients, rounds = 1000, 4, 5
	peers, faults, ended := counters(t, networks()[0], sockets)
	var wg sync.WaitGroup
	for client := range clients {
		mine := peers[client*sockets/clients : (client+1)*sockets/clients]
		wg.Go(func() {
			var next byte
			for range rounds {
				n := 1 + rand.IntN(30)
				for _, peer := range mine {
					faults.add(count(peer, next, n))
				}
				for _, peer := range mine {
					faults.add(counted(peer, next, n))
				}
				next += byte(n)
			}
			for _, peer := range mine {
				faults.add(peer.Close())
			}
		})
	}
	wg.Wait()
	faults.require(t)
	ended.Wait()
	faults.require(t)
}

// Bytes are not forgotten when they arrive while the reader reads others or is about
// to park. Nor is the end of the stream right behind them.
func TestPool_stream(t *testing.T) {
	t.Parallel()
	for _, nw := range networks() {
		t.Run(nw.name, func(t *testing.T) {
			t.Parallel()
			const total = 20_000
			peers, faults, ended := counters(t, nw, 20)
			var wg sync.WaitGroup
			for _, peer := range peers {
				wg.Go(func() {
					for sent := 0; sent < total; {
						n := min(1+rand.IntN(40), total-sent)
						faults.add(count(peer, byte(sent), n))
						sent += n
					}
					half, _ := peer.(interface{ CloseWrite() error })
					faults.add(half.CloseWrite())
				})
				wg.Go(func() { faults.add(counted(peer, 0, total)) })
			}
			wg.Wait()
			faults.require(t)
			ended.Wait()
			faults.require(t)
		})
	}
}

// BenchmarkPingPong sends one byte back and forth on each of several sockets.
func BenchmarkPingPong(b *testing.B) {
	for _, sockets := range []int{1, 100} {
		b.Run(fmt.Sprintf("sockets=%d", sockets), func(b *testing.B) {
			p := newPool(b)
			peers := make([]net.Conn, sockets)
			for i := range peers {
				server, peer := tcpPair(b)
				require.NoError(b, peer.SetDeadline(time.Time{}))
				peers[i] = peer
				s, buf := new(poll.Socket), make([]byte, 8)
				echo := func(*poll.Keep) {
					for {
						n, err := s.Read(buf)
						if errors.Is(err, poll.ErrAgain) && s.Park() {
							return
						}
						if err != nil && !errors.Is(err, poll.ErrAgain) {
							return
						}
						_, _ = s.Write(buf[:n])
					}
				}
				require.NoError(b, p.Adopt(s, server, echo))
				b.Cleanup(s.Close)
				require.True(b, s.Park())
			}
			one := make([]byte, 1)
			b.ReportAllocs()
			for b.Loop() {
				for _, peer := range peers {
					if _, err := peer.Write(one); err != nil {
						b.Fatal(err)
					}
				}
				for _, peer := range peers {
					if _, err := peer.Read(one); err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}
