package flood_test

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
	"example.com/gateway/internal/suites/wiretest"
)

// Clients that begin an upgrade and do not finish it occupy nothing in the gateway,
// and their sockets only until ReadHeaderTimeout of the http.Server.
func TestHandshake_Slow(t *testing.T) {
	clients := 500 / tenth
	s := startWith(t, gateway.Quotas{Connections: 2}, 2*time.Second) // one for each client that is served below
	s.requireServes(t, "before")
	goroutines, before := runtime.NumGoroutine(), memory()
	request := wiretest.Upgrade("/?name=slow")
	line, _, _ := strings.Cut(request, "\r\n")
	ended := make(chan error, clients)
	for n := range clients {
		p, err := dialTCP(s.addr, fmt.Sprintf("127.0.1.%d", 1+n%200), 0)
		require.NoError(t, err)
		begin := []string{"", line[:1], line, line + "\r\n", request[:len(request)-1]}[n%5]
		_, err = io.WriteString(p, begin)
		require.NoError(t, err)
		go func() { // ends with the socket, which the server closes
			defer p.Close()
			if n%2 == 0 {
				_, err := io.Copy(io.Discard, p)
				ended <- err
				return
			}
			ended <- p.dribble("\r\nX-Pad: " + strings.Repeat("x", 1<<10))
		}()
	}
	s.requireServes(t, "meanwhile")
	require.LessOrEqual(t, s.open(), 1, "the gateway knows of nobody else")
	t.Logf("%d clients: memory grew by %d bytes each, clients included", clients, (memory()-before)/clients)
	for range clients {
		if err := <-ended; err != nil {
			require.NotErrorIs(t, err, os.ErrDeadlineExceeded, "the server cuts them")
		}
	}
	s.requireServes(t, "after")
	s.wait("the end of those that were served", func() bool { return len(s.left) == 3 })
	s.mu.Lock()
	require.Len(t, s.ids, 3, "no $connect for the others")
	s.mu.Unlock()
	requireGoroutines(t, goroutines)
	require.Less(t, memory()-before, overhead, "all memory is released")
}

// requireGoroutines waits until at most want goroutines are left.
func requireGoroutines(t *testing.T, want int) {
	t.Helper()
	for range 1000 {
		if runtime.NumGoroutine() <= want {
			return
		}
		<-time.After(time.Millisecond)
	}
	stacks := make([]byte, 1<<16)
	require.Fail(t, "goroutines are left", "%s", stacks[:runtime.Stack(stacks, true)])
}

// storm makes many clients ask for an upgrade at once, and returns those that got it.
// All others must get 429.
func (s *server) storm(clients int, sourceIP func(n int) string) (open []*peer) {
	s.t.Helper()
	type result struct {
		p      *peer
		status int
		err    error
	}
	results := make(chan result, clients)
	begin := make(chan struct{})
	for n := range clients {
		p, err := dialTCP(s.addr, sourceIP(n), 0)
		require.NoError(s.t, err)
		s.t.Cleanup(func() { _ = p.Close() })
		go func() { // ends with the answer; waited for below
			<-begin
			r := result{p: p}
			answer, err := p.Ask(wiretest.Upgrade(fmt.Sprint("/?name=storm", n)))
			r.status, r.err = answer.Status, err
			results <- r
		}()
	}
	close(begin)
	for range clients {
		r := <-results
		require.NoError(s.t, r.err)
		if r.status == http.StatusSwitchingProtocols {
			open = append(open, r.p)
		} else {
			require.Equal(s.t, http.StatusTooManyRequests, r.status)
			require.NoError(s.t, r.p.Close())
		}
	}
	return open
}

// Above a limit on connections, of one source or in total, upgrades are refused at
// once and without a $connect. Another source is still accepted, and so is a client
// that comes after somebody has left.
func TestHandshake_Caps(t *testing.T) {
	t.Parallel()
	clients, limit := 400/tenth, 100/tenth
	one := func(int) string { return "127.0.2.1" }
	many := func(n int) string { return fmt.Sprintf("127.0.3.%d", 1+n%200) }
	for _, tt := range []struct {
		name     string
		quotas   gateway.Quotas
		sourceIP func(n int) string
		others   int // status for a client of another source
	}{
		{"ConnectionsPerSourceIP", gateway.Quotas{ConnectionsPerSourceIP: limit}, one, 101},
		{"Connections", gateway.Quotas{Connections: limit}, many, 429},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := start(t, tt.quotas)
			open := s.storm(clients, tt.sourceIP)
			require.Len(t, open, limit)
			require.Equal(t, limit, s.open())
			s.requireUpgrade("127.0.4.1", tt.others)
			s.requireUpgrade(tt.sourceIP(0), 429)
			leaver := open[0]
			require.NoError(t, leaver.Send(wiretest.Close, ""))
			_, err := io.Copy(io.Discard, leaver)
			require.NoError(t, err)
			s.wait("the end of one", func() bool { return len(s.left) > 0 })
			s.wait("the refusals", func() bool { return s.rejected[429] >= clients-limit+1 })
			s.requireUpgrade(tt.sourceIP(0), 101)
			s.mu.Lock()
			defer s.mu.Unlock()
			require.Len(t, s.ids, s.open()+len(s.left), "no $connect for those that were refused")
		})
	}
}

// requireUpgrade checks the status of an upgrade from a source. The connection stays
// open.
func (s *server) requireUpgrade(sourceIP string, status int) {
	s.t.Helper()
	p, err := dialTCP(s.addr, sourceIP, 0)
	require.NoError(s.t, err)
	s.t.Cleanup(func() { _ = p.Close() })
	answer, err := p.Ask(wiretest.Upgrade("/?name=from-" + sourceIP))
	require.NoError(s.t, err)
	require.Equal(s.t, status, answer.Status)
}

// A flood of upgrades gets as many connections as NewConnections has tokens. The
// others cost the backend nothing. Messages of open connections go on.
func TestHandshake_NewConnections(t *testing.T) {
	t.Parallel()
	clients, burst := 500/tenth, 50/tenth
	s := start(t, gateway.Quotas{NewConnections: gateway.Throttle{RateLimit: 1e-6, BurstLimit: burst}})
	open := s.storm(clients, func(n int) string { return fmt.Sprintf("127.0.3.%d", 1+n%200) })
	require.Len(t, open, burst)
	for _, p := range open {
		require.NoError(t, p.Send(wiretest.Ping, ""))
		first, _, err := p.ReadFrame()
		require.NoError(t, err)
		require.Equal(t, byte(wiretest.Pong), first)
	}
	s.wait("the refusals", func() bool { return s.rejected[429] == clients-burst })
	s.mu.Lock()
	defer s.mu.Unlock()
	require.Len(t, s.ids, burst, "no $connect for those that were refused")
}
