package soak_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"net/http/httptest"
	"os"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Environment variables that change the random soak.
const (
	durationEnv    = "GATEWAY_SOAK_DURATION"    // default 2s, with GATEWAY_LONG 15s; a real soak takes 10m
	seedEnv        = "GATEWAY_SOAK_SEED"        // default 1
	connectionsEnv = "GATEWAY_SOAK_CONNECTIONS" // default as many as possible
)

// How much may be left at the end.
const (
	spareDescriptors = 200 // besides those of the connections
	heapSlack        = 8 << 20
	// goroutineBytes is what the runtime keeps forever of a goroutine that has ended,
	// to reuse it; a connection that closes has two goroutines.
	goroutineBytes = 512
)

func randomPlan(t *testing.T) (p plan, duration time.Duration) {
	t.Helper()
	p = plan{Program: "random", Seed: 1, Connections: min(randomConnections, descriptorLimit()-spareDescriptors)}
	duration = randomDuration
	var err error
	if text := os.Getenv(durationEnv); text != "" {
		duration, err = time.ParseDuration(text)
		require.NoError(t, err)
	}
	if text := os.Getenv(seedEnv); text != "" {
		p.Seed, err = strconv.ParseUint(text, 10, 64)
		require.NoError(t, err)
	}
	if text := os.Getenv(connectionsEnv); text != "" {
		p.Connections, err = strconv.Atoi(text)
		require.NoError(t, err)
	}
	p.Rate = min(8000/slower, 4*p.Connections)
	return p, duration
}

// TestSoak_Random makes clients and a backend do everything that is allowed, at random. It
// compares both sides of every connection with what a simple model allows: messages,
// replies, posts, deletes, ends, $disconnect. At the end, nothing is left of the
// connections.
//
//	GATEWAY_LONG=1 GATEWAY_SOAK_DURATION=10m go test -v -timeout 20m -run TestSoak_Random ./internal/suites/soak
func TestSoak_Random(t *testing.T) {
	p, duration := randomPlan(t)
	t.Logf("seed %d, %d connections at a time, for %v", p.Seed, p.Connections, duration)
	s := newRandomServer(t, randomLateAfter)
	server := httptest.NewUnstartedServer(s.handler())
	server.Config.ConnContext = func(ctx context.Context, nc net.Conn) context.Context {
		_ = nc.(*net.TCPConn).SetWriteBuffer(64 << 10) //nolint:forcetypeassert // small, so that queues fill
		return ctx
	}
	server.Start()
	defer server.Close()
	defer s.gw.Close()
	s.url, p.Addr = server.URL, server.Listener.Addr().String()
	use := startUsage()

	clients := startClients(t, p)
	lines := followLines(clients, s.ledger)
	d := &backend{randomServer: s, rate: p.Rate, seed: p.Seed}
	noDeletes, noPosts := make(chan struct{}), make(chan struct{})
	d.start(noDeletes, noPosts)
	wait(t.Context(), duration)
	close(noDeletes)
	d.deleting.Wait()
	clients.say("drain")
	require.Equal(t, "drained", <-lines, "the clients have ended")
	for asked := time.Now(); s.ledger.unsettled() > 0 && time.Since(asked) < patience; { // if one is lost, the comparison at the end reports it
		wait(t.Context(), time.Millisecond)
	}
	s.ledger.beginShutdown(0)
	require.NoError(t, s.gw.Shutdown(t.Context())) // while posts still come
	close(noPosts)
	d.posting.Wait()
	require.Equal(t, "done", <-lines, "the clients have ended")
	_, more := <-lines
	require.False(t, more)

	left := s.ledger.settleAll()
	totals, err := json.Marshal(s.ledger.totals)
	require.NoError(t, err)
	t.Logf("%s", totals)
	require.Empty(t, s.ledger.faults, "%d faults", s.ledger.faulty)
	require.Zero(t, left)
	s.ledger.requireWork(t)
	s.http.CloseIdleConnections()
	clients.stop()
	*s.ledger = ledger{}
	use.requireBack(t, heapSlack+2*goroutineBytes*int64(p.Connections))
}

// followLines gives the clients' reports to the ledger, and returns all other lines.
func followLines(clients *clientProcess, l *ledger) <-chan string {
	lines := make(chan string, 2)
	go func() { // ends with the process, which the test stops
		defer close(lines)
		for clients.lines.Scan() {
			line := clients.lines.Bytes()
			if bytes.HasPrefix(line, []byte(`"`)) {
				lines <- string(bytes.Trim(line, `"`))
				continue
			}
			rep := &report{}
			if err := json.Unmarshal(line, rep); err != nil {
				l.fault(-1, "report %q: %v", line, err)
				continue
			}
			l.reported(rep)
		}
	}()
	return lines
}

// requireWork checks that a run has done some of everything.
func (l *ledger) requireWork(t *testing.T) {
	t.Helper()
	c := l.totals
	for what, n := range map[string]int{
		"messages": c.Messages, "replies": c.RepliesSent, "refused replies": c.RepliesRefused,
		"posts": c.PostsAccepted, "posts to the gone": c.PostsGone, "deletes": c.Deletes, "drops": c.Drops,
		"clients of Shutdown": c.Codes[1001], "violations": c.Codes[1003],
	} {
		require.Positive(t, n, what)
	}
}

// usage is what the process used at some time. It also watches the peak of the
// memory.
type usage struct {
	memory                  int64
	goroutines, descriptors int
	stop                    chan struct{}
	watching                sync.WaitGroup
	peak                    int64 // belongs to the watcher until the watcher has stopped
}

func startUsage() *usage {
	u := &usage{memory: memory(), goroutines: runtime.NumGoroutine(), descriptors: descriptors(), stop: make(chan struct{})}
	u.watching.Go(func() {
		ticker := time.NewTicker(time.Second)
		defer ticker.Stop()
		for {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			u.peak = max(u.peak, int64(m.HeapAlloc+m.StackInuse))
			select {
			case <-ticker.C:
			case <-u.stop:
				return
			}
		}
	})
	return u
}

// descriptors counts the open descriptors; it returns 0 if the system does not tell.
func descriptors() int {
	names, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0
	}
	return len(names)
}

// requireBack waits until there are as few goroutines and descriptors as at the
// start, and compares the memory.
func (u *usage) requireBack(t *testing.T, slack int64) {
	t.Helper()
	close(u.stop)
	u.watching.Wait()
	requireGoroutines(t, u.goroutines)
	require.LessOrEqual(t, descriptors(), u.descriptors, "descriptors were not closed")
	now := memory()
	t.Logf("heap and stacks: %d KiB at the start, %d KiB at the peak, %d KiB at the end", u.memory>>10, u.peak>>10, now>>10)
	require.Less(t, now, u.memory+slack, "memory was not released")
}
