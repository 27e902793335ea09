package gateway_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
	"example.com/gateway/gatewaytest"
)

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
