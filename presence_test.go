package gateway_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
	"example.com/gateway/gatewaytest"
	"example.com/gateway/internal/presence"
	"example.com/gateway/internal/suites/wiretest"
	"example.com/gateway/lambda"
)

// presenceLog records events as "JOIN g id" in their order.
type presenceLog struct {
	mu     sync.Mutex
	events []string
}

func (l *presenceLog) add(text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.events = append(l.events, text)
}

func (l *presenceLog) all() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.events)
}

func (l *presenceLog) record(_ context.Context, req *gateway.Request) (*gateway.Response, error) {
	l.add(fmt.Sprintf("%s %s %s", req.EventType, req.Group, req.ConnectionID))
	return nil, nil
}

// The routes are told each change, and only changes; the end of a connection is told as the leaves
// of its groups, and then as DISCONNECT.
func TestPresence(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var l presenceLog
		srv := gatewaytest.New(t)
		for _, key := range []string{gateway.RouteKeyJoin, gateway.RouteKeyLeave, gateway.RouteKeyDisconnect} {
			srv.HandleFunc(key, l.record)
		}
		c := srv.Dial(t)
		id := c.ConnectionID()
		for _, group := range []string{"a", "a", "b", "c"} {
			require.NoError(t, srv.Join(t.Context(), id, group))
			synctest.Wait()
		}
		require.NoError(t, srv.Leave(t.Context(), id, "b"))
		require.NoError(t, srv.Leave(t.Context(), id, "b"))
		require.NoError(t, srv.Leave(t.Context(), id, "never"))
		synctest.Wait()
		require.Equal(t, []string{"JOIN a " + id, "JOIN b " + id, "JOIN c " + id, "LEAVE b " + id}, l.all())
		c.Close(1000, "")
		srv.WaitDisconnect(id)
		rest := l.all()[4:]
		slices.Sort(rest[:2]) // of different groups
		require.Equal(t, []string{"LEAVE a " + id, "LEAVE c " + id, "DISCONNECT  " + id}, rest)
		require.ErrorIs(t, srv.Join(t.Context(), id, "a"), gateway.ErrGone)
	})
}

// No message selects the routes, whatever a client sends, and without them nothing is told.
func TestPresence_NotForMessages(t *testing.T) {
	t.Parallel()
	var l presenceLog
	srv := gatewaytest.New(t)
	srv.HandleFunc(gateway.RouteKeyJoin, l.record)
	srv.HandleFunc(gateway.RouteKeyLeave, l.record)
	srv.HandleFunc(gateway.RouteKeyDefault, echo, gateway.WithRouteResponse())
	c := srv.Dial(t)
	for _, key := range []string{"$join", "$leave"} {
		c.Send(`{"action":"` + key + `"}`)
		require.Equal(t, `{"action":"`+key+`"}`, c.Receive())
	}
	require.Empty(t, l.all())
}

// While $join runs, and after it, a list of the group has the connection.
func TestPresence_SnapshotContains(t *testing.T) {
	t.Parallel()
	srv := gatewaytest.New(t)
	seen := make(chan error, 100)
	srv.HandleFunc(gateway.RouteKeyJoin, func(ctx context.Context, req *gateway.Request) (*gateway.Response, error) {
		list, _, err := srv.List(ctx, gateway.Group(req.Group), gateway.Page{})
		if err == nil && !slices.ContainsFunc(list, func(c gateway.Connection) bool { return c.ID == req.ConnectionID }) {
			err = errors.New("it is not in the list")
		}
		if err == nil && !slices.Contains(req.Groups, req.Group) {
			err = errors.New("it is not in Request.Groups")
		}
		seen <- err
		return nil, nil
	})
	for range 20 {
		c := srv.Dial(t)
		require.NoError(t, srv.Join(t.Context(), c.ConnectionID(), "room"))
		require.NoError(t, <-seen)
	}
}

// Whatever joins, leaves and closes happen at the same time, the events of a group keep a list
// of its members right.
func TestPresence_Churn(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	members, wrong, disconnected := map[string]map[string]bool{}, []string{}, map[string]bool{}
	srv := gatewaytest.New(t)
	change := func(_ context.Context, req *gateway.Request) (*gateway.Response, error) {
		mu.Lock()
		defer mu.Unlock()
		m, joins := members[req.Group], req.EventType == gateway.EventJoin
		if m == nil {
			m = map[string]bool{}
			members[req.Group] = m
		}
		if m[req.ConnectionID] == joins || disconnected[req.ConnectionID] {
			wrong = append(wrong, fmt.Sprint(req.EventType, " ", req.Group, " ", req.ConnectionID))
		}
		if m[req.ConnectionID] = true; !joins {
			delete(m, req.ConnectionID)
		}
		if rand.IntN(20) == 0 {
			panic("an integration that crashes undoes nothing")
		}
		return nil, nil
	}
	srv.HandleFunc(gateway.RouteKeyJoin, change)
	srv.HandleFunc(gateway.RouteKeyLeave, change)
	srv.HandleFunc(gateway.RouteKeyDisconnect, func(_ context.Context, req *gateway.Request) (*gateway.Response, error) {
		mu.Lock()
		defer mu.Unlock()
		disconnected[req.ConnectionID] = true
		return nil, nil
	})
	var wg sync.WaitGroup
	for range 12 {
		c := srv.Dial(t)
		id := c.ConnectionID()
		for range 3 {
			wg.Go(func() {
				for range 200 {
					group := fmt.Sprint("g", rand.IntN(3))
					if rand.IntN(2) == 0 {
						_ = srv.Join(context.Background(), id, group) // ErrGone, after the close below
					} else {
						_ = srv.Leave(context.Background(), id, group)
					}
				}
			})
		}
		wg.Go(func() {
			for range 50 {
				_, _ = srv.Count(context.Background(), gateway.Group("g1"))
			}
			_ = srv.DeleteConnection(context.Background(), id)
		})
	}
	wg.Wait()
	require.NoError(t, srv.Shutdown(t.Context()))
	mu.Lock()
	defer mu.Unlock()
	require.Empty(t, wrong)
	require.Len(t, disconnected, 12)
	for group, m := range members {
		require.Empty(t, m, group)
	}
}

// A slow integration does not hold up who joins, until many events wait. Then a join waits
// for no longer than its context, and has not happened.
func TestPresence_Storm(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv := gatewaytest.New(t, gateway.WithQuotas(gateway.Quotas{GroupsPerConnection: -1, IdleTimeout: -1}))
		var ran atomic.Int32
		own := make(chan error, 1)
		srv.HandleFunc(gateway.RouteKeyJoin, func(ctx context.Context, req *gateway.Request) (*gateway.Response, error) {
			time.Sleep(time.Second) //nolint:forbidigo // in a synctest bubble
			if ran.Add(1) == 1 {
				own <- srv.Leave(ctx, req.ConnectionID, req.Group) // it does not wait for itself
			}
			return nil, nil
		})
		srv.HandleFunc(gateway.RouteKeyLeave, answerNothing)
		first, id := srv.Dial(t).ConnectionID(), srv.Dial(t).ConnectionID()
		start := time.Now()
		require.NoError(t, srv.Join(t.Context(), first, "room"))
		synctest.Wait() // its JOIN runs
		for range 500 {
			require.NoError(t, srv.Join(t.Context(), id, "room"))
			require.NoError(t, srv.Leave(t.Context(), id, "room"))
		}
		require.Zero(t, time.Since(start), "nobody has waited")
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		require.ErrorIs(t, srv.Join(ctx, id, "room"), context.DeadlineExceeded)
		n, err := srv.Count(t.Context(), gateway.Group("room"))
		require.NoError(t, err)
		require.Equal(t, 1, n, "the join has not happened")
		require.NoError(t, srv.Join(t.Context(), id, "other"), "another group has its own places")
		require.Zero(t, time.Since(start)-100*time.Millisecond)
		require.NoError(t, srv.Join(t.Context(), id, "room"))
		require.NoError(t, <-own)
		require.NoError(t, srv.Shutdown(t.Context()))
		require.EqualValues(t, 503, ran.Load(), "nothing was lost")
	})
}

// An integration that fails, or does not return in time, is logged, and the next event runs.
func TestPresence_Failures(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var l presenceLog
		done := make(chan error, 10)
		srv := gatewaytest.New(t, gateway.WithLogger(gatewaytest.Logger(t, 12)), gateway.WithObserver(&gateway.Observer{
			IntegrationDone: func(_ context.Context, _ *gateway.Request, _ *gateway.Response, _ time.Duration, err error) {
				done <- err
			},
		}))
		srv.HandleFunc(gateway.RouteKeyJoin, func(ctx context.Context, req *gateway.Request) (*gateway.Response, error) {
			if req.Group == "slow" {
				<-ctx.Done()
			}
			return nil, errors.New("no database")
		})
		srv.HandleFunc(gateway.RouteKeyLeave, l.record)
		c := srv.Dial(t)
		id := c.ConnectionID()
		start := time.Now()
		require.NoError(t, srv.Join(t.Context(), id, "slow"))
		require.NoError(t, srv.Join(t.Context(), id, "a"))
		require.ErrorContains(t, <-done, "no database")
		require.NoError(t, srv.Leave(t.Context(), id, "slow"))
		require.ErrorIs(t, <-done, context.DeadlineExceeded)
		require.NoError(t, <-done)
		require.Equal(t, 29*time.Second, time.Since(start))
		conn, err := srv.GetConnection(t.Context(), id)
		require.NoError(t, err)
		require.Equal(t, []string{"a"}, conn.Groups, "a failure undoes nothing")
		require.Equal(t, []string{"LEAVE slow " + id}, l.all())
	})
}

// Close gives events a second, and loses the rest rather than hang.
func TestPresence_Close(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv := gatewaytest.New(t, gateway.WithLogger(gatewaytest.Logger(t, 12)))
		started, disconnects := 0, 0
		srv.HandleFunc(gateway.RouteKeyLeave, func(ctx context.Context, _ *gateway.Request) (*gateway.Response, error) {
			started++
			<-ctx.Done()
			return nil, ctx.Err()
		})
		var mu sync.Mutex
		srv.HandleFunc(gateway.RouteKeyDisconnect, func(context.Context, *gateway.Request) (*gateway.Response, error) {
			mu.Lock()
			defer mu.Unlock()
			disconnects++
			return nil, nil
		})
		for range 10 {
			c := srv.Dial(t)
			require.NoError(t, srv.Join(t.Context(), c.ConnectionID(), "room"))
		}
		start := time.Now()
		require.NoError(t, srv.Close())
		require.LessOrEqual(t, time.Since(start), time.Second)
		require.Equal(t, 1, started)
		require.Equal(t, 10, disconnects)
	})
}

// Commands of answers are told as calls are.
func TestPresence_Commands(t *testing.T) {
	t.Parallel()
	events := make(chan string, 10)
	srv := gatewaytest.New(t, gateway.WithAnswerCommands())
	record := func(_ context.Context, req *gateway.Request) (*gateway.Response, error) {
		events <- string(req.EventType) + " " + req.Group
		return nil, nil
	}
	srv.HandleFunc(gateway.RouteKeyJoin, record)
	srv.HandleFunc(gateway.RouteKeyLeave, record)
	srv.HandleFunc(gateway.RouteKeyConnect, func(context.Context, *gateway.Request) (*gateway.Response, error) {
		return &gateway.Response{Header: http.Header{"Gateway-Join": {"lobby"}}}, nil
	})
	srv.HandleFunc("enter", func(context.Context, *gateway.Request) (*gateway.Response, error) {
		return &gateway.Response{Header: http.Header{"Gateway-Join": {"room"}, "Gateway-Leave": {"lobby, nowhere"}}}, nil
	})
	c := srv.Dial(t)
	require.Equal(t, "JOIN lobby", <-events)
	c.Send(`{"action":"enter"}`)
	both := []string{<-events, <-events}
	slices.Sort(both)
	require.Equal(t, []string{"JOIN room", "LEAVE lobby"}, both)
}

// The answers of $join and $leave have commands as any others, whatever the backend is: a room
// learns who comes and goes, and nobody makes a call.
func TestPresence_AnswersOfTheRoutes(t *testing.T) {
	t.Parallel()
	serve := func(e told) said {
		switch e.eventType {
		case "CONNECT":
			return asks("", "Gateway-Join", "room")
		case "JOIN":
			return asks("came to "+e.groups, "Gateway-Post", "group room", "Gateway-State", "greeted")
		case "LEAVE":
			return asks("left, "+e.state, "Gateway-Post", "group room")
		}
		return asks(e.state)
	}
	for name, integration := range backends() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := gatewaytest.New(t, gateway.WithAnswerCommands())
			i := integration(t, serve)
			for _, key := range []string{gateway.RouteKeyConnect, gateway.RouteKeyJoin, gateway.RouteKeyLeave} {
				srv.Handle(key, i)
			}
			srv.Handle(gateway.RouteKeyDefault, i, gateway.WithRouteResponse())
			ann := srv.Dial(t)
			require.Equal(t, "came to room", ann.Receive())
			bob := srv.Dial(t)
			require.Equal(t, "came to room", ann.Receive())
			require.Equal(t, "came to room", bob.Receive())
			bob.Send("state?")
			require.Equal(t, "greeted", bob.Receive())
			bob.Close(1000, "")
			require.Equal(t, "left, greeted", ann.Receive())
		})
	}
}

// A typed handler that joins a group tells it as any other.
func TestPresence_TypedHandler(t *testing.T) {
	t.Parallel()
	events := make(chan string, 2)
	srv := gatewaytest.New(t)
	srv.HandleFunc(gateway.RouteKeyJoin, func(_ context.Context, req *gateway.Request) (*gateway.Response, error) {
		events <- req.Group + " " + req.ConnectionID
		return nil, nil
	})
	type enter struct{ Room string }
	srv.Handle("enter", gateway.JSONOneWay(func(ctx context.Context, req *gateway.Request, in enter) error {
		return srv.Join(ctx, req.ConnectionID, in.Room)
	}))
	c := srv.Dial(t)
	c.Send(`{"action":"enter","Room":"a"}`)
	require.Equal(t, "a "+c.ConnectionID(), <-events)
}

// A join by an answer may have to wait for its turn. A reply before it, which has come
// together with it, does not wait.
func TestPresence_CommandsHoldNoReplyBack(t *testing.T) {
	t.Parallel()
	gw := newGateway(t, gateway.WithAnswerCommands())
	release := make(chan struct{})
	gw.HandleFunc(gateway.RouteKeyJoin, func(context.Context, *gateway.Request) (*gateway.Response, error) {
		<-release
		return nil, nil
	})
	gw.HandleFunc("reply", answer("reply"), gateway.WithRouteResponse())
	gw.Handle("enter", respond(&gateway.Response{Header: http.Header{"Gateway-Join": {"room"}}, Body: []byte("entered")}), gateway.WithRouteResponse())
	c := wiretest.Serve(t, gw.Handler())
	c.MustOpen()
	for conn := range gw.Connections() {
		for range presence.Most + 1 { // one is being told, the others wait
			require.NoError(t, gw.Join(t.Context(), conn.ID, "room"))
			require.NoError(t, gw.Leave(t.Context(), conn.ID, "room"))
		}
	}
	c.MustWriteString(textFrame(`{"action":"reply"}`) + textFrame(`{"action":"enter"}`))
	require.Equal(t, "reply", c.Receive())
	close(release)
	require.Equal(t, "entered", c.Receive())
}

// Functions and HTTP endpoints get the group.
func TestPresence_Backends(t *testing.T) {
	t.Parallel()
	headers := make(chan http.Header, 2)
	backend := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { headers <- r.Header }))
	defer backend.Close()
	functions := make(chan map[string]any, 1)
	srv := gatewaytest.New(t)
	srv.Handle(gateway.RouteKeyLeave, &gateway.HTTPIntegration{URI: backend.URL, RequestParameters: map[string]string{"integration.request.header.X-Of": "context.group"}})
	srv.Handle(gateway.RouteKeyJoin, lambda.Wrap(func(_ context.Context, event json.RawMessage) (any, error) {
		var e struct{ RequestContext map[string]any }
		err := json.Unmarshal(event, &e)
		functions <- e.RequestContext
		return nil, err
	}))
	c := srv.Dial(t)
	require.NoError(t, srv.Join(t.Context(), c.ConnectionID(), "röom 1"))
	got := <-functions
	require.Equal(t, []any{"JOIN", "$join", "röom 1", c.ConnectionID()}, []any{got["eventType"], got["routeKey"], got["group"], got["connectionId"]})
	require.NoError(t, srv.Leave(t.Context(), c.ConnectionID(), "röom 1"))
	header := <-headers
	require.Equal(t, "r%C3%B6om%201", header.Get("Gateway-Group"))
	require.Equal(t, "röom 1", header.Get("X-Of"))
}

// The routes are part of a deployment, and can be replaced while connections are open.
func TestPresence_Deployment(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var l presenceLog
		srv := gatewaytest.New(t)
		c := srv.Dial(t)
		id := c.ConnectionID()
		require.NoError(t, srv.Join(t.Context(), id, "before"))
		srv.HandleFunc(gateway.RouteKeyJoin, l.record)
		srv.HandleFunc(gateway.RouteKeyLeave, l.record)
		d := srv.Deployment()
		require.Len(t, d.Routes, 2)
		require.NoError(t, srv.Deploy(gateway.Deployment{}))
		require.NoError(t, srv.Join(t.Context(), id, "without"))
		require.NoError(t, srv.Deploy(d))
		require.NoError(t, srv.Leave(t.Context(), id, "before"))
		synctest.Wait()
		require.Equal(t, []string{"LEAVE before " + id}, l.all(), "nobody was there to be told of the joins")
		require.ErrorContains(t, srv.Deploy(gateway.Deployment{Routes: []gateway.Route{{RouteKey: "$joined", Integration: &gateway.MockIntegration{}}}}), "begin with $, and $join and $leave")
	})
}
