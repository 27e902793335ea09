package gateway_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
	"example.com/gateway/gatewaytest"
)

// answer returns an integration that answers text.
func answer(text string) gateway.IntegrationFunc {
	return func(context.Context, *gateway.Request) (*gateway.Response, error) {
		return &gateway.Response{Body: []byte(text)}, nil
	}
}

// routeKey is an integration that answers with the key of the route that was
// selected.
func routeKey(_ context.Context, req *gateway.Request) (*gateway.Response, error) {
	return &gateway.Response{Body: []byte(req.RouteKey)}, nil
}

func errorFrame(text, connectionID, requestID string) string {
	return fmt.Sprintf(`{"message": %q, "connectionId":%q, "requestId":%q}`, text, connectionID, requestID)
}

func TestRoute_Selection(t *testing.T) {
	t.Parallel()
	all := []string{"join", "Join", "chat/join", "a b", "join-", "1", "true", "[a, b]", "$default", "action"}
	forbidden := "Forbidden"
	for _, tc := range []struct {
		name, expression string
		keys             []string // nil: all
		message, want    string
	}{
		{"the key that equals the value", "", nil, `{"action":"join"}`, "join"},
		{"upper and lower case differ", "", nil, `{"action":"Join"}`, "Join"},
		{"no wildcard and no prefix", "", nil, `{"action":"joi"}`, "$default"},
		{"blanks are allowed in a key", "", nil, `{"action":"a b"}`, "a b"},
		{"two variables and a literal", "${request.body.service}/${request.body.action}", nil, `{"service":"chat","action":"join"}`, "chat/join"},
		{"a missing path gives nothing", "${request.body.action}-${request.body.none}", nil, `{"action":"join"}`, "join-"},
		{"a number is its text", "", nil, `{"action":1}`, "1"},
		{"a boolean is its text", "", nil, `{"action":true}`, "true"},
		{"an array has brackets", "", nil, `{"action":["a","b"]}`, "[a, b]"},
		{"null is as if it were missing", "", nil, `{"action":null}`, "$default"},
		{"an unknown value", "", nil, `{"action":"none"}`, "$default"},
		{"no such member", "", nil, `{"other":"join"}`, "$default"},
		{"text that is not JSON", "", nil, `join`, "$default"},
		{"an unquoted key is not JSON", "", nil, `{"action":"join", body:"hello"}`, "$default"},
		{"an empty message", "", nil, ``, "$default"},
		{"a root that is an array", "", nil, `["join"]`, "$default"},
		{"a root that is a string", "", nil, `"join"`, "$default"},
		{"a value of $connect does not reach $connect", "", nil, `{"action":"$connect"}`, "$default"},
		{"a value of $disconnect does not reach $disconnect", "", nil, `{"action":"$disconnect"}`, "$default"},
		{"a value of $default reaches $default", "", nil, `{"action":"$default"}`, "$default"},
		{"an escaped dollar in the expression", `\$${request.body.action}`, nil, `{"action":"default"}`, "$default"},
		{"of duplicate members the last counts", "", nil, `{"action":"join","action":"Join"}`, "Join"},
		{"without $default, no match is forbidden", "", []string{"join"}, `{"action":"none"}`, forbidden},
		{"without $default, text is forbidden", "", []string{"join"}, `hello`, forbidden},
		{"without $default, $connect is forbidden", "", []string{"join"}, `{"action":"$connect"}`, forbidden},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			opts := []gateway.Option{}
			if tc.expression != "" {
				opts = append(opts, gateway.WithRouteSelectionExpression(tc.expression))
			}
			srv := gatewaytest.New(t, opts...)
			keys := tc.keys
			if keys == nil {
				keys = all
			}
			for _, key := range keys {
				srv.HandleFunc(key, routeKey, gateway.WithRouteResponse())
			}
			srv.HandleFunc("$connect", answerNothing)
			srv.HandleFunc("$disconnect", answerNothing)
			c := srv.Dial(t)
			c.Send(tc.message)
			if tc.want == forbidden {
				var frame struct{ Message, ConnectionID, RequestID string }
				text := c.Receive()
				require.NoError(t, json.Unmarshal([]byte(text), &frame))
				require.Equal(t, errorFrame("Forbidden", c.ConnectionID(), frame.RequestID), text)
				require.Regexp(t, `^[A-Za-z0-9_-]{15}=$`, frame.RequestID)
				c.Ping() // the connection stays open
				return
			}
			require.Equal(t, tc.want, c.Receive())
			e := srv.WaitEvent(func(e gatewaytest.Event) bool { return e.EventType == gateway.EventMessage })
			require.Equal(t, tc.message, string(e.Body), "the body is passed on unchanged")
		})
	}
}

func answerNothing(context.Context, *gateway.Request) (*gateway.Response, error) { return nil, nil }

func TestRoute_MissingLifecycleRoutes(t *testing.T) {
	t.Parallel()
	closed := make(chan int, 1)
	srv := gatewaytest.New(t, gateway.WithObserver(&gateway.Observer{
		ConnectionClosed: func(_ context.Context, _ gateway.Connection, code int, _ string) { closed <- code },
	}))
	srv.HandleFunc("$default", answerNothing)
	srv.Dial(t).Close(1000, "")
	require.Equal(t, 1000, <-closed)
	require.Empty(t, srv.Events())
}

func TestRoute_MessageRequest(t *testing.T) {
	t.Parallel()
	srv := gatewaytest.New(t, gateway.WithStage("prod", map[string]string{"table": "t"}), gateway.WithAPI("a1b2c3d4e5", ""))
	srv.HandleFunc("$connect", answerNothing)
	srv.HandleFunc("say", answerNothing, gateway.WithRouteResponse())
	c := srv.Dial(t, gatewaytest.SourceIP("203.0.113.7"), gatewaytest.Header("User-Agent", "test"))
	c.Send(`{"action":"say"}`)
	c.Send(`{"action":"say"}`)
	isMessage := func(e gatewaytest.Event) bool { return e.EventType == gateway.EventMessage }
	srv.WaitEvent(isMessage)
	second := srv.WaitEvent(func(e gatewaytest.Event) bool { return isMessage(e) && e.RequestID != srv.Events()[1].RequestID })
	connect, first := srv.Events()[0], srv.Events()[1]

	require.Equal(t, "say", first.RouteKey)
	require.Equal(t, c.ConnectionID(), first.ConnectionID)
	require.Regexp(t, `^[A-Za-z0-9_-]{15}=$`, first.RequestID)
	require.Regexp(t, `^[A-Za-z0-9_-]{18}==$`, first.MessageID)
	require.NotEqual(t, first.MessageID, second.MessageID)
	require.NotEqual(t, connect.RequestID, first.RequestID)
	require.Equal(t, gateway.Identity{SourceIP: "203.0.113.7", UserAgent: "test"}, first.Identity)
	require.Equal(t, "prod", first.Stage)
	require.Equal(t, "a1b2c3d4e5", first.APIID)
	require.Equal(t, "gateway.test", first.DomainName)
	require.Equal(t, map[string]string{"table": "t"}, first.StageVariables)
	require.Equal(t, connect.ConnectedAt, first.ConnectedAt)
	require.False(t, first.RequestTime.Before(first.ConnectedAt))
	require.Zero(t, first.DisconnectStatusCode)
}

// An integration may keep its request and read all of it after it has returned, while
// the observers and the client get the result. The race detector checks that.
func TestRoute_IntegrationKeepsItsRequest(t *testing.T) {
	t.Parallel()
	var reading sync.WaitGroup
	t.Cleanup(reading.Wait)
	over := make(chan struct{})
	done := make(chan string, 1)
	srv := gatewaytest.New(t, gateway.WithObserver(&gateway.Observer{
		IntegrationDone: func(_ context.Context, req *gateway.Request, _ *gateway.Response, _ time.Duration, _ error) {
			value, _ := req.SelectionValue()
			done <- value
		},
	}))
	srv.HandleFunc("$default", func(_ context.Context, req *gateway.Request) (*gateway.Response, error) {
		reading.Go(func() {
			for {
				kept := *req
				if value, ok := kept.SelectionValue(); !ok || value != "foo" || string(kept.Body) != `{"action":"foo"}` {
					panic(value)
				}
				select {
				case <-over:
					return
				default:
					runtime.Gosched()
				}
			}
		})
		return nil, errors.New("it fails")
	})
	c := srv.Dial(t)
	c.Send(`{"action":"foo"}`)
	require.Contains(t, c.Receive(), "Internal server error")
	require.Equal(t, "foo", <-done)
	close(over)
}

// An observer of a message learns the value that selected its route, whatever the
// integration did to the request.
func TestRequest_SelectionValue(t *testing.T) {
	t.Parallel()
	const none = "no value"
	valueOf := func(req *gateway.Request) string {
		value, ok := req.SelectionValue()
		if !ok {
			require.Empty(t, value)
			return none
		}
		return "value " + value
	}
	for _, tt := range []struct {
		name, message, want string
		noDefault           bool
	}{
		{name: "a route's key", message: `{"action":"known"}`, want: "known: value known"},
		{name: "no route's key", message: `{"action":"foo"}`, want: "$default: value foo"},
		{name: "the key of $default", message: `{"action":"$default"}`, want: "$default: value $default"},
		{name: "the key of $connect", message: `{"action":"$connect"}`, want: "$default: value $connect"},
		{name: "nothing at the path", message: `{}`, want: "$default: value "},
		{name: "an escape", message: `{"action":"f\u006fo"}`, want: "$default: value foo"},
		{name: "no JSON", message: `action foo`, want: "$default: " + none},
		{name: "no route", message: `{"action":"foo"}`, want: ": value foo", noDefault: true},
		{name: "no route and no JSON", message: `foo`, want: ": " + none, noDefault: true},
		{name: "an integration that does not return in time", message: `{"action":"foo","slow":true}`, want: "$default: value foo"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				observed := make(chan string, 2)
				tell := func(req *gateway.Request) {
					if req.EventType == gateway.EventMessage {
						observed <- req.RouteKey + ": " + valueOf(req)
					}
				}
				observer := gateway.WithObserver(&gateway.Observer{
					IntegrationDone: func(_ context.Context, req *gateway.Request, _ *gateway.Response, _ time.Duration, _ error) {
						tell(req)
					},
					MessageRejected: func(_ context.Context, req *gateway.Request, _ int, _ error) { tell(req) },
				})
				seen := make(chan string, 2)
				integration := gateway.IntegrationFunc(func(ctx context.Context, req *gateway.Request) (*gateway.Response, error) {
					seen <- valueOf(req)
					slow := bytes.Contains(req.Body, []byte("slow"))
					for n := range req.Body {
						req.Body[n] = 'x'
					}
					if slow {
						<-ctx.Done()
						time.Sleep(time.Second) //nolint:forbidigo // virtual time
					}
					return nil, nil
				})
				srv := gatewaytest.New(t, observer)
				srv.Handle("known", integration)
				if !tt.noDefault {
					srv.Handle("$default", integration)
				}
				srv.Dial(t).Send(tt.message)
				require.Equal(t, tt.want, <-observed)
				if !tt.noDefault {
					_, value, _ := strings.Cut(tt.want, ": ")
					require.Equal(t, value, <-seen, "the integration")
				}
				time.Sleep(time.Minute) //nolint:forbidigo // virtual time
				require.Empty(t, seen)
				require.Empty(t, observed)
			})
		})
	}
	_, ok := (&gateway.Request{EventType: gateway.EventConnect, RouteKey: "$connect"}).SelectionValue()
	require.False(t, ok, "a connect has none")
}

func TestRoute_Responses(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		twoWay bool
		resp   *gateway.Response
		want   string // "": nothing comes
	}{
		{"a two-way route sends the body", true, &gateway.Response{Body: []byte("b")}, "b"},
		{"whatever the status", true, &gateway.Response{StatusCode: 503, Body: []byte("b")}, "b"},
		{"nothing for an empty body", true, &gateway.Response{StatusCode: 200}, ""},
		{"nothing for no response", true, nil, ""},
		{"a one-way route drops the body", false, &gateway.Response{Body: []byte("b")}, ""},
		{"bad UTF-8 is replaced", true, &gateway.Response{Body: []byte("a\xffb")}, "a\uFFFDb"},
		{"up to 128 KiB", true, &gateway.Response{Body: []byte(strings.Repeat("x", 128<<10))}, strings.Repeat("x", 128<<10)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			srv := gatewaytest.New(t)
			var opts []gateway.RouteOption
			if tc.twoWay {
				opts = append(opts, gateway.WithRouteResponse())
			}
			srv.HandleFunc("go", func(context.Context, *gateway.Request) (*gateway.Response, error) { return tc.resp, nil }, opts...)
			srv.HandleFunc("end", answer("end"), gateway.WithRouteResponse())
			c := srv.Dial(t)
			c.Send(`{"action":"go"}`)
			c.Send(`{"action":"end"}`)
			if tc.want != "" {
				require.Equal(t, tc.want, c.Receive())
			}
			require.Equal(t, "end", c.Receive())
		})
	}
}

func TestRoute_FailuresAnswerOnEveryRoute(t *testing.T) {
	t.Parallel()
	tooLong := &gateway.Response{Body: []byte(strings.Repeat("x", 128<<10+1))}
	for _, tc := range []struct {
		name string
		fn   gateway.IntegrationFunc
		text string
		// oneWay is false if the reply itself failed.
		oneWay bool
	}{
		{"an error", func(context.Context, *gateway.Request) (*gateway.Response, error) {
			return nil, errors.New("secret detail")
		}, "Internal server error", true},
		{"an error that means something elsewhere", func(context.Context, *gateway.Request) (*gateway.Response, error) {
			return nil, fmt.Errorf("telling the others: %w", gateway.ErrGone)
		}, "Internal server error", true},
		{"a response beside the error does not count", func(context.Context, *gateway.Request) (*gateway.Response, error) {
			return &gateway.Response{Body: []byte("x")}, errors.New("e")
		}, "Internal server error", true},
		{"a panic", func(context.Context, *gateway.Request) (*gateway.Response, error) { panic("secret detail") }, "Internal server error", true},
		{"a goroutine that ends", func(context.Context, *gateway.Request) (*gateway.Response, error) { runtime.Goexit(); return nil, nil }, "Internal server error", true},
		{"a timeout that the integration obeys", func(ctx context.Context, _ *gateway.Request) (*gateway.Response, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}, "Endpoint request timed out", true},
		{"a timeout that it does not obey", func(context.Context, *gateway.Request) (*gateway.Response, error) {
			time.Sleep(time.Minute) //nolint:forbidigo // in a synctest bubble
			return &gateway.Response{Body: []byte("late")}, nil
		}, "Endpoint request timed out", true},
		{"its own timeout is an ordinary error", func(context.Context, *gateway.Request) (*gateway.Response, error) {
			return nil, context.DeadlineExceeded
		}, "Internal server error", true},
		{"a reply that is too large", func(context.Context, *gateway.Request) (*gateway.Response, error) { return tooLong, nil }, "Internal server error", false},
	} {
		for _, twoWay := range []bool{true, false} {
			if !twoWay && !tc.oneWay {
				continue
			}
			t.Run(fmt.Sprintf("%s, two-way %v", tc.name, twoWay), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					srv := gatewaytest.New(t)
					srv.Handle("fail", tc.fn, func(r *gateway.Route) { r.RouteResponse = twoWay })
					srv.HandleFunc("end", answer("end"), gateway.WithRouteResponse())
					c := srv.Dial(t)
					for range 3 { // the connection still works
						start := time.Now()
						c.Send(`{"action":"fail"}`)
						text := c.Receive()
						if strings.HasPrefix(tc.text, "Endpoint") {
							require.Equal(t, 29*time.Second, time.Since(start))
						}
						var frame struct{ RequestID string }
						require.NoError(t, json.Unmarshal([]byte(text), &frame))
						require.Equal(t, errorFrame(tc.text, c.ConnectionID(), frame.RequestID), text)
						srv.WaitEvent(func(e gatewaytest.Event) bool { return e.RequestID == frame.RequestID })
					}
					c.Send(`{"action":"end"}`)
					require.Equal(t, "end", c.Receive())
				})
			})
		}
	}
}

func TestRoute_IntegrationErrorIsObserved(t *testing.T) {
	t.Parallel()
	done := make(chan error, 1)
	cause := errors.New("no database")
	srv := gatewaytest.New(t, gateway.WithObserver(&gateway.Observer{
		IntegrationDone: func(_ context.Context, _ *gateway.Request, _ *gateway.Response, _ time.Duration, err error) {
			done <- err
		},
	}))
	srv.HandleFunc("$default", func(context.Context, *gateway.Request) (*gateway.Response, error) { return nil, cause })
	srv.Dial(t).Send("x")
	err := <-done
	var ie *gateway.IntegrationError
	require.ErrorAs(t, err, &ie)
	require.ErrorIs(t, err, cause)
	require.Equal(t, "$default", ie.RouteKey)
	require.Equal(t, 502, ie.StatusCode)
	require.EqualError(t, err, `gateway: integration for route "$default": no database`)
}

func TestRoute_FramesOfOneConnectionInOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv := gatewaytest.New(t)
		var running atomic.Int32
		srv.HandleFunc("$default", func(_ context.Context, req *gateway.Request) (*gateway.Response, error) {
			if running.Add(1) != 1 {
				return nil, errors.New("two at a time")
			}
			defer running.Add(-1)
			if len(req.Body)%2 == 0 { // some return at once, others do not
				time.Sleep(time.Duration(len(req.Body)) * time.Second) //nolint:forbidigo // in a synctest bubble
			}
			return &gateway.Response{Body: req.Body}, nil
		}, gateway.WithRouteResponse())
		c := srv.Dial(t)
		go func() {
			for n := range 50 { // more than an inbox holds
				c.Send(strings.Repeat("x", n%7) + fmt.Sprint(n))
			}
		}()
		for n := range 50 {
			require.Equal(t, strings.Repeat("x", n%7)+fmt.Sprint(n), c.Receive())
		}
	})
}

func TestRoute_InFlightLetsFramesOverlap(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv := gatewaytest.New(t, gateway.WithQuotas(gateway.Quotas{InFlight: 3}))
		var running, most atomic.Int32
		srv.HandleFunc("$default", func(context.Context, *gateway.Request) (*gateway.Response, error) {
			most.Store(max(most.Load(), running.Add(1)))
			defer running.Add(-1)
			time.Sleep(time.Second) //nolint:forbidigo // in a synctest bubble
			return &gateway.Response{Body: []byte("done")}, nil
		}, gateway.WithRouteResponse())
		c := srv.Dial(t)
		start := time.Now()
		for range 9 {
			c.Send("x")
		}
		for range 9 {
			c.Receive()
		}
		require.Equal(t, int32(3), most.Load())
		require.Less(t, time.Since(start), 4*time.Second)
	})
}

func TestRoute_SlowIntegrationHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv := gatewaytest.New(t)
		srv.HandleFunc("slow", func(context.Context, *gateway.Request) (*gateway.Response, error) {
			time.Sleep(20 * time.Second) //nolint:forbidigo // in a synctest bubble
			return &gateway.Response{Body: []byte("slow")}, nil
		}, gateway.WithRouteResponse())
		srv.HandleFunc("fast", answer("fast"), gateway.WithRouteResponse())
		srv.HandleFunc("$disconnect", answerNothing)
		a, b := srv.Dial(t), srv.Dial(t)
		start := time.Now()
		a.Send(`{"action":"fast"}`)
		a.Send(`{"action":"slow"}`)
		require.Equal(t, "fast", a.Receive())
		require.Less(t, time.Since(start), time.Second, "a reply waits for no later frame")
		a.Ping()
		require.Less(t, time.Since(start), time.Second, "pings are answered while an integration runs")
		require.NoError(t, srv.PostToConnection(t.Context(), a.ConnectionID(), []byte("post")))
		require.Equal(t, "post", a.Receive())
		b.Send(`{"action":"fast"}`)
		require.Equal(t, "fast", b.Receive())
		require.Less(t, time.Since(start), time.Second, "other connections do not wait")
		a.Close(1000, "bye")
		require.Less(t, time.Since(start), time.Second, "a close is answered while an integration runs")
		e := srv.WaitDisconnect(a.ConnectionID())
		require.Equal(t, 20*time.Second, time.Since(start), "$disconnect is the last event")
		require.Equal(t, "bye", e.DisconnectReason)
	})
}

func TestRoute_DeployReachesOpenConnections(t *testing.T) {
	t.Parallel()
	srv := gatewaytest.New(t, gateway.WithStage("prod", map[string]string{"v": "0"}))
	srv.HandleFunc("old", answer("old"), gateway.WithRouteResponse())
	c := srv.Dial(t)
	ask := func(message string) string { c.Send(message); return c.Receive() }
	require.Equal(t, "old", ask(`{"action":"old"}`))

	var variables map[string]string
	d := gateway.Deployment{
		RouteSelectionExpression: "$request.body.type",
		StageVariables:           map[string]string{"v": "1"},
		Routes: []gateway.Route{{RouteKey: "new", RouteResponse: true, Integration: gateway.IntegrationFunc(
			func(_ context.Context, req *gateway.Request) (*gateway.Response, error) {
				variables = req.StageVariables
				return &gateway.Response{Body: []byte("new")}, nil
			})}},
	}
	require.NoError(t, srv.Deploy(d))
	d.StageVariables["v"] = "changed by the caller"
	d.Routes[0].RouteKey = "changed by the caller"
	require.Equal(t, "new", ask(`{"type":"new"}`))
	require.Equal(t, map[string]string{"v": "1"}, variables)
	require.Contains(t, ask(`{"action":"old","type":"old"}`), "Forbidden")

	srv.HandleFunc("later", answer("later"), gateway.WithRouteResponse())
	require.Equal(t, "later", ask(`{"type":"later"}`), "Handle adds to what was deployed")

	for name, bad := range map[string]gateway.Deployment{
		"an expression with a mistake": {RouteSelectionExpression: "$request.boddy.x"},
		"a key twice": {Routes: []gateway.Route{
			{RouteKey: "a", Integration: &gateway.MockIntegration{}}, {RouteKey: "a", Integration: &gateway.MockIntegration{}},
		}},
		"a reserved key":         {Routes: []gateway.Route{{RouteKey: "$other", Integration: &gateway.MockIntegration{}}}},
		"an empty key":           {Routes: []gateway.Route{{Integration: &gateway.MockIntegration{}}}},
		"a long key":             {Routes: []gateway.Route{{RouteKey: strings.Repeat("k", 129), Integration: &gateway.MockIntegration{}}}},
		"the integration is nil": {Routes: []gateway.Route{{RouteKey: "a"}}},
		"a nil func":             {Routes: []gateway.Route{{RouteKey: "a", Integration: gateway.IntegrationFunc(nil)}}},
		"$connect twice":         {Routes: []gateway.Route{{RouteKey: "$connect", Integration: &gateway.MockIntegration{}}, {RouteKey: "$connect", Integration: &gateway.MockIntegration{}}}},
		"$default, twice":        {Routes: []gateway.Route{{RouteKey: "$default", Integration: &gateway.MockIntegration{}}, {RouteKey: "$default", Integration: &gateway.MockIntegration{}}}},
	} {
		require.ErrorIs(t, srv.Deploy(bad), gateway.ErrInvalidOption, name)
		require.Equal(t, "new", ask(`{"type":"new"}`), "an error changes nothing")
	}
	require.NoError(t, srv.Deploy(gateway.Deployment{Routes: []gateway.Route{
		{RouteKey: strings.Repeat("ü", 128), Integration: answer("long"), RouteResponse: true},
	}}))
	require.Equal(t, "long", ask(`{"action":"`+strings.Repeat("ü", 128)+`"}`), "128 characters, and the gateway's expression again")
}

func TestRoute_DeployIsOneStep(t *testing.T) {
	t.Parallel()
	srv := gatewaytest.NewTCP(t)
	deployment := func(version string) gateway.Deployment {
		return gateway.Deployment{
			StageVariables: map[string]string{"v": version},
			Routes: []gateway.Route{{RouteKey: "$default", RouteResponse: true, Integration: gateway.IntegrationFunc(
				func(_ context.Context, req *gateway.Request) (*gateway.Response, error) {
					return &gateway.Response{Body: []byte(version + req.StageVariables["v"])}, nil
				})}},
		}
	}
	require.NoError(t, srv.Deploy(deployment("a")))
	c := srv.Dial(t)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			for _, v := range []string{"a", "b"} {
				select {
				case <-stop:
					return
				default:
					_ = srv.Deploy(deployment(v))
				}
			}
		}
	})
	for range 500 {
		c.Send("x")
		require.Contains(t, []string{"aa", "bb"}, c.Receive())
	}
	close(stop)
	wg.Wait()
}

func TestRoute_HandlePanicsOnMisuse(t *testing.T) {
	t.Parallel()
	gw, err := gateway.New()
	require.NoError(t, err)
	gw.Handle("a", &gateway.MockIntegration{})
	requirePanic := func(want string, f func()) {
		t.Helper()
		defer func() {
			err, ok := recover().(error)
			require.True(t, ok, "no panic")
			require.ErrorIs(t, err, gateway.ErrInvalidOption)
			require.ErrorContains(t, err, want)
		}()
		f()
	}
	requirePanic("route_test.go:", func() { gw.HandleFunc("a", answerNothing) })
	requirePanic("is empty", func() { gw.HandleFunc("", answerNothing) })
	requirePanic("the integration is nil", func() { gw.HandleFunc("b", nil) })
	requirePanic("the integration is nil", func() { gw.Handle("b", nil) })
	requirePanic("the integration is nil", func() { gw.Handle("b", (*gateway.HTTPIntegration)(nil)) })
	requirePanic("the integration is nil", func() { gw.Handle("b", gateway.IntegrationFunc(nil)) })
	requirePanic("RouteOption 1 is nil", func() { gw.HandleFunc("b", answerNothing, gateway.WithRouteResponse(), nil) })
	requirePanic("only $connect, $disconnect and $default", func() { gw.HandleFunc("$b", answerNothing) })
	for _, a := range []gateway.Authorizer{nil, gateway.AuthorizerFunc(nil)} { // an authorizer that is nil by mistake must not let everybody in
		requirePanic("leave WithAuthorizer out", func() { gw.HandleFunc("$connect", answerNothing, gateway.WithAuthorizer(a)) })
	}
}

func TestRoute_MiddlewareWrapsInOrder(t *testing.T) {
	t.Parallel()
	mark := func(name string) gateway.Middleware {
		return func(next gateway.Integration) gateway.Integration {
			return gateway.IntegrationFunc(func(ctx context.Context, req *gateway.Request) (*gateway.Response, error) {
				resp, err := next.Invoke(ctx, req)
				if resp != nil {
					resp = &gateway.Response{Body: append([]byte(name), resp.Body...)}
				}
				return resp, err
			})
		}
	}
	srv := gatewaytest.New(t, gateway.WithMiddleware(mark("1"), mark("2")), gateway.WithMiddleware(mark("3")))
	srv.HandleFunc("$default", answer("x"), gateway.WithRouteResponse())
	c := srv.Dial(t)
	c.Send("hello")
	require.Equal(t, "123x", c.Receive())
}

func TestRoute_IntegrationContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv := gatewaytest.New(t)
		ended := make(chan error, 1)
		srv.HandleFunc("$default", func(ctx context.Context, req *gateway.Request) (*gateway.Response, error) {
			until, ok := ctx.Deadline()
			if !ok || until.Sub(req.RequestTime) != 29*time.Second {
				return nil, fmt.Errorf("deadline %v", until)
			}
			context.AfterFunc(ctx, func() { ended <- context.Cause(ctx) })
			return &gateway.Response{Body: []byte("ok")}, ctx.Err()
		}, gateway.WithRouteResponse())
		c := srv.Dial(t)
		c.Send("x")
		require.Equal(t, "ok", c.Receive())
		require.ErrorIs(t, <-ended, context.Canceled, "the context ends with the invocation")
	})
}

// A log that blocks at a deployment delays no other change of the routes.
func TestRoute_DeployLogBlocks(t *testing.T) {
	t.Parallel()
	h := blockingHandler{slog.DiscardHandler, "deployed", make(chan struct{}), make(chan struct{})}
	gw := newGateway(t, gateway.WithLogger(slog.New(h)))
	done := make(chan error, 1)
	go func() { done <- gw.Deploy(gateway.Deployment{}) }() // ends after release is closed
	<-h.blocked
	gw.HandleFunc("more", answerNothing)
	close(h.release)
	require.NoError(t, <-done)
}

// A reply that is too large is an error frame for the client, a failed post for the
// observers, and a sent message, which is the error frame.
func TestReply_TooLarge(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{"too long": "0123456789a", "too long once its bytes are replaced": "\xff\xff\xff\xff"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				type failure struct {
					bytes int
					text  string
				}
				var failed []failure
				var sent []int
				srv := gatewaytest.New(t, gateway.WithQuotas(gateway.Quotas{MessageBytes: 10}), gateway.WithObserver(&gateway.Observer{
					MessageSent: func(_ context.Context, _ string, bytes int) { sent = append(sent, bytes) },
					PostFailed: func(_ context.Context, _ string, bytes int, err error) {
						require.ErrorIs(t, err, gateway.ErrPayloadTooLarge)
						failed = append(failed, failure{bytes, err.Error()})
					},
				}))
				srv.Handle("$default", respond(&gateway.Response{Body: []byte(body)}), gateway.WithRouteResponse())
				c := srv.Dial(t)
				c.Send("x")
				text := c.Receive()
				require.Contains(t, text, "Internal server error")
				synctest.Wait()
				bytes := len(strings.ToValidUTF8(body, "")) + 3*strings.Count(body, "\xff")
				require.Equal(t, []failure{{bytes, fmt.Sprintf("gateway: payload too large: %d bytes, quota 10", bytes)}}, failed)
				require.Equal(t, []int{len(text)}, sent)
			})
		})
	}
}
