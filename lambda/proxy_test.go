package lambda_test

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
	"example.com/gateway/gatewaytest"
	"example.com/gateway/lambda"
)

// eventOf returns the event that a function gets for req, as JSON and decoded.
func eventOf(t *testing.T, req *gateway.Request) (text string, e lambda.WebsocketRequest) {
	t.Helper()
	_, err := lambda.Wrap(func(b json.RawMessage) (lambda.Response, error) {
		text = string(b)
		return lambda.Response{StatusCode: 200}, json.Unmarshal(b, &e)
	}).Invoke(t.Context(), req)
	require.NoError(t, err)
	return text, e
}

func TestEvent(t *testing.T) {
	t.Parallel()
	t.Run("MESSAGE", func(t *testing.T) {
		t.Parallel()
		text, _ := eventOf(t, message("hello"))
		require.JSONEq(t, `{
			"stageVariables": {"table": "connections"},
			"requestContext": {
				"routeKey": "join", "messageId": "R1knPc2ntjMCFIA=", "eventType": "MESSAGE", "extendedRequestId": "R1knPH17NjMFftw=",
				"requestTime": "20/Jan/2024:11:55:00 +0000", "messageDirection": "IN", "stage": "prod",
				"connectedAt": 1705751697419, "requestTimeEpoch": 1705751700453,
				"identity": {"userAgent": "x", "sourceIp": "203.0.113.7"}, "requestId": "R1knPH17NjMFftw=",
				"domainName": "chat.test", "connectionId": "R1kmxc2VNjMCFIA=", "apiId": "a1b2c3d4e5"
			},
			"body": "hello", "isBase64Encoded": false
		}`, text)
	})
	t.Run("DISCONNECT", func(t *testing.T) {
		t.Parallel()
		_, e := eventOf(t, disconnect(1005, "Client-side close frame status not set"))
		require.Equal(t, map[string]string{"Host": "chat.test", "x-api-key": "", "X-Forwarded-For": "", "x-restapi": ""}, e.Headers)
		require.Equal(t, int64(1005), e.RequestContext.DisconnectStatusCode)
		require.Equal(t, "Client-side close frame status not set", *e.RequestContext.DisconnectReason)
		require.Equal(t, "$disconnect", e.RequestContext.RouteKey)
	})
	t.Run("CONNECT", func(t *testing.T) {
		t.Parallel()
		req := connect("http://chat.test:8443/prod?a=1&a=2")
		req.Upgrade.Header = http.Header{
			"Connection": {"Upgrade"}, "Upgrade": {"websocket"}, "Content-Length": {"0"},
			"Sec-Websocket-Protocol": {"chat.v1"}, "X-Forwarded-For": {"198.51.100.1"}, "X-Forwarded-Proto": {"gopher"},
		}
		text, e := eventOf(t, req)
		trace := e.Headers["X-Amzn-Trace-Id"]
		require.Regexp(t, `^Root=1-65abb494-[0-9a-f]{24}$`, trace)
		require.Equal(t, map[string]string{
			"Host": "chat.test:8443", "Sec-WebSocket-Protocol": "chat.v1", "X-Amzn-Trace-Id": trace,
			"X-Forwarded-For": "198.51.100.1, 203.0.113.7", "X-Forwarded-Port": "8443", "X-Forwarded-Proto": "http",
		}, e.Headers)
		require.Equal(t, map[string]string{"a": "2"}, e.QueryStringParameters)
		require.Equal(t, map[string][]string{"a": {"1", "2"}}, e.MultiValueQueryStringParameters)
		_, again := eventOf(t, req)
		require.Equal(t, trace, again.Headers["X-Amzn-Trace-Id"], "a request has one trace")
		require.NotContains(t, text, `"body"`)
	})
	t.Run("CONNECT with a query that a semicolon separates", func(t *testing.T) {
		t.Parallel()
		_, e := eventOf(t, connect("/prod?a=1;b=%3B&a=2"))
		require.Equal(t, map[string]string{"a": "2", "b": ";"}, e.QueryStringParameters)
	})
	t.Run("CONNECT over TLS", func(t *testing.T) {
		t.Parallel()
		req := connect("http://chat.test/prod")
		req.Upgrade.TLS = &tls.ConnectionState{}
		text, e := eventOf(t, req)
		require.Equal(t, "https", e.Headers["X-Forwarded-Proto"])
		require.Equal(t, "443", e.Headers["X-Forwarded-Port"])
		require.NotContains(t, text, "ueryStringParameters")
	})
	t.Run("CONNECT of a request made by hand", func(t *testing.T) {
		t.Parallel()
		req := connect("/")
		req.Upgrade = nil
		_, e := eventOf(t, req)
		require.Equal(t, "chat.test", e.Headers["Host"])
		require.Equal(t, "80", e.Headers["X-Forwarded-Port"])
	})
}

// backend is a chat as people write it for Lambda: one function for all routes.
func backend(ctx context.Context, e lambda.WebsocketRequest) (lambda.Response, error) {
	switch e.RequestContext.RouteKey {
	case "$connect":
		if e.QueryStringParameters["token"] != "secret" {
			return lambda.Response{StatusCode: 401, Body: `{"message":"no"}`, Headers: map[string]string{"X-Why": "token"}}, nil
		}
		return lambda.Response{StatusCode: 200, Headers: map[string]string{"sec-websocket-protocol": "chat.v2"}}, nil
	case "fail":
		return lambda.Response{}, errors.New("no such room")
	case "panic":
		panic("no such room")
	case "hang":
		<-ctx.Done()
		return lambda.Response{}, ctx.Err()
	case "quiet":
		return lambda.Response{StatusCode: 200}, nil
	}
	return lambda.Response{StatusCode: 503, Body: e.RequestContext.EventType + " " + e.Body}, nil
}

func TestFlow(t *testing.T) {
	t.Parallel()
	// Each kind of integration runs the same function.
	for name, make := range map[string]func(t *testing.T) gateway.Integration{
		"Wrap": func(*testing.T) gateway.Integration { return lambda.Wrap(backend) },
		"Function": func(t *testing.T) gateway.Integration {
			t.Helper()
			return &lambda.Function{URL: endpoint(t, func(w http.ResponseWriter, r *http.Request) {
				var e lambda.WebsocketRequest
				if err := json.NewDecoder(r.Body).Decode(&e); err != nil {
					panic(err)
				}
				defer func() {
					if p := recover(); p != nil {
						w.Header().Set("X-Amz-Function-Error", "Unhandled")
						fmt.Fprintf(w, `{"errorMessage":%q,"errorType":"string"}`, p)
					}
				}()
				resp, err := backend(r.Context(), e)
				if err != nil {
					panic(err.Error())
				}
				_ = json.NewEncoder(w).Encode(resp)
			})}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			integration := make(t)
			srv := gatewaytest.New(t, gateway.WithQuotas(gateway.Quotas{
				IntegrationTimeout: 300 * time.Millisecond, NewConnections: gateway.Throttle{RateLimit: -1},
			}))
			for _, key := range []string{"$connect", "$disconnect", "$default", "fail", "panic", "hang"} {
				srv.Handle(key, integration, gateway.WithRouteResponse())
			}
			srv.Handle("one-way", integration)
			srv.Handle("quiet", integration, gateway.WithRouteResponse())

			_, refused := srv.TryDial(t, gatewaytest.Query("token", "wrong"))
			require.NotNil(t, refused)
			require.Equal(t, 401, refused.StatusCode)
			require.Equal(t, `{"message":"no"}`, refused.Body)
			require.Equal(t, "token", refused.Header.Get("X-Why"))

			c := srv.Dial(t, gatewaytest.Query("token", "wrong"), gatewaytest.Query("token", "secret"), gatewaytest.Subprotocols("chat.v1", "chat.v2"))
			require.Equal(t, "chat.v2", c.Subprotocol())
			c.Send("hello")
			require.Equal(t, "MESSAGE hello", c.Receive(), "the status code does not matter")
			c.Send(`{"action":"one-way"}`)
			c.Send(`{"action":"quiet"}`)
			for _, action := range []string{"fail", "panic"} {
				c.SendJSON(map[string]string{"action": action})
				require.Contains(t, c.Receive(), `{"message": "Internal server error", "connectionId":"`+c.ConnectionID()+`"`)
			}
			c.Send(`{"action":"hang"}`)
			require.Contains(t, c.Receive(), `{"message": "Endpoint request timed out", `)
			c.Close(1000, "bye")
			e := srv.WaitDisconnect(c.ConnectionID())
			require.NoError(t, e.Err)
			require.Equal(t, "DISCONNECT ", string(e.Response.Body))
		})
	}
}

func TestFlow_ConnectFails(t *testing.T) {
	t.Parallel()
	forbidden := func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusForbidden)
		_, _ = io.WriteString(w, `{"Message":"secret"}`)
	}
	for _, tt := range []struct {
		name        string
		integration func(t *testing.T) gateway.Integration
		status      int
		text        string
	}{
		{"the function raises", func(*testing.T) gateway.Integration {
			return lambda.Wrap(func() error { return errors.New("secret") })
		}, 502, "Internal server error"},
		{"the function panics", func(*testing.T) gateway.Integration { return lambda.Wrap(func() { panic("secret") }) }, 502, "Internal server error"},
		{"the answer is malformed", func(*testing.T) gateway.Integration {
			return lambda.Wrap(func() (string, error) { return "secret", nil })
		}, 502, "Internal server error"},
		{"there is no answer", func(*testing.T) gateway.Integration { return lambda.Wrap(func() {}) }, 502, "Internal server error"},
		{"nobody may invoke it", func(t *testing.T) gateway.Integration {
			t.Helper()
			return &lambda.Function{URL: endpoint(t, forbidden)}
		}, 500, "Internal server error"},
		{"the status is no HTTP status", func(*testing.T) gateway.Integration {
			return lambda.Wrap(func() (lambda.Response, error) { return lambda.Response{StatusCode: 999}, nil })
		}, 502, "Internal server error"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			srv := gatewaytest.New(t)
			srv.Handle("$connect", tt.integration(t))
			_, refused := srv.TryDial(t)
			require.NotNil(t, refused)
			require.Equal(t, tt.status, refused.StatusCode)
			require.Regexp(t, `^\{"message": "`+tt.text+`", "connectionId":"[^"]+", "requestId":"[^"]+"\}$`, refused.Body)
		})
	}
	t.Run("it times out", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			srv := gatewaytest.New(t)
			srv.Handle("$connect", lambda.Wrap(func(ctx context.Context) error {
				<-ctx.Done()
				return errors.New("cut short")
			}))
			start := time.Now()
			_, refused := srv.TryDial(t)
			require.NotNil(t, refused)
			require.Equal(t, 504, refused.StatusCode)
			require.Contains(t, refused.Body, `"Endpoint request timed out"`)
			require.Equal(t, 29*time.Second, time.Since(start))
		})
	})
}

// A message that the function fails on is answered with an error frame, also on a one-way
// route. An empty answer sends nothing.
func TestFlow_MessageAnswers(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, answer, want string }{
		{"a body", `{"statusCode":200,"body":"hi"}`, "hi"},
		{"a body without a status code", `{"body":"hi"}`, "hi"},
		{"base64", `{"statusCode":200,"body":"aGk=","isBase64Encoded":true}`, "hi"},
		{"base64 that is not UTF-8", `{"statusCode":200,"body":"aP8=","isBase64Encoded":true}`, "h\uFFFD"},
		{"no body", `{"statusCode":200}`, ""},
		{"an empty body", `{"statusCode":200,"body":""}`, ""},
		{"null", `null`, ""},
		{"nothing", ``, ""},
		{"malformed", `{"message":"hi"}`, "Internal server error"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			srv := gatewaytest.New(t)
			answer := lambda.Wrap(func([]byte) ([]byte, error) { return []byte(tt.answer), nil })
			srv.Handle("two-way", answer, gateway.WithRouteResponse())
			srv.Handle("one-way", answer)
			srv.Handle("end", lambda.Wrap(func() (lambda.Response, error) { return lambda.Response{Body: "end"}, nil }), gateway.WithRouteResponse())
			c := srv.Dial(t)
			receive := func(action string) string {
				c.SendJSON(map[string]string{"action": action})
				c.Send(`{"action":"end"}`)
				first := c.Receive()
				if first == "end" {
					return ""
				}
				require.Equal(t, "end", c.Receive())
				return first
			}
			require.Contains(t, receive("two-way"), tt.want)
			one := receive("one-way")
			if tt.name == "malformed" {
				require.Contains(t, one, tt.want)
			} else {
				require.Empty(t, one)
			}
			if tt.want == "" {
				require.Empty(t, receive("two-way"))
			}
		})
	}
}
