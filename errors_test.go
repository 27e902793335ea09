package gateway_test

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
	"example.com/gateway/gatewaytest"
	"example.com/gateway/internal/apicall"
)

// shown is what somebody outside sees of an error. A part that cannot be seen is ""
// or 0.
type shown struct {
	status int
	name   string // x-amzn-ErrorType
	text   string // message
}

// way is a way to cause an error.
type way struct {
	name string
	do   func(t *testing.T, log gateway.Option) shown
}

func onHijackable(gw *gateway.Gateway) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		gw.Handler().ServeHTTP(hijackFails{w, errors.New("this socket is not for hijacking")}, r)
	})
}

// upgrade causes the error of a refused upgrade.
func upgrade(target string, header []string, route *gateway.Route, opts ...gateway.Option) way {
	return upgrades("GET", target, header, route, func(*gateway.Gateway) {}, opts...)
}

func upgrades(method, target string, header []string, route *gateway.Route, before func(*gateway.Gateway), opts ...gateway.Option) way {
	return way{"an upgrade", func(t *testing.T, log gateway.Option) shown {
		t.Helper()
		gw := newGateway(t, append(opts, log)...)
		if route != nil {
			route := *route
			route.RouteKey, route.Integration = "$connect", cmp.Or[gateway.Integration](route.Integration, gateway.IntegrationFunc(answerNothing))
			require.NoError(t, gw.Deploy(gateway.Deployment{Routes: []gateway.Route{route}}))
		}
		before(gw)
		w := ask(onHijackable(gw), method, target, header...)
		require.Empty(t, w.Header().Get("x-amzn-ErrorType"), "that is for calls of @connections")
		if strings.HasPrefix(w.Body.String(), "<html>") {
			require.Contains(t, w.Body.String(), http.StatusText(w.Code))
			return shown{w.Code, "", ""}
		}
		return shown{w.Code, "", messageOf(t, w.Body.String())}
	}}
}

// messageOf returns the message of an error; for null it returns the text that stands
// for it in the table.
func messageOf(t *testing.T, body string) string {
	t.Helper()
	var parsed struct{ Message *string }
	require.NoError(t, json.Unmarshal([]byte(body), &parsed), body)
	if parsed.Message == nil {
		return "\x00"
	}
	return *parsed.Message
}

// frames causes an error frame.
func frames(route gateway.Route, connect *gateway.Route, opts ...gateway.Option) way {
	return way{"a message", func(t *testing.T, log gateway.Option) shown {
		t.Helper()
		seen := shown{}
		srv := gatewaytest.New(t, append(opts, log, gateway.WithObserver(&gateway.Observer{
			MessageRejected: func(_ context.Context, _ *gateway.Request, status int, _ error) { seen.status = status },
			IntegrationDone: func(_ context.Context, _ *gateway.Request, _ *gateway.Response, _ time.Duration, err error) {
				if failed := new(gateway.IntegrationError); errors.As(err, &failed) {
					seen.status = failed.StatusCode
				}
			},
		}))...)
		var routes []gateway.Route
		if route.Integration != nil {
			route.RouteKey, route.RouteResponse = "$default", true
			routes = append(routes, route)
		}
		if connect != nil {
			connect := *connect
			connect.RouteKey, connect.Integration = "$connect", gateway.IntegrationFunc(answerNothing)
			routes = append(routes, connect)
		}
		require.NoError(t, srv.Deploy(gateway.Deployment{Routes: routes}))
		c := srv.Dial(t, gatewaytest.Header("X-Api-Key", strings.Repeat("k", 20)))
		c.Send("x")
		seen.text = messageOf(t, c.Receive())
		return seen
	}}
}

// calls makes n calls of @connections, and the last one fails.
func calls(n int, auth error, request func(id string) *http.Request, opts ...gateway.Option) way {
	return way{"a call of @connections", func(t *testing.T, log gateway.Option) shown {
		t.Helper()
		srv := gatewaytest.New(t, append(opts, log, gateway.WithManagementAuth(gateway.ManagementAuthFunc(func(context.Context, *gateway.ManagementCall) error {
			if errors.Is(auth, errPanics) {
				panic(auth)
			}
			return auth
		})))...)
		c := srv.Dial(t)
		c.Pause()
		w := httptest.NewRecorder()
		for range n {
			w = httptest.NewRecorder()
			srv.ManagementHandler().ServeHTTP(w, request(strings.ReplaceAll(c.ConnectionID(), "=", "%3D")))
			if w.Code != http.StatusOK && w.Code != http.StatusNoContent {
				break
			}
		}
		seen := shown{w.Code, field(w, "x-amzn-ErrorType"), ""}
		if w.Body.Len() > 0 {
			seen.text = messageOf(t, w.Body.String())
		}
		return seen
	}}
}

var errPanics = errors.New("the callback panics with this")

func callOf(method, body string) func(id string) *http.Request {
	return func(id string) *http.Request {
		return httptest.NewRequest(method, "/@connections/"+id, strings.NewReader(body))
	}
}

func callThatReads(err error) func(id string) *http.Request {
	return func(id string) *http.Request {
		return httptest.NewRequest(http.MethodPost, "/@connections/"+id, failingReader{err})
	}
}

type failingReader struct{ err error }

func (r failingReader) Read([]byte) (int, error) { return 0, r.err }

// keys is a UsageStore with one key. The test chooses its answers.
type keys struct {
	find, count error
	left        int
}

// FindAPIKey implements [gateway.UsageStore].
func (k *keys) FindAPIKey(context.Context, string) (gateway.APIKey, error) {
	return gateway.APIKey{ID: "key", UsagePlanID: "plan", CountRequest: k.countRequest}, k.find
}

func (k *keys) countRequest(context.Context, time.Time) (bool, error) {
	k.left--
	return k.left >= 0, k.count
}

// Checks all columns of each row of the table of errors from outside: what the client
// of an upgrade gets, the client that sends a message, the caller of @connections,
// and what is logged.
func TestErrorAnswers(t *testing.T) {
	t.Parallel()
	const warn, fail, debug = slog.LevelWarn, slog.LevelError, slog.LevelDebug
	const internal, exception = "Internal server error", "InternalServerErrorException"
	authorizer := func(err error) *gateway.Route {
		return &gateway.Route{Authorizer: gateway.AuthorizerFunc(func(context.Context, *gateway.Request) (*gateway.Authorization, error) { return nil, err })}
	}
	both := func(i gateway.Integration, opts ...gateway.Option) []way {
		return []way{upgrade("/", handshake(), &gateway.Route{Integration: i}, opts...), frames(gateway.Route{Integration: i}, nil, opts...)}
	}
	withKey := handshake("X-Api-Key", strings.Repeat("k", 20))
	key := &gateway.Route{APIKeyRequired: true}
	echo := gateway.Route{Integration: gateway.IntegrationFunc(serve)}
	stuck := gateway.IntegrationFunc(func(ctx context.Context, _ *gateway.Request) (*gateway.Response, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	})
	once := gateway.WithDefaultThrottle(0.001, 1)
	rows := []struct {
		row  string
		want gateway.ErrorAnswer
		ways []way
	}{
		{"gateway: connection is gone, or not open yet", gateway.ErrorAnswer{410, "GoneException", "", "", debug}, []way{
			calls(2, nil, callOf("DELETE", "")),
		}},
		{"the authorizer failed", gateway.ErrorAnswer{500, "", internal, "AUTHORIZER_FAILURE", fail}, []way{
			upgrade("/", handshake(), authorizer(errors.New("secret"))), upgrade("/", handshake(), authorizer(nil)),
		}},
		{"usage store", gateway.ErrorAnswer{500, "", internal, "API_CONFIGURATION_ERROR", fail}, []way{
			upgrade("/", withKey, key, gateway.WithUsageStore(&keys{find: errors.New("secret")})),
			upgrade("/", withKey, key, gateway.WithUsageStore(&keys{left: 1, count: errors.New("secret")})),
		}},
		{"no valid API key", gateway.ErrorAnswer{403, "", "Forbidden", "INVALID_API_KEY", warn}, []way{
			upgrade("/", handshake(), key, gateway.WithUsageStore(&keys{})),
			upgrade("/", withKey, key, gateway.WithUsageStore(&keys{find: gateway.ErrForbidden})),
		}},
		{"gateway: unauthorized", gateway.ErrorAnswer{401, "", "Unauthorized", "UNAUTHORIZED", warn}, []way{
			upgrade("/", handshake(), authorizer(gateway.ErrUnauthorized)),
		}},
		{"gateway: forbidden", gateway.ErrorAnswer{403, "ForbiddenException", "Forbidden", "ACCESS_DENIED", warn}, []way{
			upgrade("/", handshake(), authorizer(gateway.ErrForbidden)), calls(1, errors.New("secret"), callOf("GET", "")),
		}},
		{"no ManagementAuth: pass WithManagementAuth to New, or WithoutManagementAuth where only trusted callers reach the handler", gateway.ErrorAnswer{403, "ForbiddenException", "Forbidden", "ACCESS_DENIED", warn}, []way{
			{"a call of @connections", func(t *testing.T, log gateway.Option) shown {
				w := ask(newGateway(t, log).ManagementHandler(), "GET", "/@connections/x")
				return shown{w.Code, field(w, "x-amzn-ErrorType"), messageOf(t, w.Body.String())}
			}},
		}},
		{"gateway: invalid authorization", gateway.ErrorAnswer{500, "", "\x00", "AUTHORIZER_CONFIGURATION_ERROR", fail}, []way{
			upgrade("/", handshake(), &gateway.Route{Authorizer: gateway.AuthorizerFunc(func(context.Context, *gateway.Request) (*gateway.Authorization, error) {
				return &gateway.Authorization{Context: map[string]any{"nested": map[string]any{}}}, nil
			})}),
		}},
		{"gateway: limit exceeded", gateway.ErrorAnswer{429, "LimitExceededException", "", "", debug}, []way{
			calls(5, nil, callOf("POST", "x"), gateway.WithQuotas(gateway.Quotas{SendBufferMessages: 1})),
		}},
		{"gateway: payload too large", gateway.ErrorAnswer{413, "", "", "REQUEST_TOO_LARGE", debug}, []way{
			calls(1, nil, callOf("POST", strings.Repeat("x", 131073))),
		}},
		{"reading the body", gateway.ErrorAnswer{400, "BadRequestException", "The request body cannot be read", "DEFAULT_4XX", debug}, []way{
			calls(1, nil, callThatReads(io.ErrUnexpectedEOF)),
		}},
		{"throttled", gateway.ErrorAnswer{429, "TooManyRequestsException", "Too Many Requests", "THROTTLED", debug}, []way{
			upgrades("GET", "/", handshake(), &gateway.Route{Integration: respond(&gateway.Response{StatusCode: 401})}, func(gw *gateway.Gateway) {
				ask(onHijackable(gw), "GET", "/", handshake()...)
			}, gateway.WithQuotas(gateway.Quotas{NewConnections: gateway.Throttle{RateLimit: 0.001, BurstLimit: 1}})),
			frames(echo, nil, once), calls(2, nil, callOf("GET", ""), once),
		}},
		{"the quota of the usage plan is used up", gateway.ErrorAnswer{429, "", "Limit Exceeded", "QUOTA_EXCEEDED", debug}, []way{
			upgrade("/", withKey, key, gateway.WithUsageStore(&keys{})),
			frames(echo, key, gateway.WithUsageStore(&keys{left: 1})),
		}},
		{"i/o timeout", gateway.ErrorAnswer{500, exception, internal, "DEFAULT_5XX", debug}, []way{
			calls(1, nil, callThatReads(os.ErrDeadlineExceeded)),
		}},
		{"context canceled", gateway.ErrorAnswer{500, exception, internal, "DEFAULT_5XX", debug}, []way{
			calls(1, nil, func(id string) *http.Request {
				ctx, cancel := context.WithCancel(context.Background())
				cancel()
				return callOf("GET", "")(id).WithContext(ctx)
			}),
		}},
		{"context deadline exceeded", gateway.ErrorAnswer{500, exception, internal, "DEFAULT_5XX", debug}, []way{
			calls(1, nil, func(id string) *http.Request {
				ctx, cancel := context.WithTimeout(context.Background(), 0)
				cancel()
				return callOf("GET", "")(id).WithContext(ctx)
			}),
		}},
		{"gateway: closed", gateway.ErrorAnswer{503, "", "Service Unavailable", "", debug}, []way{
			upgrades("GET", "/", handshake(), nil, func(gw *gateway.Gateway) { _ = gw.Close() }),
		}},

		{"no route matches the message and there is no $default route", gateway.ErrorAnswer{403, "", "Forbidden", "ACCESS_DENIED", warn}, []way{
			frames(gateway.Route{}, nil),
		}},
		{"the message does not fit the model of its route", gateway.ErrorAnswer{400, "", "Invalid request body", "BAD_REQUEST_BODY", warn}, []way{
			frames(gateway.Route{Integration: gateway.IntegrationFunc(serve), ModelSelectionExpression: `\$default`}, nil),
		}},
		{"the reply is above Quotas.MessageBytes", gateway.ErrorAnswer{500, "", internal, "DEFAULT_5XX", fail}, []way{
			frames(echo, nil, gateway.WithQuotas(gateway.Quotas{MessageBytes: 2})),
		}},

		{"the integration failed", gateway.ErrorAnswer{502, "", internal, "INTEGRATION_FAILURE", fail}, both(failingWith(errors.New("secret")))},
		{"the integration did not return in time", gateway.ErrorAnswer{504, "", "Endpoint request timed out", "INTEGRATION_TIMEOUT", fail}, both(stuck, gateway.WithQuotas(gateway.Quotas{IntegrationTimeout: time.Millisecond}))},
		{"the endpoint of the integration cannot be reached", gateway.ErrorAnswer{504, "", internal, "INTEGRATION_TIMEOUT", fail}, both(failingWith(&gateway.IntegrationError{StatusCode: 504, Err: errors.New("secret")}))},
		{"no request template fits, and passing the message through is not allowed", gateway.ErrorAnswer{415, "", "Unsupported Media Type", "UNSUPPORTED_MEDIA_TYPE", fail}, both(failingWith(&gateway.IntegrationError{StatusCode: 415, Err: errors.New("secret")}))},

		{"the URL is above Quotas.URLBytes", gateway.ErrorAnswer{414, "", "", "DEFAULT_4XX", warn}, []way{upgrade("/"+strings.Repeat("x", 5000), handshake(), nil)}},
		{"the headers are above Quotas.HeaderBytes", gateway.ErrorAnswer{431, "", "", "DEFAULT_4XX", warn}, []way{upgrade("/", handshake("X", strings.Repeat("x", 11000)), nil)}},
		{"a header that may appear only once was sent more than once", gateway.ErrorAnswer{400, "", "", "DEFAULT_4XX", warn}, []way{
			upgrade("/", handshake("Authorization", "a", "Authorization", "b"), nil), upgrade("/", handshake("Origin", "a", "Origin", "b"), nil),
		}},
		{"the headers of proxies contradict each other", gateway.ErrorAnswer{400, "BadRequestException", "", "DEFAULT_4XX", warn}, []way{
			{"an upgrade", func(t *testing.T, log gateway.Option) shown {
				gw := newGateway(t, log, gateway.WithTrustedProxies(netip.MustParsePrefix("192.0.2.0/24"))) // where httptest's requests come from
				w := ask(gw.Handler(), "GET", "/", handshake("X-Forwarded-For", "203.0.113.7", "Forwarded", "for=203.0.113.8")...)
				return shown{w.Code, "", messageOf(t, w.Body.String())}
			}},
		}},
		{"the query cannot be read", gateway.ErrorAnswer{400, "", "", "DEFAULT_4XX", warn}, []way{upgrade("/?%zz", handshake(), nil)}},
		{"no upgrade to WebSocket version 13 over HTTP/1.1", gateway.ErrorAnswer{426, "", "", "DEFAULT_4XX", warn}, []way{upgrade("/", nil, nil)}},
		{"the method of the upgrade request is not GET", gateway.ErrorAnswer{405, "", "", "DEFAULT_4XX", warn}, []way{upgrades("POST", "/", handshake(), nil, func(*gateway.Gateway) {})}},
		{"the upgrade request breaks a rule of RFC 6455", gateway.ErrorAnswer{400, "", "", "DEFAULT_4XX", warn}, []way{upgrade("/", handshake()[:6], nil)}},
		{"the origin of the page is not allowed", gateway.ErrorAnswer{403, "", "", "ACCESS_DENIED", warn}, []way{upgrade("/", handshake("Origin", "https://evil.example"), nil)}},
		{"a required request parameter is missing", gateway.ErrorAnswer{400, "", "Missing required request parameters", "BAD_REQUEST_PARAMETERS", warn}, []way{
			upgrade("/", handshake(), &gateway.Route{RequestParameters: map[string]bool{"route.request.querystring.a": true}}),
		}},
		{hiddenHijacker, gateway.ErrorAnswer{500, "", internal, "DEFAULT_5XX", fail}, []way{
			{"an upgrade", func(t *testing.T, log gateway.Option) shown {
				w := ask(newGateway(t, log).Handler(), "GET", "/", handshake()...)
				return shown{w.Code, "", messageOf(t, w.Body.String())}
			}},
		}},

		{"not a call of @connections", gateway.ErrorAnswer{403, "MissingAuthenticationTokenException", "Missing Authentication Token", "MISSING_AUTHENTICATION_TOKEN", warn}, []way{
			calls(1, nil, callOf("PUT", "")),
		}},
		{"no gateway has issued this connection ID: take it from Request.ConnectionID or Connection.ID, and escape it in the URL", gateway.ErrorAnswer{400, "BadRequestException", "Invalid connectionId", "", warn}, []way{
			calls(1, nil, func(string) *http.Request { return callOf("GET", "")("made-up") }),
		}},
		{"internal error", gateway.ErrorAnswer{500, exception, internal, "DEFAULT_5XX", fail}, []way{
			upgrade("/", handshake(), nil),
			calls(1, errPanics, callOf("GET", "")),
		}},
	}
	require.Len(t, gateway.ErrorAnswers(), len(rows), "each row of the table is here")
	for _, tt := range rows {
		t.Run(tt.row, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, tt.want, gateway.ErrorAnswers()[tt.row])
			for _, way := range tt.ways {
				option, log := newLogged()
				got := way.do(t, option)
				if got.status != 0 || way.name != "a message" {
					require.Equal(t, tt.want.Status, got.status, way.name)
				}
				text := tt.want.Text
				if way.name == "a call of @connections" {
					require.Equal(t, tt.want.Name, got.name, way.name)
				} else if got.text != "" {
					text = cmp.Or(text, http.StatusText(tt.want.Status))
				}
				require.True(t, strings.HasPrefix(got.text, text) && (got.text == text || strings.HasPrefix(got.text, text+": ")), "%s: %q", way.name, got.text)
				require.NotContains(t, got.text, "secret")
				require.Equal(t, tt.want.Level, highest(log.String()), "%s", log)
			}
		})
	}
}

// keyThatFails is a UsageStore whose key counts the upgrade, and then fails.
type keyThatFails struct {
	err   error
	calls int
}

// FindAPIKey implements [gateway.UsageStore].
func (k *keyThatFails) FindAPIKey(context.Context, string) (gateway.APIKey, error) {
	return gateway.APIKey{ID: "key", UsagePlanID: "plan", CountRequest: func(context.Context, time.Time) (bool, error) {
		if k.calls++; k.calls == 1 {
			return true, nil
		}
		return false, k.err
	}}, nil
}

// modelThatFails is a Model that no message fits.
type modelThatFails struct{ err error }

// Validate implements [gateway.Model].
func (m modelThatFails) Validate([]byte) error { return m.err }

// An error of the program's own code keeps its class, whatever it wraps: the client gets the
// same answer, and the log the same level.
func TestErrorAnswers_WrappedErrorsOfTheProgram(t *testing.T) {
	t.Parallel()
	wrapped := map[string]error{
		"ErrGone": gateway.ErrGone, "ErrLimitExceeded": gateway.ErrLimitExceeded, "ErrPayloadTooLarge": gateway.ErrPayloadTooLarge, "ErrClosed": gateway.ErrClosed,
		"a canceled context": context.Canceled, "a deadline of a socket": os.ErrDeadlineExceeded, "a ValidationError": &gateway.ValidationError{Err: errors.New("x")},
	}
	const theirs = "an IntegrationError" // its status is part of the contract of Integration
	withKey, key := handshake("X-Api-Key", strings.Repeat("k", 20)), &gateway.Route{APIKeyRequired: true}
	echo := gateway.Route{Integration: gateway.IntegrationFunc(serve)}
	for _, tt := range []struct {
		callback string
		row      string
		way      func(err error) way
	}{
		{"UsageStore, for an upgrade", "usage store", func(err error) way {
			return upgrade("/", withKey, key, gateway.WithUsageStore(&keys{left: 1, count: err}))
		}},
		{"UsageStore, for a message", "usage store", func(err error) way {
			return frames(echo, key, gateway.WithUsageStore(&keyThatFails{err: err}))
		}},
		{"Authorizer", "the authorizer failed", func(err error) way {
			return upgrade("/", handshake(), &gateway.Route{Authorizer: gateway.AuthorizerFunc(func(context.Context, *gateway.Request) (*gateway.Authorization, error) { return nil, err })})
		}},
		{"ManagementAuth", "gateway: forbidden", func(err error) way { return calls(1, err, callOf("GET", "")) }},
		{"Model", "the message does not fit the model of its route", func(err error) way {
			return frames(gateway.Route{Integration: echo.Integration, ModelSelectionExpression: `\$default`, RequestModels: map[string]gateway.Model{"$default": modelThatFails{err}}}, nil)
		}},
		{"Integration, for an upgrade", "the integration failed", func(err error) way {
			return upgrade("/", handshake(), &gateway.Route{Integration: failingWith(err)})
		}},
		{"Integration, for a message", "the integration failed", func(err error) way {
			return frames(gateway.Route{Integration: failingWith(err)}, nil)
		}},
		{"Hijack of a middleware", "internal error", func(err error) way {
			return way{"an upgrade", func(t *testing.T, log gateway.Option) shown {
				t.Helper()
				gw := newGateway(t, log)
				w := ask(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					gw.Handler().ServeHTTP(hijackFails{w, err}, r)
				}), "GET", "/", handshake()...)
				return shown{w.Code, "", messageOf(t, w.Body.String())}
			}}
		}},
	} {
		t.Run(tt.callback, func(t *testing.T) {
			t.Parallel()
			want, ok := gateway.ErrorAnswers()[tt.row]
			require.True(t, ok)
			errs := maps.Clone(wrapped)
			if !strings.HasPrefix(tt.callback, "Integration") {
				errs[theirs] = &gateway.IntegrationError{StatusCode: 415, Err: errors.New("x")}
			}
			for name, inner := range errs {
				option, log := newLogged()
				got := tt.way(fmt.Errorf("secret: %w", inner)).do(t, option)
				if got.status != 0 {
					require.Equal(t, want.Status, got.status, name)
				}
				require.Equal(t, want.Text, got.text, name)
				require.Equal(t, want.Level, highest(log.String()), "%s: %s", name, log)
			}
		})
	}
}

func failingWith(err error) gateway.Integration {
	return gateway.IntegrationFunc(func(context.Context, *gateway.Request) (*gateway.Response, error) { return nil, err })
}

// hijackFails is a ResponseWriter whose Hijack method fails with err.
type hijackFails struct {
	http.ResponseWriter

	err error
}

// Hijack implements [http.Hijacker].
func (h hijackFails) Hijack() (net.Conn, *bufio.ReadWriter, error) { return nil, nil, h.err }

const hiddenHijacker = "the connection cannot be taken over from the server, because http.Hijacker is hidden: " +
	"give the ResponseWriter of each middleware around Gateway.Handler an Unwrap method, and mount the handler outside of http.TimeoutHandler, whose ResponseWriter can never be taken over"

// highest returns the highest level of all log lines, except those about deployments.
func highest(log string) slog.Level {
	level := slog.LevelDebug
	for _, l := range []slog.Level{slog.LevelWarn, slog.LevelError} {
		if strings.Contains(log, "level="+l.String()+" ") {
			level = l
		}
	}
	return level
}

// The client of @connections knows the status of each name that the gateway gives an error.
func TestErrorAnswers_NamesOfCalls(t *testing.T) {
	t.Parallel()
	for err, row := range gateway.ErrorAnswers() {
		if row.Name != "" {
			require.Equal(t, row.Status, apicall.Status(row.Name), err)
		}
	}
}
