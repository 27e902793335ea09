package poll_test

import (
	"fmt"
	"net"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway/internal/poll"
)

// many is more than the runners that stay when there is nothing to do.
const many = 100

// Ready funcs that block keep nobody from being served, however many there are.
func TestPool_blocked(t *testing.T) {
	t.Parallel()
	requireServedBesideBlocked(t)
}

// TestPool_oneCore is not parallel: it changes how many cores all have. With one,
// all sockets are ready before the first is served.
func TestPool_oneCore(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	for range 10 {
		t.Run("ready funcs that block", requireServedBesideBlocked)
		t.Run("runtime.Goexit", requireServedBesideGoexit)
	}
}

func requireServedBesideBlocked(t *testing.T) {
	t.Helper()
	p := newPool(t)
	release, started := make(chan struct{}), make(chan struct{}, 2*many)
	var running atomic.Int32
	blocked := make([]poll.Socket, 2*many)
	peers := make([]net.Conn, len(blocked))
	for i := range blocked {
		server, peer := tcpPair(t)
		require.NoError(t, p.Adopt(&blocked[i], server, func(*poll.Keep) {
			running.Add(1)
			started <- struct{}{}
			<-release
			running.Add(-1)
		}))
		t.Cleanup(blocked[i].Close)
		peers[i] = peer
		require.True(t, blocked[i].Park())
	}
	server, peer := tcpPair(t)
	e := adopt(t, p, server)
	t.Cleanup(sync.OnceFunc(func() { close(release) })) // before the pool is closed
	for _, half := range []int{0, 1} {
		for i := half * many; i < (half+1)*many; i++ {
			if i%2 == 0 {
				write(t, peers[i], "x") // many may be found ready at once
			} else {
				blocked[i].Close() // queued without a look at the kernel
			}
		}
		for range many {
			wait(t, started)
		}
		require.Equal(t, int32((half+1)*many), running.Load())
		e.park(t)
		write(t, peer, "x")
		wait(t, e.called)
	}
}

// kept counts how often it was found, and tells of its end.
type kept struct {
	found int
	ended chan struct{}
}

func (k *kept) End() { close(k.ended) }

// What a ready func keeps is there for the next one on its goroutine, until that
// ends: with the pool, or by itself.
func TestPool_keep(t *testing.T) {
	t.Parallel()
	for _, goexit := range []bool{false, true} {
		t.Run(fmt.Sprintf("goexit=%v", goexit), func(t *testing.T) {
			t.Parallel()
			p := newPool(t)
			server, peer := tcpPair(t)
			k := &kept{ended: make(chan struct{})}
			const rounds = 10
			called := make(chan int, 1)
			var s poll.Socket
			require.NoError(t, p.Adopt(&s, server, func(keep *poll.Keep) {
				if k.found == 0 {
					*keep = k
				}
				if *keep == k {
					k.found++
				}
				for err := error(nil); err == nil || !s.Park(); {
					_, err = s.Read(make([]byte, 10))
				}
				called <- k.found
				if k.found == rounds && goexit {
					runtime.Goexit()
				}
			}))
			t.Cleanup(s.Close)
			require.True(t, s.Park())
			idle := func() { // else the next one may be another goroutine's
				require.Eventually(t, func() bool { return p.Idle() == 1 }, patience, time.Millisecond)
			}
			for n := range rounds {
				if n > 0 {
					idle()
				}
				write(t, peer, "x")
				require.Equal(t, n+1, <-called)
			}
			if !goexit {
				idle()
				s.Close()
				<-called
				p.Close()
			}
			wait(t, k.ended)
		})
	}
}

// A ready func that ends its goroutine takes nobody with it.
func TestPool_Goexit(t *testing.T) {
	t.Parallel()
	requireServedBesideGoexit(t)
}

func requireServedBesideGoexit(t *testing.T) {
	t.Helper()
	p := newPool(t)
	called := make(chan struct{}, many)
	gone := make([]poll.Socket, many)
	peers := make([]net.Conn, many)
	for i := range gone {
		server, peer := tcpPair(t)
		require.NoError(t, p.Adopt(&gone[i], server, func(*poll.Keep) {
			defer func() { called <- struct{}{} }()
			runtime.Goexit()
		}))
		t.Cleanup(gone[i].Close)
		peers[i] = peer
		require.True(t, gone[i].Park())
	}
	for i := range gone {
		if i%2 == 0 {
			write(t, peers[i], "x")
		} else {
			gone[i].Close()
		}
	}
	for range gone {
		wait(t, called)
	}
	server, peer := tcpPair(t)
	e := adopt(t, p, server)
	e.park(t)
	write(t, peer, "x")
	wait(t, e.called)
}

// Close waits for ready funcs that run, and the pool can be used again after it.
func TestPool_Close(t *testing.T) {
	t.Parallel()
	var p poll.Pool
	p.Close() // of one that has not started
	for range 3 {
		server, peer := tcpPair(t)
		var s poll.Socket
		started, release := make(chan struct{}), make(chan struct{})
		var finished atomic.Bool
		require.NoError(t, p.Adopt(&s, server, func(*poll.Keep) {
			close(started)
			<-release
			finished.Store(true)
		}))
		require.True(t, s.Park())
		write(t, peer, "x")
		wait(t, started)
		s.Close()
		closed := make(chan bool)
		go func() {
			p.Close()
			closed <- finished.Load()
		}()
		for range 100 { // lets Close come as far as it may
			runtime.Gosched()
		}
		close(release)
		require.True(t, wait(t, closed))
		p.Close() // no harm
	}
}

// TestPool_descriptors is not parallel: what others open would count.
func TestPool_descriptors(t *testing.T) {
	descriptors := func() int {
		all, err := os.ReadDir("/proc/self/fd")
		require.NoError(t, err)
		return len(all)
	}
	round := func(t *testing.T) {
		t.Helper()
		p := newPool(t)
		for range 10 {
			for _, nw := range networks() {
				server, peer := nw.pair(t)
				e := adopt(t, p, server)
				e.park(t)
				write(t, peer, "x")
				wait(t, e.called)
			}
		}
	}
	t.Run("first", round) // the runtime's own poller opens, too
	before := descriptors()
	t.Run("second", round)
	require.Equal(t, before, descriptors())
}
