package gateway_test

import (
	"context"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
	"example.com/gateway/gatewaytest"
)

// room returns a gateway with these clients: ann twice, bob, and one without a principal.
// Their names are the keys.
func room(t *testing.T, opts ...gateway.Option) (*gatewaytest.Server, map[string]*gatewaytest.Client) {
	t.Helper()
	srv := gatewaytest.New(t, opts...)
	srv.Handle("$connect", &gateway.MockIntegration{}, gateway.WithAuthorizer(principalOfQuery()))
	srv.HandleFunc("$disconnect", answerNothing)
	clients := map[string]*gatewaytest.Client{}
	for _, name := range []string{"ann1", "ann2", "bob", "-"} {
		clients[name] = srv.Dial(t, gatewaytest.Query("who", strings.TrimRight(name, "-12")))
	}
	return srv, clients
}

// principalOfQuery is an authorizer that lets everybody in, as who they say they are.
func principalOfQuery() gateway.Authorizer {
	return gateway.AuthorizerFunc(func(_ context.Context, req *gateway.Request) (*gateway.Authorization, error) {
		return &gateway.Authorization{PrincipalID: req.Upgrade.URL.Query().Get("who")}, nil
	})
}

// Each audience is the connections that it says, for each call on it.
func TestAudience(t *testing.T) {
	t.Parallel()
	srv, clients := room(t)
	id := func(name string) string { return clients[name].ConnectionID() }
	for _, name := range []string{"ann1", "bob", "-"} {
		require.NoError(t, srv.Join(t.Context(), id(name), "room"))
	}
	for _, tt := range []struct {
		name string
		of   gateway.Audience
		want []string
		gone int
	}{
		{"the zero value", gateway.Audience{}, nil, 0},
		{"no connections", gateway.Connections(), nil, 0},
		{"one connection", gateway.Connections(id("bob")), []string{"bob"}, 0},
		{"two connections", gateway.Connections(id("bob"), id("-")), []string{"bob", "-"}, 0},
		{"a connection that is named twice", gateway.Connections(id("bob"), id("bob")), []string{"bob"}, 0},
		{"a connection that is not open", gateway.Connections("gone", id("bob"), "gone"), []string{"bob"}, 1},
		{"connections but for one", gateway.Connections(id("bob"), id("-"), id("ann1")).Except(id("-")), []string{"bob", "ann1"}, 0},
		{"connections but for one that is not open", gateway.Connections(id("bob"), "gone").Except("gone"), []string{"bob"}, 0},
		{"a group", gateway.Group("room"), []string{"ann1", "bob", "-"}, 0},
		{"a group but for some", gateway.Group("room").Except(id("bob")).Except(id("-"), "gone"), []string{"ann1"}, 0},
		{"a group without members", gateway.Group("other"), nil, 0},
		{"a user", gateway.User("ann"), []string{"ann1", "ann2"}, 0},
		{"a user but for one device", gateway.User("ann").Except(id("ann1")), []string{"ann2"}, 0},
		{"a user who is not there", gateway.User("eve"), nil, 0},
		{"everyone", gateway.Everyone(), []string{"ann1", "ann2", "bob", "-"}, 0},
		{"everyone but for one", gateway.Everyone().Except(id("-"), "gone"), []string{"ann1", "ann2", "bob"}, 0},
		{"nobody but for one", gateway.Audience{}.Except(id("-")), nil, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n, err := srv.Count(t.Context(), tt.of)
			require.NoError(t, err)
			require.Equal(t, len(tt.want), n)

			list, next, err := srv.List(t.Context(), tt.of, gateway.Page{})
			require.NoError(t, err)
			require.Empty(t, next.After)
			var listed, want []string
			for _, c := range list {
				listed = append(listed, c.ID)
			}
			for _, name := range tt.want {
				want = append(want, id(name))
			}
			require.ElementsMatch(t, want, listed)

			d, err := srv.PostTo(t.Context(), tt.of, []byte(tt.name))
			require.NoError(t, err)
			require.Equal(t, [3]int{len(tt.want), 0, tt.gone}, [3]int{d.Accepted, d.Refused, d.Gone})
			require.Len(t, d.Errors, tt.gone)
			for id, err := range d.Errors {
				require.Equal(t, "gone", id)
				require.ErrorIs(t, err, gateway.ErrGone)
			}
			require.Nil(t, d.Missing)
			for _, name := range tt.want {
				require.Equal(t, tt.name, clients[name].Receive())
			}
		})
	}
	for _, c := range clients {
		require.NoError(t, srv.PostToConnection(t.Context(), c.ConnectionID(), []byte("last")))
		require.Equal(t, "last", c.Receive(), "nobody has got more than that")
	}
}

// The index of users is made by the first call on a user. It has those who were there
// before, and those who come later.
func TestAudience_UserIndex(t *testing.T) {
	t.Parallel()
	srv, clients := room(t)
	require.Zero(t, srv.IndexSizes().Users, "nobody has asked for a user")
	count := func(user string) int {
		n, err := srv.Count(t.Context(), gateway.User(user))
		require.NoError(t, err)
		return n
	}
	require.Equal(t, 2, count("ann"))
	require.Equal(t, 2, srv.IndexSizes().Users, "ann and bob")
	eve := srv.Dial(t, gatewaytest.Query("who", "eve"))
	require.Equal(t, 1, count("eve"))
	eve.Close(1000, "")
	srv.WaitDisconnect(eve.ConnectionID())
	require.Zero(t, count("eve"))
	clients["ann1"].Drop()
	srv.WaitDisconnect(clients["ann1"].ConnectionID())
	require.Equal(t, 1, count("ann"))
}

func TestAudience_Query(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		of   gateway.Audience
		want string
	}{
		{gateway.Audience{}, ""},
		{gateway.Audience{}.Except("x"), ""},
		{gateway.Connections(), ""},
		{gateway.Connections("a=", "b"), "id=a%3D&id=b"},
		{gateway.Group("room 1").Except("a", "b"), "except=a&except=b&group=room+1"},
		{gateway.User("ann"), "user=ann"},
		{gateway.Everyone(), "all=true"},
	} {
		require.Equal(t, tt.want, tt.of.Query().Encode())
	}
}

// An Audience is a value: later changes of what it was made of do not change it.
func TestAudience_Value(t *testing.T) {
	t.Parallel()
	ids := []string{"a", "b"}
	of := gateway.Connections(ids...)
	ids[0] = "x"
	one, other := of.Except("c"), of.Except("d")
	require.Equal(t, "id=a&id=b", of.Query().Encode())
	require.Equal(t, "except=c&id=a&id=b", one.Query().Encode())
	require.Equal(t, "except=d&id=a&id=b", other.Query().Encode())
	require.Equal(t, "except=c&except=d&id=a&id=b", one.Except("d").Query().Encode())
}

// A client of a group that does not read is Refused once its buffer is full. It delays
// nobody, and the others get everything.
func TestPostTo_SlowClient(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv := gatewaytest.New(t, gateway.WithQuotas(gateway.Quotas{SendBufferMessages: 3}))
		slow, quick := srv.Dial(t), srv.Dial(t)
		for _, c := range []*gatewaytest.Client{slow, quick} {
			require.NoError(t, srv.Join(t.Context(), c.ConnectionID(), "room"))
		}
		slow.Pause()
		start := time.Now()
		for n := range 10 {
			d, err := srv.PostTo(t.Context(), gateway.Group("room"), []byte(strconv.Itoa(n)))
			require.NoError(t, err)
			if n < 3 {
				require.Equal(t, gateway.Delivery{Accepted: 2}, d)
			} else if n > 4 {
				require.Equal(t, [3]int{1, 1, 0}, [3]int{d.Accepted, d.Refused, d.Gone})
				require.Len(t, d.Errors, 1)
				require.ErrorIs(t, d.Errors[slow.ConnectionID()], gateway.ErrLimitExceeded)
			}
			require.Equal(t, strconv.Itoa(n), quick.Receive())
		}
		require.Zero(t, time.Since(start))
	})
}

// Whatever happens, the recipients are accepted, refused or gone, and at most 100 errors
// are told.
func TestPostTo_Delivery(t *testing.T) {
	t.Parallel()
	var sent, failed atomic.Int64
	gw, err := gateway.New(gateway.WithObserver(&gateway.Observer{
		MessageSent: func(context.Context, string, int) { sent.Add(1) },
		PostFailed:  func(context.Context, string, int, error) { failed.Add(1) },
	}), gateway.WithQuotas(gateway.Quotas{MessageBytes: 10}))
	require.NoError(t, err)
	t.Cleanup(func() { _ = gw.Close() })
	ids := openNull(t, gw, 150)
	closed := ids[:120]
	d, err := gw.CloseAll(t.Context(), gateway.Connections(closed...), 1000, "", gateway.Cut())
	require.NoError(t, err)
	require.Equal(t, gateway.Delivery{Accepted: 120}, d)

	d, err = gw.PostTo(t.Context(), gateway.Connections(ids...), []byte("x"))
	require.NoError(t, err)
	require.Equal(t, [3]int{30, 0, 120}, [3]int{d.Accepted, d.Refused, d.Gone})
	require.Len(t, d.Errors, 100)
	for id, err := range d.Errors {
		require.Contains(t, closed, id)
		require.ErrorIs(t, err, gateway.ErrGone)
	}
	require.Equal(t, [2]int64{30, 120}, [2]int64{sent.Load(), failed.Load()}, "the observers are told of each")

	d, err = gw.PostTo(t.Context(), gateway.Everyone(), []byte("01234567890"))
	require.ErrorIs(t, err, gateway.ErrPayloadTooLarge)
	require.Equal(t, gateway.Delivery{}, d)
	require.Equal(t, [2]int64{30, 120}, [2]int64{sent.Load(), failed.Load()}, "that was about the call, and no recipient")
	require.Len(t, gw.PostToConnections(t.Context(), ids[:2], []byte("01234567890")), 2)
	require.Equal(t, [2]int64{30, 122}, [2]int64{sent.Load(), failed.Load()}, "PostToConnections has an error for each ID")

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	d, err = gw.PostTo(ctx, gateway.Everyone(), nil)
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, gateway.Delivery{}, d)
	d, err = gw.CloseAll(ctx, gateway.Everyone(), 1000, "")
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, gateway.Delivery{}, d)
}

// If the context ends while it is used, the rest is refused with its error.
func TestPostTo_ContextEnds(t *testing.T) {
	t.Parallel()
	gw := newGateway(t)
	ids := openNull(t, gw, 10)
	ctx := &endingContext{t.Context(), 5} // it is asked once for the call, and once for each connection
	d, err := gw.PostTo(ctx, gateway.Connections(append(ids, "gone")...), []byte("x"))
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, [3]int{4, 6, 1}, [3]int{d.Accepted, d.Refused, d.Gone})
	require.Len(t, d.Errors, 7)
	require.ErrorIs(t, d.Errors[ids[9]], context.Canceled)
}

// endingContext ends when it has been asked for its error n times.
type endingContext struct {
	context.Context //nolint:containedctx // this is a context

	n int
}

// Err implements context.Context.
func (c *endingContext) Err() error {
	if c.n--; c.n < 0 {
		return context.Canceled
	}
	return nil
}
