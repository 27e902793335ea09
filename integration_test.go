package gateway_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
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
	"example.com/gateway/internal/suites/wiretest"
)

func TestMockIntegration(t *testing.T) {
	t.Parallel()
	srv := gatewaytest.New(t)
	srv.Handle("$connect", &gateway.MockIntegration{})
	srv.Handle("say", &gateway.MockIntegration{Body: []byte("mock")}, gateway.WithRouteResponse())
	c := srv.Dial(t)
	c.Send(`{"action":"say"}`)
	require.Equal(t, "mock", c.Receive())

	closed := gatewaytest.New(t)
	closed.Handle("$connect", &gateway.MockIntegration{StatusCode: 418, Body: []byte("teapot")})
	_, refused := closed.TryDial(t)
	require.Equal(t, 418, refused.StatusCode)
	require.Equal(t, "teapot", refused.Body)
}

// A refused upgrade has the status that the integration itself chose, if an
// integration may choose it.
func TestIntegration_NamesItsOwnFailure(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]int{500: 500, 504: 504, 404: 404, 0: 502, 200: 502, 600: 502} {
		srv := gatewaytest.New(t)
		srv.HandleFunc("$connect", func(context.Context, *gateway.Request) (*gateway.Response, error) {
			return nil, &gateway.IntegrationError{StatusCode: status, Err: context.Canceled}
		})
		_, refused := srv.TryDial(t)
		require.Equal(t, want, refused.StatusCode)
		require.Contains(t, refused.Body, `"Internal server error"`)
	}
}

func TestUpgrade_LogsASubprotocolThatWasNotOffered(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	srv := gatewaytest.New(t, gateway.WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
	srv.HandleFunc("$connect", func(context.Context, *gateway.Request) (*gateway.Response, error) {
		return &gateway.Response{Header: map[string][]string{"Sec-WebSocket-Protocol": {"chat.v9"}}}, nil
	})
	id := ""
	for c := range dialWithProtocol(t, srv, "chat.v1").Connections() {
		id = c.ID
	}
	require.Contains(t, log.String(), `level=WARN msg="$connect returned a subprotocol that the client did not offer" connection_id="`+id+`"`)
}

// dialWithProtocol dials with raw bytes, because the client package refuses a
// subprotocol that it did not offer.
func dialWithProtocol(t *testing.T, srv *gatewaytest.Server, offered string) *gatewaytest.Server {
	t.Helper()
	answer := wiretest.Dial(t, srv.HTTPClient()).MustOpen("Sec-WebSocket-Protocol: " + offered)
	require.Equal(t, []string{"chat.v9"}, answer.Values("Sec-WebSocket-Protocol"))
	return srv
}

// The context of an event ends when its integration has returned. Its values stay.
func TestIntegration_ContextAfterInvoke(t *testing.T) {
	t.Parallel()
	srv := gatewaytest.New(t)
	contexts := make(chan context.Context, 1)
	for _, key := range []string{"$connect", "$default", "$disconnect"} {
		srv.HandleFunc(key, func(ctx context.Context, _ *gateway.Request) (*gateway.Response, error) {
			require.NoError(t, ctx.Err())
			contexts <- ctx
			return &gateway.Response{Body: []byte("x")}, nil
		}, gateway.WithRouteResponse())
	}
	requireEnded := func(ctx context.Context) {
		t.Helper()
		<-ctx.Done()
		require.ErrorIs(t, ctx.Err(), context.Canceled)
		require.NotNil(t, ctx.Value(http.ServerContextKey), "a value of the upgrade request")
		require.NoError(t, context.WithoutCancel(ctx).Err(), "for work that continues after the event")
	}
	c := srv.Dial(t)
	requireEnded(<-contexts)
	c.Send("x")
	c.Receive()
	requireEnded(<-contexts)
	c.Close(1000, "")
	requireEnded(<-contexts)
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

func TestUpgrade_IntegrationContext(t *testing.T) {
	t.Parallel()
	t.Run("it carries the values of the upgrade request, for every event", func(t *testing.T) {
		t.Parallel()
		gw := newGateway(t)
		values := make(chan any, 3)
		for _, key := range []string{"$connect", "$default", "$disconnect"} {
			gw.HandleFunc(key, func(ctx context.Context, _ *gateway.Request) (*gateway.Response, error) {
				values <- ctx.Value(valueKey{})
				return nil, nil
			})
		}
		w := wiretest.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			gw.Handler().ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), valueKey{}, "user-1")))
		}))
		require.Equal(t, 101, w.MustAsk(wiretest.Upgrade("/test")).Status)
		w.MustSend(wiretest.Text, "x")
		require.Equal(t, "user-1", <-values)
		require.Equal(t, "user-1", <-values)
		require.NoError(t, w.Close())
		require.Equal(t, "user-1", <-values)
	})
	t.Run("a client that leaves during $connect does not cancel it", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			srv := gatewaytest.New(t)
			var after error
			srv.HandleFunc("$connect", func(ctx context.Context, _ *gateway.Request) (*gateway.Response, error) {
				time.Sleep(10 * time.Second) //nolint:forbidigo // in a synctest bubble
				after = ctx.Err()
				return nil, nil
			})
			srv.HandleFunc("$disconnect", answerNothing)
			w := wiretest.Dial(t, srv.HTTPClient())
			w.MustWriteString(wiretest.Upgrade("/test"))
			synctest.Wait()
			require.NoError(t, w.Close())
			e := srv.WaitEvent(isDisconnect)
			require.NoError(t, after)
			require.Equal(t, 1006, e.DisconnectStatusCode, "$connect accepted it, so $disconnect tells of its end")
			require.Empty(t, connectionIDs(srv.Gateway))
		})
	})
}

// A middleware may give a copy of a request to the integration a second time, such as to
// compare two backends. What happens to the copy does not show in the request, and the two
// do not race.
func TestIntegration_MirroredRequest(t *testing.T) {
	t.Parallel()
	var mirrored sync.WaitGroup
	invokeShadow := func(ctx context.Context, next gateway.Integration, req *gateway.Request) {
		mirrored.Go(func() { _, _ = next.Invoke(context.WithoutCancel(ctx), req) })
	}
	shadowOf := func(req *gateway.Request) *gateway.Request {
		shadow := *req
		shadow.Body = []byte("503")
		return &shadow
	}
	for _, tc := range []struct {
		name   string
		mirror func(ctx context.Context, next gateway.Integration, req *gateway.Request) (*gateway.Response, error)
		status string // that the observers get of the integration
	}{
		{"a copy at the same time", func(ctx context.Context, next gateway.Integration, req *gateway.Request) (*gateway.Response, error) {
			invokeShadow(ctx, next, shadowOf(req))
			return next.Invoke(ctx, req)
		}, "201"},
		{"a copy before", func(ctx context.Context, next gateway.Integration, req *gateway.Request) (*gateway.Response, error) {
			_, _ = next.Invoke(ctx, shadowOf(req))
			return next.Invoke(ctx, req)
		}, "201"},
		{"a copy that nobody waits for", func(ctx context.Context, next gateway.Integration, req *gateway.Request) (*gateway.Response, error) {
			invokeShadow(ctx, next, shadowOf(req))
			return &gateway.Response{StatusCode: 202, Body: []byte("[201 201]")}, nil
		}, "202"},
		{"the request itself, twice", func(ctx context.Context, next gateway.Integration, req *gateway.Request) (*gateway.Response, error) {
			invokeShadow(ctx, next, req)
			return next.Invoke(ctx, req)
		}, "201"},
		{"another request in its place", func(ctx context.Context, next gateway.Integration, req *gateway.Request) (*gateway.Response, error) {
			*req = gateway.Request{Body: req.Body}
			return next.Invoke(ctx, req)
		}, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			statuses := make(chan string, 1)
			srv := gatewaytest.New(t,
				gateway.WithMiddleware(func(next gateway.Integration) gateway.Integration {
					return gateway.IntegrationFunc(func(ctx context.Context, req *gateway.Request) (*gateway.Response, error) {
						return tc.mirror(ctx, next, req)
					})
				}),
				gateway.WithObserver(&gateway.Observer{IntegrationDone: func(_ context.Context, req *gateway.Request, _ *gateway.Response, _ time.Duration, _ error) {
					statuses <- gateway.ContextValue(req, "integration.status")
				}}))
			srv.Handle("$default", &gateway.CustomIntegration{
				Backend: func(_ context.Context, _ *gateway.Request, payload []byte) (*gateway.Response, error) {
					status, err := strconv.Atoi(string(payload))
					return &gateway.Response{StatusCode: status}, err
				},
				Transform: &gateway.Transform{
					RequestTemplates: map[string]string{"$default": "$input.body$context.status$context.integration.status"},
					Responses: map[string]gateway.IntegrationResponse{"$default": {ResponseTemplates: map[string]string{
						"$default": "[$context.status $context.integration.status]",
					}}},
				},
			}, gateway.WithRouteResponse())
			c := srv.Dial(t)
			for range 20 {
				c.Send("201")
				require.Equal(t, "[201 201]", c.Receive())
				require.Equal(t, tc.status, <-statuses)
			}
			mirrored.Wait()
		})
	}
}

func TestRequest_PrincipalID(t *testing.T) {
	t.Parallel()
	for want, authorizer := range map[string]map[string]any{
		"ann": {"principalId": "ann", "level": "1"},
		"":    {"level": "1"},
	} {
		require.Equal(t, want, (&gateway.Request{Authorizer: authorizer}).PrincipalID())
	}
	require.Empty(t, new(gateway.Request).PrincipalID())
	require.Empty(t, (&gateway.Request{Authorizer: map[string]any{"principalId": 1}}).PrincipalID(), "of a test, and no text")
}
