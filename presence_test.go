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
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
	"example.com/gateway/gatewaytest"
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
		if m[req.ConnectionID] && joins || disconnected[req.ConnectionID] {
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

// slowPresence makes $join and $leave take a time.
func slowPresence(srv *gatewaytest.Server, took time.Duration, ran *atomic.Int32) {
	for _, key := range []string{gateway.RouteKeyJoin, gateway.RouteKeyLeave} {
		srv.HandleFunc(key, func(context.Context, *gateway.Request) (*gateway.Response, error) {
			time.Sleep(took) //nolint:forbidigo // in a synctest bubble
			ran.Add(1)
			return nil, nil
		})
	}
}

// Slow integrations of two groups hold nobody up who joins both, in whatever order, or who goes
// from one to the other; nor who leaves, nor the end.
func TestPresence_TwoGroups(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const clients = 2500
		srv := gatewaytest.New(t, gateway.WithAnswerCommands(), gateway.WithQuotas(gateway.Quotas{NewConnections: gateway.Throttle{RateLimit: -1}}))
		var ran atomic.Int32
		slowPresence(srv, 2*time.Millisecond, &ran)
		for key, header := range map[string]http.Header{
			"both": {"Gateway-Join": {"a, b"}}, "back": {"Gateway-Join": {"b, a"}},
			"left": {"Gateway-Leave": {"a"}}, "right": {"Gateway-Leave": {"b"}},
			"toA": {"Gateway-Leave": {"b"}, "Gateway-Join": {"a"}}, "toB": {"Gateway-Leave": {"a"}, "Gateway-Join": {"b"}},
		} {
			srv.HandleFunc(key, func(context.Context, *gateway.Request) (*gateway.Response, error) {
				return &gateway.Response{Header: header, Body: []byte("done")}, nil
			}, gateway.WithRouteResponse())
		}
		all := make([]*gatewaytest.Client, clients)
		for n := range all {
			all[n] = srv.Dial(t)
		}
		start := time.Now()
		for _, keys := range [][2]string{{"both", "back"}, {"left", "right"}, {"toA", "toB"}, {"toB", "toA"}} {
			for n, c := range all {
				c.Send(`{"action":"` + keys[n%2] + `"}`)
			}
			for _, c := range all {
				require.Equal(t, "done", c.Receive())
			}
		}
		require.Zero(t, time.Since(start), "nobody has waited")
		for _, c := range all[:clients/2] {
			require.NoError(t, srv.DeleteConnection(t.Context(), c.ConnectionID()))
		}
		require.NoError(t, srv.Shutdown(t.Context()))
		require.Less(t, time.Since(start), time.Minute)
	})
}

// A slow integration holds nobody up, however often members come and go. While many events wait, a
// $join that is undone before its turn does not run, and one $leave is enough.
func TestPresence_Storm(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv := gatewaytest.New(t, gateway.WithQuotas(gateway.Quotas{GroupsPerConnection: -1, IdleTimeout: -1}))
		var l presenceLog
		for _, key := range []string{gateway.RouteKeyJoin, gateway.RouteKeyLeave} {
			srv.HandleFunc(key, func(ctx context.Context, req *gateway.Request) (*gateway.Response, error) {
				time.Sleep(time.Second) //nolint:forbidigo // in a synctest bubble
				return l.record(ctx, req)
			})
		}
		first, second := srv.Dial(t).ConnectionID(), srv.Dial(t).ConnectionID()
		start := time.Now()
		require.NoError(t, srv.Join(t.Context(), first, "room"))
		synctest.Wait() // its $join runs
		for range 5000 {
			require.NoError(t, srv.Join(t.Context(), second, "room"))
			require.NoError(t, srv.Leave(t.Context(), second, "room"))
		}
		require.Equal(t, 1001, srv.IndexSizes().Untold, "the one that runs, and 1,000 that wait")
		require.NoError(t, srv.Leave(t.Context(), first, "room"))
		require.NoError(t, srv.Join(t.Context(), second, "room"))
		require.Zero(t, time.Since(start), "nobody has waited")
		time.Sleep(time.Minute) //nolint:forbidigo // in a synctest bubble
		require.NoError(t, srv.Shutdown(t.Context()))
		all := l.all()
		require.Equal(t, 1004, len(all)) //nolint:testifylint // Len would print them all
		require.Equal(t, "JOIN room "+first, all[0])
		require.Equal(t, []string{"JOIN room " + second, "LEAVE room " + second}, all[1:3])
		require.Equal(t, []string{"LEAVE room " + first, "JOIN room " + second, "LEAVE room " + second}, all[1001:])
	})
}

// A client that goes through one group after the other cannot make any number of events. It may
// always leave.
func TestPresence_ManyGroups(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv := gatewaytest.New(t, gateway.WithAnswerCommands(), gateway.WithLogger(gatewaytest.Logger(t, 2)))
		var ran atomic.Int32
		slowPresence(srv, time.Second, &ran)
		srv.HandleFunc("enter", func(context.Context, *gateway.Request) (*gateway.Response, error) {
			return &gateway.Response{Header: http.Header{"Gateway-Join": {"another"}, "Gateway-State": {"1"}}, Body: []byte("done")}, nil
		}, gateway.WithRouteResponse())
		srv.HandleFunc("again", func(context.Context, *gateway.Request) (*gateway.Response, error) {
			return &gateway.Response{Header: http.Header{"Gateway-Join": {"home"}}, Body: []byte("still at home")}, nil
		}, gateway.WithRouteResponse())
		c := srv.Dial(t)
		id := c.ConnectionID()
		require.NoError(t, srv.Join(t.Context(), id, "home"))
		for n := range 101 {
			require.NoError(t, srv.Join(t.Context(), id, fmt.Sprint("room", n)))
			require.NoError(t, srv.Leave(t.Context(), id, fmt.Sprint("room", n)))
		}
		err := srv.Join(t.Context(), id, "another")
		require.ErrorIs(t, err, gateway.ErrLimitExceeded)
		require.ErrorContains(t, err, "101 leaves of the connection have not been told yet")
		require.NoError(t, srv.Leave(t.Context(), id, "another"))
		require.NoError(t, srv.Join(t.Context(), id, "home"), "it is in the group: that is no change")
		c.Send(`{"action":"again"}`)
		require.Equal(t, "still at home", c.Receive())
		c.Send(`{"action":"enter"}`)
		require.Contains(t, c.Receive(), `"message"`)
		conn, err := srv.GetConnection(t.Context(), id)
		require.NoError(t, err)
		require.Equal(t, []string{"home"}, conn.Groups)
		require.Empty(t, conn.State, "of an answer everything is done, or nothing")
		require.NoError(t, srv.Join(t.Context(), srv.Dial(t).ConnectionID(), "another"), "others may join")
		time.Sleep(3 * time.Second) //nolint:forbidigo // in a synctest bubble
		require.EqualValues(t, 204, ran.Load())
		c.Send(`{"action":"enter"}`)
		require.Equal(t, "done", c.Receive())
		require.NoError(t, srv.Shutdown(t.Context()))
	})
}

// Integrations may do what they want with groups, also with a context that has no end: they wait
// for nothing, so not for each other.
func TestPresence_OfIntegrations(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv := gatewaytest.New(t, gateway.WithAnswerCommands(), gateway.WithQuotas(gateway.Quotas{NewConnections: gateway.Throttle{RateLimit: -1}}))
		var failed atomic.Int32
		for _, key := range []string{gateway.RouteKeyJoin, gateway.RouteKeyLeave} {
			srv.HandleFunc(key, func(_ context.Context, req *gateway.Request) (*gateway.Response, error) {
				other := map[string]string{"a": "b", "b": "a"}[req.Group]
				err := errors.Join(srv.Leave(context.Background(), req.ConnectionID, req.Group), srv.Join(context.Background(), req.ConnectionID, other))
				if err != nil && !errors.Is(err, gateway.ErrGone) {
					failed.Add(1)
				}
				time.Sleep(time.Millisecond) //nolint:forbidigo // in a synctest bubble
				return &gateway.Response{Header: http.Header{"Gateway-Join": {req.Group}}}, nil
			})
		}
		srv.HandleFunc(gateway.RouteKeyConnect, func(context.Context, *gateway.Request) (*gateway.Response, error) {
			return &gateway.Response{Header: http.Header{"Gateway-Join": {"a, b"}}}, nil
		})
		for range 1500 {
			srv.Dial(t)
		}
		time.Sleep(5 * time.Second) //nolint:forbidigo // in a synctest bubble
		require.LessOrEqual(t, srv.IndexSizes().Untold, 2*(1000+2*1500))
		require.NoError(t, srv.Shutdown(t.Context()))
		require.Zero(t, failed.Load())
		require.Zero(t, srv.IndexSizes().Untold)
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

// Close gives events a part of its second, and loses the rest rather than hang, whether or not an
// integration minds its context. Each $disconnect still has time.
func TestPresence_Close(t *testing.T) {
	t.Parallel()
	for name, hangs := range map[string]func(ctx context.Context){
		"until its context ends": func(ctx context.Context) { <-ctx.Done() },
		"longer":                 func(context.Context) { time.Sleep(time.Second - 1) }, //nolint:forbidigo // in a synctest bubble
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				srv := gatewaytest.New(t, gateway.WithLogger(gatewaytest.Logger(t, 12)))
				var started, disconnects atomic.Int32
				srv.HandleFunc(gateway.RouteKeyLeave, func(ctx context.Context, _ *gateway.Request) (*gateway.Response, error) {
					started.Add(1)
					hangs(ctx)
					return nil, ctx.Err()
				})
				srv.HandleFunc(gateway.RouteKeyDisconnect, func(ctx context.Context, _ *gateway.Request) (*gateway.Response, error) {
					time.Sleep(400 * time.Millisecond) //nolint:forbidigo // in a synctest bubble
					if ctx.Err() == nil {
						disconnects.Add(1)
					}
					return nil, nil
				})
				for range 10 {
					c := srv.Dial(t)
					require.NoError(t, srv.Join(t.Context(), c.ConnectionID(), "room"))
				}
				start := time.Now()
				require.NoError(t, srv.Close())
				require.LessOrEqual(t, time.Since(start), time.Second)
				require.EqualValues(t, 1, started.Load())
				require.EqualValues(t, 10, disconnects.Load())
			})
		})
	}
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

// The answer of $leave cannot change a connection that has closed: it does nothing then, rather than a
// half. What it posts to others arrives.
func TestPresence_CommandsOfTheGone(t *testing.T) {
	t.Parallel()
	for header, want := range map[string]string{
		"Gateway-Join: z":        "an answer of $leave can only have Gateway-Post",
		"Gateway-State: 1":       "an answer of $leave can only have Gateway-Post",
		"Gateway-Close: 4000 no": "an answer of $leave can only have Gateway-Post",
		"Gateway-Leave: b":       "an answer of $leave can only have Gateway-Post",
		"Gateway-Post: self":     "self has closed",
		"Gateway-Post: everyone": "",
	} {
		t.Run(header, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				failed := make(chan error, 2)
				srv := gatewaytest.New(t, gateway.WithAnswerCommands(), gateway.WithLogger(gatewaytest.Logger(t, 1)), gateway.WithObserver(&gateway.Observer{
					IntegrationDone: func(_ context.Context, _ *gateway.Request, _ *gateway.Response, _ time.Duration, err error) {
						failed <- err
					},
				}))
				name, value, _ := strings.Cut(header, ": ")
				srv.HandleFunc(gateway.RouteKeyLeave, func(context.Context, *gateway.Request) (*gateway.Response, error) {
					h := http.Header{"Gateway-Post": {"everyone"}}
					h.Set(name, value)
					return &gateway.Response{Header: h, Body: []byte("bye")}, nil
				})
				c, other := srv.Dial(t), srv.Dial(t)
				require.NoError(t, srv.Join(t.Context(), c.ConnectionID(), "a"))
				require.NoError(t, srv.DeleteConnection(t.Context(), c.ConnectionID()))
				if err := <-failed; want != "" {
					require.ErrorContains(t, err, want)
					synctest.Wait()
					require.NoError(t, srv.PostToConnection(t.Context(), other.ConnectionID(), []byte("nothing before")))
					require.Equal(t, "nothing before", other.Receive())
				} else {
					require.NoError(t, err)
					require.Equal(t, "bye", other.Receive())
				}
				require.NoError(t, srv.Join(t.Context(), other.ConnectionID(), "a"))
			})
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

// The answer to who joins does not wait for those whose $join has not run.
func TestPresence_CommandsHoldNoReplyBack(t *testing.T) {
	t.Parallel()
	gw := newGateway(t, gateway.WithAnswerCommands())
	release := make(chan struct{})
	defer close(release)
	gw.HandleFunc(gateway.RouteKeyJoin, func(context.Context, *gateway.Request) (*gateway.Response, error) {
		<-release
		return nil, nil
	})
	gw.HandleFunc("reply", answer("reply"), gateway.WithRouteResponse())
	gw.Handle("enter", respond(&gateway.Response{Header: http.Header{"Gateway-Join": {"room"}}, Body: []byte("entered")}), gateway.WithRouteResponse())
	first, c := wiretest.Serve(t, gw.Handler()), wiretest.Serve(t, gw.Handler())
	first.MustOpen()
	first.MustWriteString(textFrame(`{"action":"enter"}`))
	require.Equal(t, "entered", first.Receive())
	c.MustOpen()
	c.MustWriteString(textFrame(`{"action":"reply"}`) + textFrame(`{"action":"enter"}`))
	require.Equal(t, "reply", c.Receive())
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

// A $join that still waits when the routes are taken away does not run once they are back, if its
// connection has left meanwhile: no $leave would follow.
func TestPresence_Rollback(t *testing.T) {
	t.Parallel()
	leave := map[string]func(*gatewaytest.Server, string) error{
		"leave": func(srv *gatewaytest.Server, id string) error { return srv.Leave(context.Background(), id, "room") },
		"close": func(srv *gatewaytest.Server, id string) error {
			return srv.DeleteConnection(context.Background(), id)
		},
	}
	for name, leave := range leave {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				srv := gatewaytest.New(t)
				var l presenceLog
				for _, key := range []string{gateway.RouteKeyJoin, gateway.RouteKeyLeave} {
					srv.HandleFunc(key, func(ctx context.Context, req *gateway.Request) (*gateway.Response, error) {
						time.Sleep(10 * time.Millisecond) //nolint:forbidigo // in a synctest bubble
						return l.record(ctx, req)
					})
				}
				d := srv.Deployment()
				first, gone, stays := srv.Dial(t).ConnectionID(), srv.Dial(t).ConnectionID(), srv.Dial(t).ConnectionID()
				for _, id := range []string{first, gone, stays} {
					require.NoError(t, srv.Join(t.Context(), id, "room"))
					synctest.Wait() // the first $join runs, the others wait
				}
				require.NoError(t, srv.Deploy(gateway.Deployment{}))
				require.NoError(t, leave(srv, gone))
				synctest.Wait()
				require.NoError(t, srv.Deploy(d))
				time.Sleep(time.Second) //nolint:forbidigo // in a synctest bubble
				require.Equal(t, []string{"JOIN room " + first, "JOIN room " + stays}, l.all())
			})
		})
	}
}

// While very many leaves of a group have not been told, nobody can join it, in whatever way, but
// everybody can leave.
func TestPresence_ManyLeft(t *testing.T) {
	t.Parallel()
	const most = 10_000
	gw := newGateway(t, gateway.WithAnswerCommands(), gateway.WithQuotas(gateway.Quotas{NewConnections: gateway.Throttle{RateLimit: -1}, GroupsPerConnection: -1}))
	ids := openNull(t, gw, most+2)
	release := make(chan struct{})
	gw.HandleFunc(gateway.RouteKeyJoin, func(context.Context, *gateway.Request) (*gateway.Response, error) {
		<-release
		return nil, nil
	})
	gw.HandleFunc(gateway.RouteKeyLeave, answerNothing)
	gw.HandleFunc(gateway.RouteKeyConnect, func(_ context.Context, req *gateway.Request) (*gateway.Response, error) {
		return &gateway.Response{Header: http.Header{"Gateway-Join": {req.Upgrade.URL.Query().Get("room")}}}, nil
	})
	srv := gatewaytest.Serve(t, gw)
	stays, late := ids[most], ids[most+1]
	require.NoError(t, gw.Join(t.Context(), stays, "room"))
	for _, id := range ids[:most] {
		require.NoError(t, gw.Join(t.Context(), id, "room"))
		require.NoError(t, gw.Leave(t.Context(), id, "room"))
	}
	err := gw.Join(t.Context(), late, "room")
	require.ErrorIs(t, err, gateway.ErrLimitExceeded)
	require.ErrorContains(t, err, "10000 leaves of the group have not been told yet: let it join later, or make the integrations of $join and $leave quicker")
	_, refused := srv.TryDial(t, gatewaytest.Query("room", "room"))
	require.NotNil(t, refused, "$connect is no way around the bound")
	require.Equal(t, http.StatusBadGateway, refused.StatusCode)
	srv.Dial(t, gatewaytest.Query("room", "another"))
	require.NoError(t, gw.Join(t.Context(), late, "other"))
	require.NoError(t, gw.Join(t.Context(), stays, "room"), "it is in the group: that is no change")
	require.NoError(t, gw.Leave(t.Context(), stays, "room"))
	close(release)
	require.Eventually(t, func() bool { return gw.Join(t.Context(), late, "room") == nil }, 10*time.Second, time.Millisecond)
	srv.Dial(t, gatewaytest.Query("room", "room"))
}
