package soak_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway/internal/suites/wiretest"
	"example.com/gateway/internal/testutil"
)

// shutdownGrace is how long a shutdown waits for the answers of a connection's
// integrations.
const shutdownGrace = 5 * time.Second

// fire is a gateway with busy clients.
type fire struct {
	*randomServer
	clients    *clientProcess
	lines      <-chan string
	addr       string
	goroutines int
}

func openFire(t *testing.T, program string, clients int) *fire {
	t.Helper()
	f := &fire{randomServer: newRandomServer(t, 10*time.Second)}
	server := httptest.NewServer(f.handler())
	t.Cleanup(server.Close)
	t.Cleanup(func() { _ = f.gw.Close() })
	f.addr = server.Listener.Addr().String()
	f.goroutines = runtime.NumGoroutine()
	f.clients = startClients(t, plan{Program: program, Addr: f.addr, Connections: clients, Seed: 1})
	f.lines = followLines(f.clients, f.ledger)
	require.Equal(t, "busy", <-f.lines, "the clients have ended")
	return f
}

// cease waits for the clients. It checks that both sides agree on every connection,
// and that nothing is left.
func (f *fire) cease(t *testing.T, connections int) {
	t.Helper()
	require.Equal(t, "done", <-f.lines, "the clients have ended")
	_, more := <-f.lines
	require.False(t, more)
	left := f.ledger.settleAll()
	totals := &f.ledger.totals
	t.Logf("%+v", *totals)
	require.Empty(t, f.ledger.faults, "%d faults", f.ledger.faulty)
	require.Zero(t, left)
	require.Equal(t, map[int]int{1001: connections}, totals.Codes, "$disconnect once for every connection")
	require.Positive(t, totals.RepliesSent)
	f.clients.stop()
	requireGoroutines(t, f.goroutines)
}

func busyClients(t *testing.T) int {
	t.Helper()
	return min(busyConnections, descriptorLimit()-spareDescriptors)
}

// A shutdown while every client has messages with integrations. Every integration
// that began returns, and its reply arrives before the Close frame, unless it took
// longer than the grace period. No connection is cut. Upgrades are refused, except
// those that had begun.
func TestShutdown_UnderFire(t *testing.T) {
	testutil.NeedsLong(t) // the grace period, and integrations that take longer
	clients := busyClients(t)
	f := openFire(t, "busy", clients)
	f.clients.say("hold")
	for range heldUpgrades {
		<-f.holding
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute) // a limit for slow machines
	defer cancel()
	f.ledger.beginShutdown(shutdownGrace)
	start := time.Now()
	over := make(chan error, 1)
	go func() { over <- f.gw.Shutdown(ctx) }()
	refused := 0
	for ended := false; !ended; {
		select {
		case err := <-over:
			require.NoError(t, err)
			ended = true
		case <-time.After(10 * time.Millisecond):
			accepted := f.probe(t)
			require.False(t, accepted && refused > 0, "an upgrade was accepted after one was refused")
			if !accepted {
				refused++
			}
			if refused == 1 {
				close(f.release)
			}
		}
	}
	t.Logf("%d connections closed in %v; %d upgrades were refused meanwhile", clients+heldUpgrades, time.Since(start), refused)
	require.Positive(t, refused)
	f.cease(t, clients+heldUpgrades)
	require.Positive(t, f.ledger.totals.RepliesRefused, "some replies took longer than the grace")
}

// probe tries an upgrade during a shutdown. If it comes before the shutdown has
// begun, it is accepted, and probe drops it at once.
func (f *fire) probe(t *testing.T) (accepted bool) {
	t.Helper()
	nc, err := dialTCP(f.addr, 1)
	require.NoError(t, err)
	defer nc.Close()
	answer, err := nc.Ask(wiretest.Upgrade("/?refuse&life=0"))
	require.NoError(t, err)
	if answer.Status == http.StatusForbidden { // $connect ran and refused it
		return true
	}
	require.Equal(t, http.StatusServiceUnavailable, answer.Status)
	require.Equal(t, "1", answer.Get("Retry-After"))
	return false
}

// A shutdown whose context ends early: it cuts the remaining connections and does not
// wait for integrations that ignore their context. Every $disconnect still comes.
func TestShutdown_UnderFire_cut(t *testing.T) {
	clients := busyClients(t)
	f := openFire(t, "cut", clients)
	f.clients.say("go on")
	ctx, cancel := context.WithTimeout(t.Context(), time.Second/2)
	defer cancel()
	f.ledger.beginShutdown(0)
	over := make(chan error, 1)
	go func() { over <- f.gw.Shutdown(ctx) }()
	select {
	case err := <-over:
		require.ErrorIs(t, err, context.DeadlineExceeded)
		t.Log(err)
	case <-time.After(patience):
		require.Fail(t, "Shutdown does not end")
	}
	require.NoError(t, f.gw.Shutdown(t.Context()), "all has ended")
	f.cease(t, clients)
}
