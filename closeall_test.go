package gateway_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
	"example.com/gateway/gatewaytest"
)

// closeEnd is what an observer is told of the end of a connection.
type closeEnd struct {
	code   int
	reason string
}

// closings returns an observer that sends what it is told of the ends.
func closings() (gateway.Option, <-chan closeEnd) {
	ends := make(chan closeEnd, 10)
	return gateway.WithObserver(&gateway.Observer{
		ConnectionClosed: func(_ context.Context, _ gateway.Connection, code int, reason string) { ends <- closeEnd{code, reason} },
	}), ends
}

func TestCloseAll_Codes(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		code   int
		reason string
		says   string
	}{
		{1000, "", ""},
		{1001, "gone for lunch", ""},
		{1008, "policy", ""},
		{1011, "", ""},
		{1012, "restart", ""},
		{1013, "", ""},
		{1014, "", ""},
		{3000, "", ""},
		{4001, "logged out", ""},
		{4999, strings.Repeat("é", 61) + "x", ""},
		{0, "", "code: a Close frame must not have 0: use 1000, 1001"},
		{999, "", "code: "},
		{1002, "", "code: "},
		{1005, "", "code: "},
		{1006, "", "code: "},
		{1007, "", "code: "},
		{1009, "", "code: "},
		{1010, "", "code: "},
		{1015, "", "code: "},
		{2999, "", "code: "},
		{5000, "", "code: "},
		{-1, "", "code: "},
		{4000, strings.Repeat("x", 124), "reason: it has 124 bytes: a Close frame has room for 123"},
		{4000, "\xff", "reason: it is not valid UTF-8"},
	} {
		observer, ends := closings()
		srv := gatewaytest.New(t, observer)
		srv.HandleFunc("$disconnect", answerNothing)
		c := srv.Dial(t)
		require.NoError(t, srv.PostToConnection(t.Context(), c.ConnectionID(), []byte("before")))
		d, err := srv.CloseAll(t.Context(), gateway.Everyone(), tt.code, tt.reason)
		if tt.says != "" {
			require.ErrorIs(t, err, gateway.ErrInvalidArgument)
			require.ErrorContains(t, err, tt.says)
			require.Equal(t, gateway.Delivery{}, d)
			require.NoError(t, srv.PostToConnection(t.Context(), c.ConnectionID(), nil), "nothing was closed")
			continue
		}
		require.NoError(t, err)
		require.Equal(t, gateway.Delivery{Accepted: 1}, d)
		require.ErrorIs(t, srv.PostToConnection(t.Context(), c.ConnectionID(), nil), gateway.ErrGone, "at once")
		require.Equal(t, "before", c.Receive(), "what is queued comes before the Close frame")
		code, reason := c.ReceiveClose()
		require.Equal(t, closeEnd{tt.code, tt.reason}, closeEnd{code, reason})
		e := srv.WaitDisconnect(c.ConnectionID())
		require.Equal(t, closeEnd{tt.code, tt.reason}, closeEnd{e.DisconnectStatusCode, e.DisconnectReason})
		require.Equal(t, closeEnd{tt.code, tt.reason}, <-ends)
	}
}

// One device of a user is left; a second close finds nobody.
func TestCloseAll_User(t *testing.T) {
	t.Parallel()
	srv, clients := room(t)
	kept := clients["ann1"].ConnectionID()
	d, err := srv.CloseAll(t.Context(), gateway.User("ann").Except(kept), 4001, "logged in elsewhere")
	require.NoError(t, err)
	require.Equal(t, gateway.Delivery{Accepted: 1}, d)
	code, reason := clients["ann2"].ReceiveClose()
	require.Equal(t, closeEnd{4001, "logged in elsewhere"}, closeEnd{code, reason})
	n, err := srv.Count(t.Context(), gateway.User("ann"))
	require.NoError(t, err)
	require.Equal(t, 1, n)

	gone := clients["ann2"].ConnectionID()
	d, err = srv.CloseAll(t.Context(), gateway.Connections(gone, gone, "made up"), 1000, "")
	require.NoError(t, err)
	require.Equal(t, 2, d.Gone)
	require.Len(t, d.Errors, 2)
	require.ErrorIs(t, d.Errors[gone], gateway.ErrGone)
	for _, name := range []string{"ann1", "bob", "-"} {
		require.NoError(t, srv.PostToConnection(t.Context(), clients[name].ConnectionID(), []byte("here")))
		require.Equal(t, "here", clients[name].Receive())
	}
}

// Cut waits for nobody, even if the client does not read, and sends no Close frame.
func TestCloseAll_Cut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		observer, ends := closings()
		srv := gatewaytest.New(t, observer)
		srv.HandleFunc("$disconnect", answerNothing)
		c := srv.Dial(t)
		c.Pause()
		require.NoError(t, srv.PostToConnection(t.Context(), c.ConnectionID(), []byte(strings.Repeat("x", 100_000))))
		start := time.Now()
		d, err := srv.CloseAll(t.Context(), gateway.Everyone(), 4002, "misuse", gateway.Cut())
		require.NoError(t, err)
		require.Equal(t, gateway.Delivery{Accepted: 1}, d)
		e := srv.WaitDisconnect(c.ConnectionID())
		require.Zero(t, time.Since(start))
		require.Equal(t, closeEnd{4002, "misuse"}, closeEnd{e.DisconnectStatusCode, e.DisconnectReason})
		require.Equal(t, closeEnd{4002, "misuse"}, <-ends)
		c.Resume()
		code, _ := c.ReceiveClose()
		require.Equal(t, 1006, code, "the client has got no Close frame")

		d, err = srv.CloseAll(t.Context(), gateway.Connections(c.ConnectionID()), 4002, "", gateway.Cut())
		require.NoError(t, err)
		require.Equal(t, 1, d.Gone)
	})
}

// While a shutdown closes a connection politely, CloseAll ends the wait for the
// integrations. The code stays 1001, as with DeleteConnection.
func TestCloseAll_DuringShutdown(t *testing.T) {
	t.Parallel()
	for name, opts := range map[string][]gateway.CloseOption{"a Close frame": nil, "Cut": {gateway.Cut()}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				srv := gatewaytest.New(t)
				running, release := context.WithCancel(t.Context())
				defer release()
				srv.HandleFunc("$default", func(context.Context, *gateway.Request) (*gateway.Response, error) {
					<-running.Done()
					return nil, nil
				})
				srv.HandleFunc("$disconnect", answerNothing)
				c := srv.Dial(t)
				c.Send("x")
				synctest.Wait()
				stopped := make(chan error)
				go func() { stopped <- srv.Shutdown(context.WithoutCancel(t.Context())) }()
				synctest.Wait()
				n, err := srv.Count(t.Context(), gateway.Everyone())
				require.NoError(t, err)
				require.Equal(t, 1, n, "it still waits for its reply")
				start := time.Now()
				d, err := srv.CloseAll(t.Context(), gateway.Everyone(), 4000, "now", opts...)
				require.NoError(t, err)
				require.Equal(t, gateway.Delivery{Accepted: 1}, d)
				code, _ := c.ReceiveClose()
				if opts == nil {
					require.Equal(t, 1001, code)
				} else {
					require.Equal(t, 1006, code)
				}
				require.Less(t, time.Since(start), time.Second, "it does not wait for the integration")
				release()
				e := srv.WaitDisconnect(c.ConnectionID())
				require.Equal(t, closeEnd{1001, "Going away"}, closeEnd{e.DisconnectStatusCode, e.DisconnectReason})
				require.NoError(t, <-stopped)
			})
		})
	}
}

func TestAudience_OptionsThatAreNil(t *testing.T) {
	t.Parallel()
	srv := gatewaytest.New(t)
	_, err := srv.CloseAll(t.Context(), gateway.Everyone(), 1000, "", gateway.Cut(), nil)
	require.ErrorIs(t, err, gateway.ErrInvalidArgument)
	require.ErrorContains(t, err, "option 1 is nil: leave it out")
	_, err = srv.PostTo(t.Context(), gateway.Everyone(), nil, nil)
	require.ErrorIs(t, err, gateway.ErrInvalidArgument)
}
