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

// Ready funcs that block do not keep other sockets from being served, however many of
// them there are.
func TestPool_blocked(t *testing.T) {
	t.Parallel()
	requireServedBesideBlocked(t)
}

// TestPool_oneCore is not parallel, because it changes how many cores all tests have.
// With one core, all sockets are ready before the first is served.
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
				write(t, peers[i], "x") // so that many can be ready in one call to the kernel
			} else {
				blocked[i].Close() // queues the socket without an event from the kernel
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

// kept counts how often a ready func found it, and reports its end.
type kept struct {
	found int
	ended chan struct{}
}

func (k *kept) End() { close(k.ended) }

// The next ready func on the same goroutine finds what the one before has kept, until
// the goroutine ends: with the pool, or on its own.
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
			idle := func() { // otherwise the next ready func may run on another goroutine
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

// A ready func that ends its goroutine does not stop the others.
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

// Close waits for ready funcs that still run. Afterwards the pool can be used again.
func TestPool_Close(t *testing.T) {
	t.Parallel()
	var p poll.Pool
	p.Close() // a pool that has not started
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
		for range 100 { // gives Close time to get as far as it can
			runtime.Gosched()
		}
		close(release)
		require.True(t, wait(t, closed))
		p.Close() // a second Close does nothing
	}
}

// TestPool_descriptors is not parallel, because it would count what other tests open.
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
	t.Run("first", round) // the first round also opens the runtime's own poller
	before := descriptors()
	t.Run("second", round)
	require.Equal(t, before, descriptors())
}
