package faults_test

import (
	"context"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
	"example.com/gateway/internal/suites/wiretest"
)

// closings are ends whose frames come late, or together with the end of the socket,
// or behind bytes that nobody reads.
var closings = []struct {
	name string
	bound
	play func(s *scene)
	told end
}{
	{"a Close that comes behind DeleteConnection's is its answer", atOnce, func(s *scene) {
		s.holdClose()
		require.NoError(s.t, s.DeleteConnection(s.t.Context(), s.id()))
		s.client.requireClose(deleted)
		s.relay.up.set(flowing)
		s.client.requireEnd()
	}, deleted},
	{"a Close that comes behind Shutdown's is its answer", atOnce, func(s *scene) {
		s.holdClose()
		s.shutDown()
		s.client.requireClose(away)
		s.relay.up.set(flowing)
		s.client.requireEnd()
	}, away},
	{"a Close that comes behind the idle timeout's is its answer", idleTimeout, func(s *scene) {
		s.holdClose()
		s.client.requireClose(away)
		s.relay.up.set(flowing)
		s.client.requireEnd()
	}, away},
	{"a Close that comes when the pings have ended all changes nothing", pings, func(s *scene) {
		s.holdClose()
		s.requireOver()
		s.relay.up.set(flowing)
	}, abnormal},
	{"a Close that comes when a write has ended all changes nothing", writeTimeout, func(s *scene) {
		s.holdClose()
		s.stick()
		s.requireOver()
		s.relay.up.set(flowing)
	}, unread},

	{"a Close with a FIN right behind it", atOnce, func(s *scene) {
		s.sendThen((*relay).cut, closeFrame())
	}, leaving},
	{"a Close with a RST right behind it", atOnce, func(s *scene) {
		s.sendThen((*relay).reset, closeFrame())
	}, leaving},
	{"a message with a FIN right behind it is still processed", atOnce, func(s *scene) {
		s.sendThen((*relay).cut, wiretest.Frame(wiretest.Text, "last words"))
		s.await("the message", func() bool { return s.done == 1 })
	}, abnormal},
	{"a message and a Close with a FIN right behind them", atOnce, func(s *scene) {
		s.sendThen((*relay).cut, append(wiretest.Frame(wiretest.Text, "last words"), closeFrame()...))
		s.await("the message", func() bool { return s.done == 1 })
	}, leaving},
	{"all of it before the 101, and then a FIN", atOnce, func(s *scene) {
		all := slices.Concat(request("wait"), wiretest.Frame(wiretest.Text, "first and last"), closeFrame())
		s.relay.up.after(len(all), s.relay.cut)
		s.client.write(all)
		s.receive("$connect", s.entered)
		close(s.release)
		s.await("the message", func() bool { return s.done == 1 })
	}, leaving},

	{"a Close of a client that reads no more", writeTimeout, func(s *scene) {
		s.open()
		s.stick()
		s.client.write(closeFrame())
	}, leaving},
	{"DeleteConnection of a client that reads no more", writeTimeout, func(s *scene) {
		s.open()
		s.stick()
		require.NoError(s.t, s.DeleteConnection(s.t.Context(), s.id()))
		require.ErrorIs(s.t, s.post("too late"), gateway.ErrGone)
	}, unread},
	{"Shutdown with a client that reads no more", writeTimeout, func(s *scene) {
		s.open()
		s.stick()
		s.shutDown()
	}, unread},
	{"a client that reads on gets all that was accepted, then the Close", atOnce, func(s *scene) {
		s.open()
		s.stick()
		require.NoError(s.t, s.DeleteConnection(s.t.Context(), s.id()))
		s.relay.down.set(flowing)
		for range sendBufferMessages {
			s.client.requireMessage(large)
		}
		s.client.requireClose(deleted)
		s.answerClose()
	}, deleted},
	{"$connect refuses a client that has left", atOnce, func(s *scene) {
		s.client.write(request("wait&refuse"))
		s.receive("$connect", s.entered)
		s.relay.cut()
		s.receive("net/http notes that the client left", s.left)
		close(s.release)
		s.await("the refusal", func() bool { return slices.Equal(s.rejected, []int{401}) && s.dropped == 1 })
	}, nobody},
}

func TestClosings(t *testing.T) {
	t.Parallel()
	for _, tc := range closings {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			quotas := tc.quotas
			quotas.SendBufferMessages = sendBufferMessages
			s := newScene(t, quotas)
			tc.play(s)
			s.requireEnd(tc.told)
		})
	}
}

// holdClose lets the client close while the network holds its Close frame back.
func (s *scene) holdClose() {
	s.t.Helper()
	s.open()
	s.relay.up.set(holding)
	s.client.write(closeFrame())
}

// sendThen makes the fault happen right after the bytes that the client sends.
func (s *scene) sendThen(strike func(*relay), sent []byte) {
	s.t.Helper()
	s.open()
	s.relay.up.after(len(sent), func() { strike(s.relay) })
	s.client.write(sent)
}

// stick stalls the relay. It posts until one post is being written that nobody takes,
// and there is no room for more. For a moment after the client has read an earlier
// message, that message may still count.
func (s *scene) stick() {
	s.t.Helper()
	s.relay.down.set(stalled)
	stuck := 0
	s.poll("room for the posts", func() bool {
		err := s.post(large)
		if err == nil {
			stuck++
			return false
		}
		require.ErrorIs(s.t, err, gateway.ErrLimitExceeded)
		return stuck == sendBufferMessages
	})
}

// Without a time quota nobody notices a half-open connection, and posts to it are
// accepted. In the end, the end of Shutdown's context, or Close, cuts it.
func TestHalfOpen_NobodyKnows(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(s *scene) error{
		"until Shutdown's context ends": func(s *scene) error {
			ctx, cancel := context.WithTimeout(s.t.Context(), short)
			defer cancel()
			err := s.Shutdown(ctx)
			require.ErrorIs(s.t, err, context.DeadlineExceeded)
			require.ErrorContains(s.t, err, "shutdown cut 1 connections")
			return nil
		},
		"until Close": func(s *scene) error { return s.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, gateway.Quotas{})
			s.open()
			s.relay.halfOpen()
			for range 100 { // less than fills the send buffer
				require.NoError(t, s.post("into the void"))
			}
			require.Len(t, slices.Collect(s.Connections()), 1)
			s.shutdown = make(chan error, 1)
			s.shutdown <- end(s)
			s.requireEnd(away)
		})
	}
}
