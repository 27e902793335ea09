package lambda_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
	"example.com/gateway/lambda"
)

// endpoint starts an endpoint of the Invoke API.
func endpoint(tb testing.TB, serve http.HandlerFunc) string {
	tb.Helper()
	server := httptest.NewServer(serve)
	tb.Cleanup(server.Close)
	return server.URL
}

func answers(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, text) }
}

func TestFunction_Call(t *testing.T) {
	t.Parallel()
	var (
		got  *http.Request
		body []byte
	)
	url := endpoint(t, func(w http.ResponseWriter, r *http.Request) {
		got = r
		body, _ = io.ReadAll(r.Body)
		answers(`{"statusCode":200,"body":"hi","headers":{"a":"b"}}`)(w, r)
	})
	f := &lambda.Function{URL: url + "/", Sign: func(r *http.Request, body []byte) error {
		r.Header.Set("Authorization", string(body[:20]))
		return nil
	}}
	resp, err := f.Invoke(t.Context(), message("hello"))
	require.NoError(t, err)
	require.Equal(t, &gateway.Response{StatusCode: 200, Body: []byte("hi"), Header: http.Header{"A": {"b"}}}, resp)
	require.Equal(t, http.MethodPost, got.Method)
	require.Equal(t, "/2015-03-31/functions/function/invocations", got.RequestURI, "the name of emulators")
	require.Equal(t, "application/json", got.Header.Get("Content-Type"))
	require.Equal(t, "RequestResponse", got.Header.Get("X-Amz-Invocation-Type"))
	require.Equal(t, `{"stageVariables":{"`, got.Header.Get("Authorization"))
	require.Equal(t, int64(len(body)), got.ContentLength)
	var e lambda.WebsocketRequest
	require.NoError(t, json.Unmarshal(body, &e))
	require.Equal(t, "hello", e.Body)
	require.Equal(t, "MESSAGE", e.RequestContext.EventType)
}

func TestFunction_Names(t *testing.T) {
	t.Parallel()
	const arn = "arn:aws:lambda:us-east-1:111122223333:function:chat"
	const escaped = "arn%3Aaws%3Alambda%3Aus-east-1%3A111122223333%3Afunction%3Achat"
	for _, tt := range []struct{ name, function, qualifier, want string }{
		{"a name", "chat-prod_1.x", "", "chat-prod_1.x/invocations"},
		{"a name with a qualifier", "chat:live", "", "chat%3Alive/invocations"},
		{"a version", "chat:$LATEST", "", "chat%3A$LATEST/invocations"},
		{"a qualifier", "chat", "7", "chat/invocations?Qualifier=7"},
		{"a partial ARN", "111122223333:function:chat", "", "111122223333%3Afunction%3Achat/invocations"},
		{"an ARN", arn, "", escaped + "/invocations"},
		{"an ARN with a qualifier", arn + ":live", "", escaped + "%3Alive/invocations"},
		{"an ARN of another partition", strings.Replace(arn, "aws", "aws-cn", 1), "", strings.Replace(escaped, "aws", "aws-cn", 1) + "/invocations"},
		{"API Gateway's URI", "arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/" + arn + "/invocations", "", escaped + "/invocations"},
		{"API Gateway's URI of an alias", "arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/" + arn + ":live/invocations", "", escaped + "%3Alive/invocations"},
		{"stage variables", "${stageVariables.fn}-x:${stageVariables.alias}", "", "chat-x%3Alive/invocations"},
		{"a stage variable as qualifier", "chat", "${stageVariables.alias}", "chat/invocations?Qualifier=live"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var uri string
			url := endpoint(t, func(_ http.ResponseWriter, r *http.Request) { uri = r.RequestURI })
			req := message("")
			req.StageVariables = map[string]string{"fn": "chat", "alias": "live"}
			_, err := (&lambda.Function{URL: url, Name: tt.function, Qualifier: tt.qualifier}).Invoke(t.Context(), req)
			require.NoError(t, err)
			require.Equal(t, "/2015-03-31/functions/"+tt.want, uri)
		})
	}
	gw, err := gateway.New()
	require.NoError(t, err)
	for _, tt := range []struct {
		name     string
		function *lambda.Function
	}{
		{"an undefined stage variable as name", &lambda.Function{Name: "${stageVariables.nothing}"}},
		{"an undefined stage variable as alias", &lambda.Function{Name: "chat:${stageVariables.nothing}"}},
		{"an undefined stage variable as qualifier", &lambda.Function{Qualifier: "${stageVariables.nothing}"}},
		{"a path", &lambda.Function{Name: "../x"}},
		{"dots", &lambda.Function{Name: ".."}},
		{"a query", &lambda.Function{Name: "x?y"}},
		{"an ARN of something else", &lambda.Function{Name: "arn:aws:s3:::bucket:x:y"}},
		{"an ARN of a layer", &lambda.Function{Name: "arn:aws:lambda:us-east-1:111122223333:layer:chat"}},
		{"an integration URI of something else", &lambda.Function{Name: "arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/event-source-mappings"}},
		{"too many colons", &lambda.Function{Name: "111122223333:function:chat:live:x"}},
		{"a variable that is not closed", &lambda.Function{Name: "${stageVariables.x"}},
		{"no URL", &lambda.Function{Name: "chat", URL: "localhost:9000"}},
		{"no URL that can be parsed", &lambda.Function{Name: "chat", URL: "http://%zz"}},
		{"a URL with a query", &lambda.Function{URL: "http://127.0.0.1:1?Qualifier=live"}},
		{"a URL with an empty query", &lambda.Function{URL: "http://127.0.0.1:1/x/?"}},
		{"a URL with a fragment", &lambda.Function{URL: "http://127.0.0.1:1#x"}},
		{"a URL without a host", &lambda.Function{URL: "http://"}},
		{"a URL with a path and no host", &lambda.Function{URL: "https:///x"}},
		{"a refusal to sign", &lambda.Function{Sign: func(*http.Request, []byte) error { return errors.New("no credentials") }}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if tt.function.URL == "" {
				tt.function.URL = "http://127.0.0.1:1"
			}
			_, err := tt.function.Invoke(t.Context(), message(""))
			requireFailed(t, err, http.StatusInternalServerError)
			require.ErrorContains(t, err, "invalid configuration")

			err = gw.Deploy(gateway.Deployment{Routes: []gateway.Route{{RouteKey: "$default", Integration: tt.function}}})
			if strings.Contains(tt.name, "undefined stage variable") || tt.function.Sign != nil { // known with the call only
				require.NoError(t, err)
				return
			}
			require.ErrorIs(t, err, gateway.ErrInvalidOption)
			require.ErrorContains(t, err, "lambda: invalid configuration: ")
			require.NotContains(t, err.Error(), "127.0.0.1", "a URL may hold a secret")
		})
	}
}

func TestFunction_Validate(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name       string
		authorizer *lambda.Authorizer
		says       string
	}{
		{"a zero Function", (&lambda.Function{}).Authorizer(), `function "function" has no URL: set it`},
		{"a nil Function", (*lambda.Function)(nil).Authorizer(), "has no function: make it with"},
		{"a negative timeout", (&lambda.Function{URL: "http://x", Timeout: -1}).Authorizer(), "the Timeout -1ns of function"},
		{"a zero Authorizer", &lambda.Authorizer{}, "has no function: make it with"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			gw, err := gateway.New()
			require.NoError(t, err)
			err = gw.Deploy(gateway.Deployment{Routes: []gateway.Route{{RouteKey: "$connect", Integration: &gateway.MockIntegration{}, Authorizer: tt.authorizer}}})
			require.ErrorIs(t, err, gateway.ErrInvalidOption)
			require.ErrorContains(t, err, tt.says)
		})
	}
	_, err := (&lambda.Authorizer{}).Authorize(t.Context(), message(""))
	require.ErrorContains(t, err, "has no function")
	require.NoError(t, (&lambda.Function{URL: "http://x", Name: "${stageVariables.name}"}).Validate())
	require.NoError(t, lambda.WrapAuthorizer(func() {}).Validate())
}

func TestFunction_Failures(t *testing.T) {
	t.Parallel()
	status := func(code int, name, text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Amzn-Errortype", name)
			w.Header().Set("Location", "/elsewhere")
			w.WriteHeader(code)
			_, _ = io.WriteString(w, text)
		}
	}
	functionError := func(kind, text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Amz-Function-Error", kind)
			_, _ = io.WriteString(w, text)
		}
	}
	raised := func(kind, message string, trace ...string) error {
		return &lambda.FunctionError{Function: "chat", Type: kind, Message: message, Trace: trace}
	}
	refused := func(code int, kind, message string) error {
		return &lambda.InvokeError{Function: "chat", StatusCode: code, Type: kind, Message: message}
	}
	for _, tt := range []struct {
		name   string
		serve  http.HandlerFunc
		status int
		want   error // nil: any
		says   string
	}{
		{"the function raised", functionError("Unhandled", `{"errorMessage":"boom","errorType":"Error","stackTrace":["x"]}`), 502, raised("Error", "boom", "x"), `function "chat" raised: Error: boom`},
		{"the function handled its error", functionError("Handled", `{"errorMessage":"boom"}`), 502, raised("", "boom"), `raised: boom`},
		{"the function ran out of its own time", functionError("Unhandled", `{"errorMessage":"Task timed out after 3.00 seconds"}`), 502, raised("", "Task timed out after 3.00 seconds"), ""},
		{"the report is no JSON", functionError("Unhandled", `oops`), 502, raised("", "oops"), ""},
		{"the report comes without a header", answers(`{"errorType":"Error","errorMessage":"boom","stackTrace":[]}`), 502, raised("Error", "boom"), ""},
		{"an answer that only looks like a report", answers(`{"errorType":"Error","statusCode":200}`), 502, nil, `unknown key "errorType"`},
		{"the answer is malformed", answers(`{"statusCode":200,"Data":1}`), 502, nil, `malformed response: unknown key "Data"`},
		{"the answer is no JSON", answers(`Task timed out after 3.00 seconds`), 502, nil, "malformed response"},
		{"no permission", status(403, "AccessDeniedException:http://internal.amazon.com/", `{"Message":"not authorized"}`), 500, refused(403, "AccessDeniedException", "not authorized"), "was not invoked: 403 AccessDeniedException not authorized"},
		{"no such function", status(404, "ResourceNotFoundException", `{"Type":"User","message":"not found"}`), 500, refused(404, "ResourceNotFoundException", "not found"), ""},
		{"throttled", status(429, "TooManyRequestsException", `{"Reason":"x","Message":"Rate exceeded"}`), 500, refused(429, "TooManyRequestsException", "Rate exceeded"), ""},
		{"the endpoint fails", status(503, "", `<html>`), 500, refused(503, "", "<html>"), ""},
		{"a redirect is not followed", status(307, "", ``), 500, refused(307, "", ""), ""},
		{"the endpoint hangs up", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, 502, nil, "EOF"},
		{"the answer is above 6 MB", answers(strings.Repeat(" ", 6<<20+101)), 502, nil, "above 6 MB"},
		{"the answer is announced above 6 MB", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "6291557")
			w.WriteHeader(200)
		}, 502, nil, "above 6 MB"},
		{"the endpoint takes the socket", func(w http.ResponseWriter, _ *http.Request) {
			nc, _, err := http.NewResponseController(w).Hijack()
			if err == nil {
				_, _ = io.WriteString(nc, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
				_, _ = io.Copy(io.Discard, nc) // until the function lets it go
				_ = nc.Close()
			}
		}, 500, refused(101, "", ""), ""},
		{"the answer breaks off", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "10")
			w.WriteHeader(200)
		}, 502, nil, "EOF"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := &lambda.Function{URL: endpoint(t, tt.serve), Name: "chat"}
			resp, err := f.Invoke(t.Context(), message(""))
			require.Nil(t, resp)
			requireFailed(t, err, tt.status)
			require.ErrorContains(t, err, tt.says)
			require.NotContains(t, err.Error(), f.URL, "which may hold a secret")
			if tt.want != nil {
				var ie *gateway.IntegrationError
				require.ErrorAs(t, err, &ie)
				got := ie.Err
				if e := (*lambda.FunctionError)(nil); errors.As(got, &e) { // without its Report
					got = &lambda.FunctionError{Function: e.Function, Type: e.Type, Message: e.Message, Trace: e.Trace}
				}
				require.Equal(t, tt.want, got)
			}
		})
	}
	t.Run("a function without a name has one in errors", func(t *testing.T) {
		t.Parallel()
		_, err := (&lambda.Function{URL: endpoint(t, answers(`[]`))}).Invoke(t.Context(), message(""))
		require.ErrorContains(t, err, `function "function": malformed response`)
	})
	t.Run("nobody listens", func(t *testing.T) {
		t.Parallel()
		_, err := (&lambda.Function{URL: "http://127.0.0.1:1"}).Invoke(t.Context(), message(""))
		requireFailed(t, err, http.StatusBadGateway)
	})
}

func TestFunction_Timeouts(t *testing.T) {
	t.Parallel()
	// hang is a client of an endpoint that never answers, on virtual time.
	hang := func() *http.Client {
		return &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		})}
	}
	for _, tt := range []struct {
		name     string
		function func() *lambda.Function
	}{
		{"its own", func() *lambda.Function {
			return &lambda.Function{URL: "http://x", Client: hang(), Timeout: 5 * time.Second}
		}},
		{"its client's", func() *lambda.Function {
			c := hang()
			c.Timeout = 5 * time.Second
			return &lambda.Function{URL: "http://x", Client: c}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				_, err := tt.function().Invoke(t.Context(), message(""))
				requireFailed(t, err, http.StatusGatewayTimeout)
				require.ErrorIs(t, err, context.DeadlineExceeded)
				require.Equal(t, 5*time.Second, time.Since(start))
			})
		})
	}
	t.Run("a dial that times out", func(t *testing.T) {
		t.Parallel()
		client := &http.Client{Transport: roundTrip(func(*http.Request) (*http.Response, error) {
			return nil, &net.OpError{Op: "dial", Err: &net.DNSError{IsTimeout: true}}
		})}
		_, err := (&lambda.Function{URL: "http://x", Client: client}).Invoke(t.Context(), message(""))
		requireFailed(t, err, http.StatusGatewayTimeout)
		require.ErrorIs(t, err, context.DeadlineExceeded)
	})
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestFunction_ReusesConnections(t *testing.T) {
	t.Parallel()
	const atOnce = 16
	var opened atomic.Int32
	var arrived sync.WaitGroup
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		arrived.Done()
		arrived.Wait() // so that all connections are needed
		answers(`{"statusCode":200}`)(w, r)
	}))
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			opened.Add(1)
		}
	}
	server.Start()
	defer server.Close()
	f := &lambda.Function{URL: server.URL}
	for range 10 {
		arrived.Add(atOnce)
		var calls sync.WaitGroup
		errs := make(chan error, atOnce)
		for range atOnce {
			calls.Go(func() {
				_, err := f.Invoke(t.Context(), message("hello"))
				errs <- err
			})
		}
		calls.Wait()
		for range atOnce {
			require.NoError(t, <-errs)
		}
	}
	require.LessOrEqual(t, opened.Load(), int32(3*atOnce), "of 160 calls; a connection may be on its way back when it is wanted")
}
