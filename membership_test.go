package gateway_test

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
	"example.com/gateway/gatewaytest"
)

// groupsOf returns the groups of a connection, as GetConnection tells them.
func groupsOf(t *testing.T, srv *gatewaytest.Server, id string) []string {
	t.Helper()
	c, err := srv.GetConnection(t.Context(), id)
	require.NoError(t, err)
	return c.Groups
}

func TestJoin(t *testing.T) {
	t.Parallel()
	srv := gatewaytest.New(t)
	id := srv.Dial(t).ConnectionID()
	require.Nil(t, groupsOf(t, srv, id))
	for _, step := range []struct {
		what  string
		do    func(ctx context.Context, id, group string) error
		group string
		want  []string
	}{
		{"the first join", srv.Join, "b", []string{"b"}},
		{"the groups are in the order of the joins", srv.Join, "a", []string{"b", "a"}},
		{"joining again changes nothing", srv.Join, "b", []string{"b", "a"}},
		{"leaving a group that one is not in changes nothing", srv.Leave, "c", []string{"b", "a"}},
		{"leaving", srv.Leave, "b", []string{"a"}},
		{"joining after leaving", srv.Join, "b", []string{"a", "b"}},
		{"leaving the last one", srv.Leave, "b", []string{"a"}},
		{"leaving all", srv.Leave, "a", nil},
	} {
		before := groupsOf(t, srv, id)
		copied := append([]string(nil), before...)
		require.NoError(t, step.do(t.Context(), id, step.group), step.what)
		require.Equal(t, step.want, groupsOf(t, srv, id), step.what)
		require.Equal(t, copied, append([]string(nil), before...), "what was told does not change")
	}
}

func TestJoin_Names(t *testing.T) {
	t.Parallel()
	srv := gatewaytest.New(t)
	id := srv.Dial(t).ConnectionID()
	for _, tt := range []struct{ name, group, says string }{
		{"one byte", "x", ""},
		{"spaces and slashes", "a room/with space", ""},
		{"other letters", "комната 1", ""},
		{"128 bytes", strings.Repeat("x", 128), ""},
		{"dots in it", "../..", ""},
		{"three dots", "...", ""},
		{"a dot", ".", "group: the name is . or .., which servers and proxies take out of the path of a URL: use another name"},
		{"two dots", "..", "group: the name is . or .., which servers and proxies take out of the path of a URL: use another name"},
		{"empty", "", "group: the name is empty: use 1 to 128 bytes"},
		{"129 bytes", strings.Repeat("x", 129), "group: the name has 129 bytes"},
		{"not UTF-8", "a\xff", "group: the name is not valid UTF-8"},
		{"a line break", "secret\n", "group: the name has a control character"},
		{"a control character above ASCII", "a\u0085", "group: the name has a control character"},
		{"DEL", "a\x7f", "group: the name has a control character"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for call, err := range map[string]error{
				"Join":  srv.Join(t.Context(), id, tt.group),
				"Leave": srv.Leave(t.Context(), id, tt.group),
				"PostTo": func() error {
					_, err := srv.PostTo(t.Context(), gateway.Group(tt.group), nil)
					return err
				}(),
				"Count": func() error { _, err := srv.Count(t.Context(), gateway.Group(tt.group)); return err }(),
				"List": func() error {
					_, _, err := srv.List(t.Context(), gateway.Group(tt.group), gateway.Page{})
					return err
				}(),
				"CloseAll": func() error { _, err := srv.CloseAll(t.Context(), gateway.Group(tt.group), 1000, ""); return err }(),
			} {
				if tt.says == "" {
					require.NoError(t, err, call)
					continue
				}
				require.ErrorIs(t, err, gateway.ErrInvalidArgument, call)
				require.ErrorContains(t, err, tt.says, call)
				require.NotContains(t, err.Error(), "secret", "the name may come from a client")
			}
		})
	}
	require.ErrorIs(t, srv.Join(t.Context(), "made up", "room"), gateway.ErrGone)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, srv.Join(ctx, id, "room"), context.Canceled)
	require.ErrorIs(t, srv.Leave(ctx, id, "room"), context.Canceled)
}

func TestJoin_Quota(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ quota, want int }{{0, 100}, {2, 2}, {-1, 1000}} {
		t.Run(strconv.Itoa(tt.quota), func(t *testing.T) {
			t.Parallel()
			srv := gatewaytest.New(t, gateway.WithQuotas(gateway.Quotas{GroupsPerConnection: tt.quota}))
			id := srv.Dial(t).ConnectionID()
			for n := range tt.want {
				require.NoError(t, srv.Join(t.Context(), id, strconv.Itoa(n)))
			}
			if tt.quota < 0 {
				return
			}
			err := srv.Join(t.Context(), id, "one more")
			require.ErrorIs(t, err, gateway.ErrLimitExceeded)
			require.ErrorContains(t, err, fmt.Sprintf("in %d groups: let it leave one, or raise Quotas.GroupsPerConnection", tt.want))
			require.NoError(t, srv.Join(t.Context(), id, "0"), "it is in this one already")
			require.NoError(t, srv.Leave(t.Context(), id, "0"))
			require.NoError(t, srv.Join(t.Context(), id, "one more"))
		})
	}
}

// A membership begins at the earliest when the connection has been accepted, and ends before
// $disconnect runs. Who is told of the end is still told the groups.
func TestJoin_Life(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var srv *gatewaytest.Server
		told := make(chan []string, 1)
		srv = gatewaytest.New(t, gateway.WithObserver(&gateway.Observer{
			ConnectionOpened: func(ctx context.Context, c gateway.Connection) {
				require.NoError(t, srv.Join(ctx, c.ID, "lobby"), "a connection that has been accepted can join")
			},
			ConnectionClosed: func(_ context.Context, c gateway.Connection, _ int, _ string) { told <- c.Groups },
		}))
		srv.HandleFunc("$connect", func(ctx context.Context, req *gateway.Request) (*gateway.Response, error) {
			require.ErrorIs(t, srv.Join(ctx, req.ConnectionID, "early"), gateway.ErrGone)
			return nil, nil
		})
		srv.HandleFunc("$disconnect", func(ctx context.Context, req *gateway.Request) (*gateway.Response, error) {
			require.ErrorIs(t, srv.Join(ctx, req.ConnectionID, "late"), gateway.ErrGone)
			n, err := srv.Count(ctx, gateway.Group("lobby"))
			require.NoError(t, err)
			require.Zero(t, n, "the membership has ended")
			return nil, nil
		})
		for name, end := range map[string]func(c *gatewaytest.Client){
			"the client closes":  func(c *gatewaytest.Client) { c.Close(1000, "") },
			"the client is gone": func(c *gatewaytest.Client) { c.Drop() },
			"DeleteConnection": func(c *gatewaytest.Client) {
				require.NoError(t, srv.DeleteConnection(t.Context(), c.ConnectionID()))
			},
			"CloseAll": func(c *gatewaytest.Client) {
				_, err := srv.CloseAll(t.Context(), gateway.Group("lobby"), 4000, "")
				require.NoError(t, err)
			},
		} {
			c := srv.Dial(t)
			require.NoError(t, srv.Join(t.Context(), c.ConnectionID(), "second"))
			end(c)
			require.Equal(t, []string{"lobby", "second"}, <-told, name)
			srv.WaitDisconnect(c.ConnectionID())
			require.Equal(t, gateway.IndexSizes{}, srv.IndexSizes(), name)
		}
	})
}

// A join at the moment of the close is undone or refused: there are no dead members.
func TestJoin_WhileItCloses(t *testing.T) {
	t.Parallel()
	gw, ids := newNull(t, 300)
	var wg sync.WaitGroup
	for n, id := range ids {
		wg.Go(func() {
			for k := range 20 {
				if err := gw.Join(t.Context(), id, strconv.Itoa((n+k)%7)); err != nil {
					require.ErrorIs(t, err, gateway.ErrGone)
				}
			}
		})
		wg.Go(func() {
			if n%2 == 0 {
				_, err := gw.Count(t.Context(), gateway.User("nobody")) // makes the index of users at any moment
				require.NoError(t, err)
			}
			_, err := gw.CloseAll(t.Context(), gateway.Connections(id), 1000, "", gateway.Cut())
			require.NoError(t, err)
		})
	}
	wg.Wait()
	require.Equal(t, gateway.IndexSizes{}, gw.IndexSizes())
}

// Connections that join, leave and close leave nothing behind.
func TestGroups_Churn(t *testing.T) {
	t.Parallel()
	const connections, groups, actors = 10_000, 1000, 4
	gw, ids := newNull(t, connections)
	name := func(n int) string { return "room-" + strconv.Itoa(n%groups) }
	var wg sync.WaitGroup
	for actor := range actors {
		wg.Go(func() {
			t := inGoroutine{t}
			for n := actor; n < connections; n += actors {
				id := ids[n]
				for _, group := range []string{name(n), name(n * 7), name(n * 13)} {
					require.NoError(t, gw.Join(t.Context(), id, group))
				}
				d, err := gw.PostTo(t.Context(), gateway.Group(name(n)), []byte("x"))
				require.NoError(t, err)
				require.Positive(t, d.Accepted+d.Gone)
				require.NoError(t, gw.Leave(t.Context(), id, name(n)))
				if n%3 == 0 {
					d, err := gw.CloseAll(t.Context(), gateway.Connections(id), 4000, "", gateway.Cut())
					require.NoError(t, err)
					require.Equal(t, gateway.Delivery{Accepted: 1}, d)
				}
			}
		})
	}
	wg.Wait()
	open := connections - (connections+2)/3
	require.Equal(t, open, gw.IndexSizes().Open)
	members := 0
	for n := range groups {
		count, err := gw.Count(t.Context(), gateway.Group(name(n)))
		require.NoError(t, err)
		list, _, err := gw.List(t.Context(), gateway.Group(name(n)), gateway.Page{Limit: 1000})
		require.NoError(t, err)
		require.Len(t, list, count)
		members += count
	}
	want := 0
	for c := range gw.Connections() {
		want += len(c.Groups)
	}
	require.Equal(t, want, members)
	d, err := gw.CloseAll(t.Context(), gateway.Everyone(), 4000, "", gateway.Cut())
	require.NoError(t, err)
	require.Equal(t, gateway.Delivery{Accepted: open}, d)
	require.Equal(t, gateway.IndexSizes{}, gw.IndexSizes())
}

// The commands of an answer are checked when the integration returns, and done with the
// answer. A join between the two may bring the connection above its quota; nothing is lost.
func TestJoin_QuotaAndCommands(t *testing.T) {
	t.Parallel()
	var srv *gatewaytest.Server
	srv = gatewaytest.New(t, gateway.WithAnswerCommands(), gateway.WithQuotas(gateway.Quotas{GroupsPerConnection: 1}),
		gateway.WithObserver(&gateway.Observer{IntegrationDone: func(ctx context.Context, req *gateway.Request, _ *gateway.Response, _ time.Duration, _ error) {
			require.NoError(t, srv.Join(context.WithoutCancel(ctx), req.ConnectionID, "b"))
		}}))
	srv.HandleFunc("$default", func(context.Context, *gateway.Request) (*gateway.Response, error) {
		return &gateway.Response{Header: http.Header{"Gateway-Join": {"a"}, "Gateway-Post": {"group a"}}, Body: []byte("joined")}, nil
	})
	c := srv.Dial(t)
	c.Send("x")
	require.Equal(t, "joined", c.Receive())
	conn, err := srv.GetConnection(t.Context(), c.ConnectionID())
	require.NoError(t, err)
	require.Equal(t, []string{"b", "a"}, conn.Groups)
	require.ErrorIs(t, srv.Join(t.Context(), c.ConnectionID(), "c"), gateway.ErrLimitExceeded)
}
