package lambda_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
	"example.com/gateway/lambda"
)

// message is a MESSAGE event.
func message(body string) *gateway.Request {
	return &gateway.Request{
		RouteKey: "join", EventType: gateway.EventMessage, ConnectionID: "R1kmxc2VNjMCFIA=", RequestID: "R1knPH17NjMFftw=",
		MessageID: "R1knPc2ntjMCFIA=", Body: []byte(body), Identity: gateway.Identity{SourceIP: "203.0.113.7", UserAgent: "x"},
		APIID: "a1b2c3d4e5", Stage: "prod", DomainName: "chat.test", StageVariables: map[string]string{"table": "connections"},
		ConnectedAt: time.UnixMilli(1705751697419), RequestTime: time.UnixMilli(1705751700453),
	}
}

func connect(target string) *gateway.Request {
	r := message("")
	r.RouteKey, r.EventType, r.MessageID, r.Body = gateway.RouteKeyConnect, gateway.EventConnect, "", nil
	r.Upgrade = httptest.NewRequest(http.MethodGet, target, nil)
	return r
}

func disconnect(code int, reason string) *gateway.Request {
	r := message("")
	r.RouteKey, r.EventType, r.MessageID, r.Body = gateway.RouteKeyDisconnect, gateway.EventDisconnect, "", nil
	r.DisconnectStatusCode, r.DisconnectReason = code, reason
	return r
}

// requireFailed checks that err is the error of an integration that refuses a $connect
// with this status.
func requireFailed(t *testing.T, err error, statusCode int) {
	t.Helper()
	var ie *gateway.IntegrationError
	require.ErrorAs(t, err, &ie)
	require.Equal(t, statusCode, ie.StatusCode, err.Error())
}

type invokeFunc func(ctx context.Context, payload []byte) ([]byte, error)

func (f invokeFunc) Invoke(ctx context.Context, payload []byte) ([]byte, error) {
	return f(ctx, payload)
}

type event struct {
	Body           string
	RequestContext struct{ ConnectionID string }
}

type payload []byte

type failure struct{ text string }

func (f *failure) Error() string { return f.text }

type badReader struct{ io.Reader }

func (badReader) MarshalJSON() ([]byte, error) { return nil, errors.New("not JSON") }

type key struct{}

func TestWrap_Signatures(t *testing.T) {
	t.Parallel()
	const hello = "hello, R1kmxc2VNjMCFIA="
	answer := func(e event) lambda.Response {
		return lambda.Response{StatusCode: 200, Body: e.Body + ", " + e.RequestContext.ConnectionID}
	}
	decoded := func(b []byte) (e event) {
		if err := json.Unmarshal(b, &e); err != nil {
			panic(err)
		}
		return e
	}
	encoded := func(r lambda.Response) []byte {
		b, err := json.Marshal(r)
		if err != nil {
			panic(err)
		}
		return b
	}
	for _, tt := range []struct {
		name    string
		handler any
		want    string // "": no answer
	}{
		{"func()", func() {}, ""},
		{"func() error", func() error { return nil }, ""},
		{"func(TIn)", func(event) {}, ""},
		{"func(TIn) error", func(event) error { return nil }, ""},
		{"func() (TOut, error)", func() (lambda.Response, error) { return lambda.Response{Body: "hi"}, nil }, "hi"},
		{"func(TIn) (TOut, error)", func(e event) (lambda.Response, error) { return answer(e), nil }, hello},
		{"func(context)", func(context.Context) {}, ""},
		{"func(context) error", func(context.Context) error { return nil }, ""},
		{"func(context, TIn) error", func(context.Context, event) error { return nil }, ""},
		{"func(context) (TOut, error)", func(ctx context.Context) (lambda.Response, error) {
			return lambda.Response{Body: ctx.Value(key{}).(string)}, nil
		}, "from the context"},
		{"func(context, TIn) (TOut, error)", func(_ context.Context, e event) (lambda.Response, error) { return answer(e), nil }, hello},
		{"the event type of this package", func(_ context.Context, r lambda.WebsocketRequest) (lambda.Response, error) {
			return lambda.Response{Body: r.Body + ", " + r.RequestContext.ConnectionID}, nil
		}, hello},
		{"pointers", func(_ context.Context, e *event) (*lambda.Response, error) {
			r := answer(*e)
			return &r, nil
		}, hello},
		{"a nil pointer is no answer", func(context.Context, *event) (*lambda.Response, error) { return nil, nil }, ""},
		{"map[string]any", func(m map[string]any) (map[string]any, error) {
			return map[string]any{"statusCode": 200, "body": m["body"]}, nil
		}, "hello"},
		{"any", func(v any) (any, error) {
			return map[string]any{"body": v.(map[string]any)["body"]}, nil
		}, "hello"},
		{"json.RawMessage", func(_ context.Context, b json.RawMessage) (json.RawMessage, error) {
			return encoded(answer(decoded(b))), nil
		}, hello},
		{"[]byte", func(_ context.Context, b []byte) ([]byte, error) { return encoded(answer(decoded(b))), nil }, hello},
		{"a type made of []byte", func(_ context.Context, b payload) (payload, error) { return encoded(answer(decoded(b))), nil }, hello},
		{"a reader", func(e event) (io.Reader, error) { return strings.NewReader(string(encoded(answer(e)))), nil }, hello},
		{"a reader that is no JSON", func(e event) (io.Reader, error) {
			return badReader{strings.NewReader(string(encoded(answer(e))))}, nil
		}, hello},
		{"an error type of one's own", func(e event) (lambda.Response, *failure) { return answer(e), nil }, hello},
		{"an object with Invoke", invokeFunc(func(_ context.Context, b []byte) ([]byte, error) { return encoded(answer(decoded(b))), nil }), hello},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			ctx := context.WithValue(t.Context(), key{}, "from the context")
			resp, err := lambda.Wrap(tt.handler).Invoke(ctx, message("hello"))
			require.NoError(t, err)
			if tt.want == "" {
				require.Nil(t, resp)
				return
			}
			require.Equal(t, tt.want, string(resp.Body))
		})
	}
}

func TestWrap_PanicsOnMisuse(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		handler any
		says    string
	}{
		{"nil", nil, "lambda.Wrap(<nil>): it is nil"},
		{"a nil func", (func())(nil), "it is nil"},
		{"a nil object", (*failure)(nil), "it is nil"},
		{"no func", 42, "lambda.Wrap(int): it is no func"},
		{"an integration", &gateway.MockIntegration{}, "it is an integration already"},
		{"a func for HandleFunc", func(context.Context, *gateway.Request) (*gateway.Response, error) { return nil, nil }, "it is an integration already"},
		{"three arguments", func(context.Context, event, event) {}, "more than two arguments"},
		{"no context first", func(event, context.Context) {}, "the first is no context.Context"},
		{"variadic", func(...event) {}, "it is variadic"},
		{"an event with methods", func(io.Reader) {}, "an interface with methods"},
		{"three results", func() (event, event, error) { return event{}, event{}, nil }, "more than two values"},
		{"no error", func() event { return event{} }, "is no error"},
		{"the error first", func() (error, event) { return nil, event{} }, "is no error"}, //nolint:staticcheck // the mistake
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			defer func() {
				err, ok := recover().(error)
				require.True(t, ok)
				require.ErrorIs(t, err, gateway.ErrInvalidOption)
				require.ErrorContains(t, err, tt.says)
				require.ErrorContains(t, err, "func(context.Context, TIn) (TOut, error)", "it lists what is accepted")
			}()
			lambda.Wrap(tt.handler)
		})
	}
}

func TestWrap_Raises(t *testing.T) {
	t.Parallel()
	cause := &failure{"no such room"}
	for _, tt := range []struct {
		name          string
		handler       any
		kind, message string
	}{
		{"an error", func() error { return cause }, "failure", "no such room"},
		{"an error beside an answer", func() (lambda.Response, error) { return lambda.Response{StatusCode: 200}, cause }, "failure", "no such room"},
		{"an error that brings a status", func() error {
			return errors.Join(&gateway.IntegrationError{StatusCode: 418, Err: cause}, cause)
		}, "joinError", ""},
		{"an error of a function that this one called", func() error {
			return fmt.Errorf("%w: %w", &lambda.InvokeError{StatusCode: 403}, context.DeadlineExceeded)
		}, "wrapErrors", ""},
		{"a panic", func() { panic(cause) }, "failure", "no such room"},
		{"a panic with text", func() { panic("oops") }, "string", "oops"},
		{"an event that cannot be decoded", func(struct{ Body int }) {}, "UnmarshalTypeError", ""},
		{"an answer that cannot be encoded", func() (func(), error) { return func() {}, nil }, "UnsupportedTypeError", ""},
		{"an object that panics", invokeFunc(func(context.Context, []byte) ([]byte, error) { panic("oops") }), "string", "oops"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			resp, err := lambda.Wrap(tt.handler).Invoke(t.Context(), message("hello"))
			require.Nil(t, resp)
			requireFailed(t, err, http.StatusBadGateway)
			var raised *lambda.FunctionError
			require.ErrorAs(t, err, &raised)
			require.Equal(t, tt.kind, raised.Type)
			if tt.message != "" {
				require.Equal(t, tt.message, raised.Message)
			}
			if strings.Contains(tt.name, "panic") {
				require.Contains(t, string(raised.Stack), "wrap_test.go")
			} else if tt.message != "" {
				require.ErrorIs(t, err, cause)
			}
		})
	}
}

func TestWrap_Answers(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		req    *gateway.Request
		answer string
		want   *gateway.Response
		status int // of the error
	}{
		{"null is no answer to a message", message(""), `null`, nil, 0},
		{"nothing is no answer to a message", message(""), ``, nil, 0},
		{"a message needs no status code", message(""), `{"body":"hi"}`, &gateway.Response{Body: []byte("hi")}, 0},
		{"a message's status code is passed on", message(""), `{"statusCode":503,"body":"hi"}`, &gateway.Response{StatusCode: 503, Body: []byte("hi")}, 0},
		{"$connect wants an answer", connect("/"), `null`, nil, 502},
		{"$connect wants a status code", connect("/"), `{"body":"hi"}`, nil, 502},
		{"$connect wants a status code above 0", connect("/"), `{"statusCode":0}`, nil, 502},
		{
			"$connect passes headers on", connect("/"), `{"statusCode":200,"headers":{"sec-websocket-protocol":"chat.v1"}}`,
			&gateway.Response{StatusCode: 200, Header: http.Header{"Sec-Websocket-Protocol": {"chat.v1"}}}, 0,
		},
		{"$disconnect needs no answer", disconnect(1001, "Going away"), `null`, nil, 0},
		{"an unknown key is malformed", message(""), `{"statusCode":200,"Data":1}`, nil, 502},
		{"an unknown key is malformed on $connect", connect("/"), `{"statusCode":200,"Data":1}`, nil, 502},
		{"a string is malformed", message(""), `"hi"`, nil, 502},
		{"more than 6 MB fails", message(""), `{"body":"` + strings.Repeat("x", 6<<20+100) + `"}`, nil, 502},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			i := lambda.Wrap(func([]byte) ([]byte, error) { return []byte(tt.answer), nil })
			resp, err := i.Invoke(t.Context(), tt.req)
			require.Equal(t, tt.want, resp)
			if tt.status == 0 {
				require.NoError(t, err)
				return
			}
			requireFailed(t, err, tt.status)
		})
	}
	t.Run("bytes for another event than bytes are base64, as in the runtime", func(t *testing.T) {
		t.Parallel()
		_, err := lambda.Wrap(func(event) ([]byte, error) { return []byte(`{}`), nil }).Invoke(t.Context(), message(""))
		require.ErrorContains(t, err, "malformed")
	})
}

func TestWrap_Concurrency(t *testing.T) {
	t.Parallel()
	t.Run("a func runs for several connections at once", func(t *testing.T) {
		t.Parallel()
		var both sync.WaitGroup
		both.Add(2)
		i := lambda.Wrap(func() {
			both.Done()
			both.Wait()
		})
		var calls sync.WaitGroup
		for range 2 {
			calls.Go(func() { _, _ = i.Invoke(t.Context(), message("")) })
		}
		calls.Wait()
	})
	t.Run("an object's Invoke is called one at a time, and its answer kept", func(t *testing.T) {
		t.Parallel()
		const calls = 50
		buffer, n := make([]byte, 0, 64), 0 // without a lock
		i := lambda.Wrap(invokeFunc(func(_ context.Context, b []byte) ([]byte, error) {
			var e event
			if err := json.Unmarshal(b, &e); err != nil {
				return nil, err
			}
			n++
			buffer = append(append(append(buffer[:0], `{"body":"`...), e.Body...), `"}`...)
			return buffer, nil
		}))
		bodies := make([]string, calls)
		var running sync.WaitGroup
		for c := range calls {
			running.Go(func() {
				resp, err := i.Invoke(t.Context(), message(strings.Repeat(string(rune('a'+c%26)), 20)))
				if err == nil {
					bodies[c] = string(resp.Body)
				}
			})
		}
		running.Wait()
		require.Equal(t, calls, n)
		for c, body := range bodies {
			require.Equal(t, strings.Repeat(string(rune('a'+c%26)), 20), body)
		}
	})
	t.Run("who waits for an object gives up with its context", func(t *testing.T) {
		t.Parallel()
		entered, release := make(chan struct{}), make(chan struct{})
		i := lambda.Wrap(invokeFunc(func(context.Context, []byte) ([]byte, error) {
			close(entered)
			<-release
			return nil, nil
		}))
		var running sync.WaitGroup
		running.Go(func() { _, _ = i.Invoke(t.Context(), message("")) })
		<-entered
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := i.Invoke(ctx, message(""))
		require.ErrorIs(t, err, context.Canceled)
		close(release)
		running.Wait()
	})
}

// FuzzWrap sends a message to a function that echoes it. The function gets the same bytes
// that the client sent, and so does the client.
func FuzzWrap(f *testing.F) {
	for _, s := range []string{"", "hello", `{"a":"\u00e9\n<b>"}`, "\u2028😀\x00\x7f", "\xff"} {
		f.Add(s, s)
	}
	echo := lambda.Wrap(func(r lambda.WebsocketRequest) (lambda.Response, error) {
		return lambda.Response{StatusCode: 200, Body: r.Body, Headers: map[string]string{"X": r.StageVariables["v"]}}, nil
	})
	f.Fuzz(func(t *testing.T, body, variable string) {
		req := message(body)
		req.StageVariables = map[string]string{"v": variable}
		resp, err := echo.Invoke(t.Context(), req)
		require.NoError(t, err)
		require.Equal(t, string([]rune(body)), string(resp.Body))
		require.Equal(t, string([]rune(variable)), resp.Header.Get("X"))
	})
}

// slowHandler is a handler of the kind that runs one event at a time.
type slowHandler struct{ began, goOn chan struct{} }

func (h slowHandler) Invoke(context.Context, []byte) ([]byte, error) {
	close(h.began)
	<-h.goOn
	return []byte(`1`), nil
}

// An event that waited in vain for its turn did not run: that is no error of the function.
func TestNewInvoker_WaitsInVain(t *testing.T) {
	t.Parallel()
	h := slowHandler{make(chan struct{}), make(chan struct{})}
	i := lambda.NewInvoker(h)
	ended := make(chan error, 1)
	go func() {
		_, err := i.InvokeFunction(context.WithoutCancel(t.Context()), nil)
		ended <- err
	}()
	<-h.began
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := i.InvokeFunction(ctx, nil)
	require.Equal(t, context.Canceled, err)
	close(h.goOn)
	require.NoError(t, <-ended)
}
