package faults_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
	"example.com/gateway/internal/suites/wiretest"
)

// requirePost checks what a post returns, unless the gateway has already noticed the
// end. A send buffer that was full may first have to drain.
func (s *scene) requirePost(want posts) {
	s.t.Helper()
	s.poll("a post", func() bool {
		err := s.post("x")
		if want.err == nil && errors.Is(err, gateway.ErrLimitExceeded) {
			return false
		}
		if !errors.Is(err, gateway.ErrGone) {
			require.ErrorIs(s.t, err, want.err)
		}
		return true
	})
}

// awaitGone waits until the gateway has noticed the end.
func (s *scene) awaitGone() {
	s.t.Helper()
	s.poll("ErrGone", func() bool {
		_, err := s.GetConnection(s.t.Context(), s.id())
		return errors.Is(err, gateway.ErrGone)
	})
}

// poll calls ok again and again, because nothing reports the change.
func (s *scene) poll(what string, ok func() bool) {
	s.t.Helper()
	for begin := time.Now(); !ok(); <-time.After(time.Millisecond) {
		require.Less(s.t, time.Since(begin), patience, what)
	}
}

// shutDown begins a Shutdown that has enough time.
func (s *scene) shutDown() {
	s.shutdown = make(chan error, 1)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	s.t.Cleanup(cancel)
	go func() { s.shutdown <- s.Shutdown(ctx) }() // requireEnd waits for it
}

// requireOver waits until the connection of the relay has ended and its $disconnect
// has run. From then on it is gone.
func (s *scene) requireOver() {
	s.t.Helper()
	id := s.id()
	s.await("$disconnect", func() bool { return len(s.ends[id]) > 0 })
	require.Empty(s.t, slices.Collect(s.Connections()))
	require.ErrorIs(s.t, s.post("too late"), gateway.ErrGone)
	_, err := s.GetConnection(s.t.Context(), id)
	require.ErrorIs(s.t, err, gateway.ErrGone)
	require.ErrorIs(s.t, s.DeleteConnection(s.t.Context(), id), gateway.ErrGone)
}

// requireServes checks that another client is served, from the handshake to the
// close, unless the gateway is shutting down.
func (s *scene) requireServes() {
	s.t.Helper()
	p := newPeer(s.t, dialTCP(s.t, s.addr))
	if s.shutdown != nil {
		p.write(request(""))
		answer, err := p.ReadAnswer()
		require.NoError(s.t, err)
		require.Equal(s.t, http.StatusServiceUnavailable, answer.Status)
		return
	}
	p.upgrade("")
	p.write(wiretest.Frame(wiretest.Text, "fresh"))
	p.requireMessage("fresh")
	p.leave()
}

// requireEnd checks that everything that began has ended once, with the expected code
// and reason.
func (s *scene) requireEnd(told end) {
	s.t.Helper()
	if told != nobody {
		s.requireOver()
	}
	s.requireServes()
	if s.shutdown == nil {
		s.shutDown()
	}
	select {
	case err := <-s.shutdown:
		require.NoError(s.t, err) // no code of the gateway runs any more
	case <-time.After(patience):
		require.FailNow(s.t, "Shutdown waits for something")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	want := map[string][]end{}
	opened := slices.Clone(s.opened)
	if told != nobody {
		require.NotEmpty(s.t, opened)
		want[opened[0]], opened = []end{told}, opened[1:]
	}
	for _, id := range opened {
		want[id] = []end{leaving}
	}
	require.Equal(s.t, want, s.ends, "one $disconnect for each that opened")
	require.Equal(s.t, want, s.closed, "and the observer is told the same, once")
	for id, events := range s.events {
		requireLifeCycle(s.t, id, events, want)
	}
	for _, err := range s.refused {
		require.True(s.t, errors.Is(err, gateway.ErrGone) || errors.Is(err, gateway.ErrLimitExceeded), "%v", err)
	}
}

// requireLifeCycle checks the events of a connection: CONNECT comes first and
// DISCONNECT last; a connection that never opened has no DISCONNECT.
func requireLifeCycle(t *testing.T, id string, events []gateway.EventType, want map[string][]end) {
	t.Helper()
	require.Equal(t, gateway.EventConnect, events[0])
	middle := events[1:]
	if want[id] != nil {
		require.Equal(t, gateway.EventDisconnect, events[len(events)-1])
		middle = events[1 : len(events)-1]
	}
	for _, event := range middle {
		require.Equal(t, gateway.EventMessage, event)
	}
	require.True(t, want[id] != nil || len(middle) == 0, "messages of a connection that never opened")
}
