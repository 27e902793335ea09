package gateway_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
	"example.com/gateway/gatewaytest"
	"example.com/gateway/internal/suites/wiretest"
	"example.com/gateway/internal/testutil"
)

// A client that must log in is accepted and closed with a code that a browser can see.
func TestAnswerCommands_CloseOnConnect(t *testing.T) {
	t.Parallel()
	serve := func(e told) said {
		if e.eventType == "CONNECT" {
			return asks(`{"login":"https://example.com"}`, "Gateway-Post", "self", "Gateway-Close", "4401 log in first", "Gateway-State", "x")
		}
		return asks("")
	}
	eachBackend(t, serve, func(t *testing.T, srv *gatewaytest.Server, _ *testutil.LockedBuffer) {
		c := srv.Dial(t)
		require.Equal(t, `{"login":"https://example.com"}`, c.Receive())
		code, reason := c.ReceiveClose()
		require.Equal(t, 4401, code)
		require.Equal(t, "log in first", reason)
		end := srv.WaitDisconnect(c.ConnectionID())
		require.Equal(t, 4401, end.DisconnectStatusCode)
		require.Equal(t, "x", string(end.State))
	})
}

// A client that $connect closes is in no audience at any time. It gets what the answer posts to
// it by name, and others get their part.
func TestAnswerCommands_CloseOnConnect_InNoAudience(t *testing.T) {
	t.Parallel()
	var events []string // in order, of one client
	var srv *gatewaytest.Server
	srv = gatewaytest.New(t, gateway.WithAnswerCommands(), gateway.WithObserver(&gateway.Observer{
		ConnectionOpened: func(ctx context.Context, c gateway.Connection) {
			if string(c.State) != "refused" {
				return
			}
			events = append(events, "opened")
			for name, all := range map[string]gateway.Audience{"everyone": gateway.Everyone(), "user": gateway.User("ann"), "ID": gateway.Connections(c.ID)} {
				n, err := srv.Count(ctx, all.Except("nobody"))
				require.NoError(t, err)
				require.LessOrEqual(t, n, 1, name)
				listed, _, err := srv.List(ctx, all, gateway.Page{})
				require.NoError(t, err)
				d, err := srv.PostTo(ctx, all, []byte("internal news"))
				require.NoError(t, err)
				require.Len(t, listed, d.Accepted, name)
			}
			_, err := srv.GetConnection(ctx, c.ID)
			require.ErrorIs(t, err, gateway.ErrGone)
			require.ErrorIs(t, srv.Join(ctx, c.ID, "a"), gateway.ErrGone)
			for conn := range srv.Connections() {
				require.NotEqual(t, c.ID, conn.ID)
			}
		},
		MessageSent: func(_ context.Context, _ string, bytes int) {
			if bytes == len("log in") {
				events = append(events, "sent")
			}
		},
	}))
	srv.HandleFunc("$connect", func(_ context.Context, req *gateway.Request) (*gateway.Response, error) {
		if req.Upgrade.Header.Get("Refuse") == "" {
			return nil, nil
		}
		to := req.Upgrade.Header.Get("To")
		return &gateway.Response{Header: http.Header{"Gateway-Close": {"4401"}, "Gateway-State": {"refused"}, "Gateway-Post": {to}}, Body: []byte("log in")}, nil
	}, gateway.WithAuthorizer(gateway.AuthorizerFunc(func(context.Context, *gateway.Request) (*gateway.Authorization, error) {
		return &gateway.Authorization{PrincipalID: "ann"}, nil
	})))
	other := srv.Dial(t)
	for _, row := range []struct {
		to            string
		client, other bool // who gets the body
	}{
		{"self", true, false},
		{"everyone, self", true, true},
		{"everyone", false, true},
		{"user ann", false, true},
		{"self; except=self", false, false},
		{"connection " + other.ConnectionID(), false, true},
	} {
		events = nil
		c := srv.Dial(t, gatewaytest.Header("Refuse", "1"), gatewaytest.Header("To", row.to))
		if row.client {
			require.Equal(t, "log in", c.Receive(), row.to)
		}
		code, _ := c.ReceiveClose() // fails if there is another message before
		require.Equal(t, 4401, code)
		if row.other {
			require.Equal(t, "log in", other.Receive(), row.to)
		}
		for range 2 { // everyone, and the user
			require.Equal(t, "internal news", other.Receive(), row.to)
		}
		want := []string{"opened"}
		if row.client {
			want = append(want, "sent")
		}
		if row.other {
			want = append(want, "sent")
		}
		require.Equal(t, want, events, row.to)
		srv.WaitDisconnect(c.ConnectionID())
	}
}

// A message right behind the upgrade request of such a client is not served.
func TestAnswerCommands_CloseOnConnect_ServesNothing(t *testing.T) {
	t.Parallel()
	var served atomic.Int32
	gw, addr := newBench(t, gateway.WithAnswerCommands())
	gw.Handle("$connect", respond(&gateway.Response{Header: http.Header{"Gateway-Close": {"4401"}}}))
	gw.HandleFunc("$default", func(context.Context, *gateway.Request) (*gateway.Response, error) {
		served.Add(1)
		return &gateway.Response{Body: []byte("secret")}, nil
	}, gateway.WithRouteResponse())
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() {
			for range 50 {
				nc, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", addr)
				if err != nil {
					t.Error(err)
					return
				}
				_, _ = io.WriteString(nc, wiretest.Upgrade("/test")+textFrame("give me"))
				c := wiretest.NewConn(nc)
				_, err = c.ReadHead()
				first, payload, _ := c.ReadFrame()
				if code, _ := wiretest.ParseClose(payload); err != nil || first != wiretest.Close || code != 4401 {
					t.Errorf("%v, %x %q", err, first, payload)
				}
				_ = nc.Close()
			}
		})
	}
	all.Wait()
	require.Zero(t, served.Load())
}

// Commands of many connections that come, post to one another, close themselves, break off
// and are closed, all at the same time: each $disconnect runs with a state that its
// connection had, and nothing is left of any group.
func TestAnswerCommands_WhileConnectionsClose(t *testing.T) {
	t.Parallel()
	const clients, messages = 40, 20
	srv := gatewaytest.New(t, gateway.WithAnswerCommands(), gateway.WithQuotas(gateway.Quotas{InFlight: 4}))
	answer := func(commands ...string) (*gateway.Response, error) {
		s := asks("x", commands...)
		return &gateway.Response{Header: s.header, Body: []byte(s.body)}, nil
	}
	var left, wrong atomic.Int32
	srv.HandleFunc("$connect", func(context.Context, *gateway.Request) (*gateway.Response, error) {
		return answer("Gateway-Join", "all", "Gateway-State", "0", "Gateway-Post", "group all")
	})
	srv.HandleFunc("$default", func(_ context.Context, req *gateway.Request) (*gateway.Response, error) {
		if string(req.Body) == "bye" {
			return answer("Gateway-Close", "4001", "Gateway-Join", "late", "Gateway-State", "bye")
		}
		return answer("Gateway-State", string(req.Body), "Gateway-Join", "g"+string(req.Body), "Gateway-Leave", "all", "Gateway-Post", "everyone; except=self")
	})
	srv.HandleFunc("$disconnect", func(_ context.Context, req *gateway.Request) (*gateway.Response, error) {
		left.Add(1)
		if len(req.State) == 0 || len(req.Groups) == 0 {
			wrong.Add(1)
		}
		return answer("Gateway-Post", "group all, group late, everyone")
	})
	var all sync.WaitGroup
	for n := range clients {
		c := srv.Dial(t)
		all.Go(func() {
			for k := range messages {
				c.Send(strconv.Itoa(k))
			}
			switch n % 3 {
			case 0:
				c.Send("bye")
			case 1:
				c.Drop()
			case 2:
				if err := srv.DeleteConnection(t.Context(), c.ConnectionID()); err != nil {
					t.Error(err)
				}
			}
			srv.WaitDisconnect(c.ConnectionID())
		})
	}
	all.Wait()
	require.EqualValues(t, clients, left.Load())
	require.Zero(t, wrong.Load())
	require.Equal(t, gateway.IndexSizes{}, srv.IndexSizes())
}

// When the backend has closed a connection, no message of it begins any more, however it was
// closed. What the client has sent before it leaves is still served.
func TestClose_DropsMessagesThatWait(t *testing.T) {
	t.Parallel()
	closeWith := func(opts ...gateway.CloseOption) func(*gatewaytest.Server, *gatewaytest.Client) error {
		return func(srv *gatewaytest.Server, c *gatewaytest.Client) error {
			_, err := srv.CloseAll(context.Background(), gateway.Connections(c.ConnectionID()), 4001, "banned", opts...)
			return err
		}
	}
	for name, row := range map[string]struct {
		first  string // what the integration does with the first message
		close  func(srv *gatewaytest.Server, c *gatewaytest.Client) error
		served int32
	}{
		"Gateway-Close":                         {"Gateway-Close", nil, 0},
		"CloseAll":                              {"", closeWith(), 0},
		"Cut":                                   {"", closeWith(gateway.Cut()), 0},
		"the client leaves":                     {"", func(_ *gatewaytest.Server, c *gatewaytest.Client) error { c.Close(1000, ""); return nil }, 3},
		"the client leaves, then Gateway-Close": {"Gateway-Close", func(_ *gatewaytest.Server, c *gatewaytest.Client) error { c.Close(1000, ""); return nil }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var served atomic.Int32
				srv := gatewaytest.New(t, gateway.WithAnswerCommands())
				srv.HandleFunc("$default", func(_ context.Context, req *gateway.Request) (*gateway.Response, error) {
					if string(req.Body) != "first" {
						served.Add(1)
						return nil, nil
					}
					time.Sleep(time.Second) //nolint:forbidigo // in a synctest bubble
					if row.first == "" {
						return nil, nil
					}
					return &gateway.Response{Header: http.Header{row.first: {"4001"}}}, nil
				})
				srv.HandleFunc("$disconnect", answerNothing)
				c := srv.Dial(t)
				for _, text := range []string{"first", "a", "b", "c"} {
					c.Send(text)
				}
				synctest.Wait() // the others wait
				if row.close != nil {
					require.NoError(t, row.close(srv, c))
				}
				srv.WaitDisconnect(c.ConnectionID())
				require.Equal(t, row.served, served.Load())
			})
		})
	}
}

// A message may run while its connection closes. Its answer still posts, and its state is that
// of $disconnect. If it joins a group, which is not possible any more, nothing is done.
func TestAnswerCommands_AfterTheConnectionHasClosed(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		commands []string
		posted   bool
		state    string
	}{
		"post":                {[]string{"Gateway-Post", "group room"}, true, "before"},
		"post to self, too":   {[]string{"Gateway-Post", "self, group room"}, true, "before"},
		"state and post":      {[]string{"Gateway-Post", "group room", "Gateway-State", "after"}, true, "after"},
		"no state and post":   {[]string{"Gateway-Post", "group room", "Gateway-State", ""}, true, ""},
		"leave and post":      {[]string{"Gateway-Post", "group room", "Gateway-Leave", "room"}, true, "before"},
		"close and post":      {[]string{"Gateway-Post", "group room", "Gateway-Close", "4001"}, true, "before"},
		"join and post":       {[]string{"Gateway-Post", "group room", "Gateway-Join", "other"}, false, "before"},
		"join, state, a post": {[]string{"Gateway-Post", "group room", "Gateway-Join", "room", "Gateway-State", "after"}, false, "before"},
		"state, and a reply":  {[]string{"Gateway-State", "after"}, false, "after"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			started, release := make(chan struct{}, 3), make(chan struct{})
			serve := func(e told) said {
				switch {
				case e.eventType == "CONNECT":
					return asks("", "Gateway-Join", "room", "Gateway-State", "before")
				case e.body == "run":
					started <- struct{}{}
					<-release
					return asks("news", row.commands...)
				case e.body == "ping":
					return asks("pong")
				}
				return asks("")
			}
			srv := gatewaytest.New(t, gateway.WithAnswerCommands())
			i := backends()["Go"](t, serve)
			for _, key := range []string{"$connect", "$disconnect"} {
				srv.Handle(key, i)
			}
			srv.Handle("$default", i, gateway.WithRouteResponse())
			c, other := srv.Dial(t), srv.Dial(t)
			c.Send("run")
			<-started
			require.NoError(t, srv.DeleteConnection(t.Context(), c.ConnectionID()))
			close(release)
			end := srv.WaitDisconnect(c.ConnectionID())
			require.Equal(t, row.state, string(end.State))
			require.Equal(t, []string{"room"}, end.Groups)
			if row.posted {
				require.Equal(t, "news", other.Receive())
			}
			other.Send("ping")
			require.Equal(t, "pong", other.Receive())
		})
	}
}
