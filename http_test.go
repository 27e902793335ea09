package gateway_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"unicode"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
	"example.com/gateway/gatewaytest"
	"example.com/gateway/internal/suites/wiretest"
	"example.com/gateway/internal/testutil"
)

func says(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, text) }
}

func TestHTTPIntegration_Connect(t *testing.T) {
	t.Parallel()
	e := testutil.NewBackend(t, testutil.OK)
	srv := gatewaytest.New(t, gateway.WithAPI("a1b2c3d4e5", ""))
	srv.Handle("$connect", &gateway.HTTPIntegration{URI: e.URL + "/ws?fixed=1", CallbackURL: "http://gateway.internal/%7Bprod%7D/"})
	c := srv.Dial(t, gatewaytest.SourceIP("203.0.113.7"),
		gatewaytest.Query("token", "t 1"), gatewaytest.Query("fixed", "from the client"),
		gatewaytest.Header("Cookie", "a=b"), gatewaytest.Header("X-Forwarded-For", "198.51.100.1"),
		gatewaytest.Header("ConnectionId", "forged"), gatewaytest.Header("User-Agent", "browser"),
		gatewaytest.Subprotocols("chat.v1"))
	r := e.Last(t)
	require.Equal(t, http.MethodPost, r.Method)
	require.Equal(t, "/ws", r.URL.Path)
	require.Equal(t, []string{"t 1"}, r.URL.Query()["token"])
	require.Equal(t, []string{"1"}, r.URL.Query()["fixed"], "what the URI says, no client changes")
	require.Empty(t, r.Text)
	require.Equal(t, "a=b", r.Header.Get("Cookie"))
	require.Equal(t, "198.51.100.1, 203.0.113.7", r.Header.Get("X-Forwarded-For"))
	require.Equal(t, "http", r.Header.Get("X-Forwarded-Proto"))
	require.Equal(t, "80", r.Header.Get("X-Forwarded-Port"))
	require.Equal(t, "AmazonAPIGateway_a1b2c3d4e5", r.Header.Get("User-Agent"))
	require.Equal(t, "a1b2c3d4e5", r.Header.Get("X-Amzn-Apigateway-Api-Id"))
	require.Regexp(t, `^Root=1-[0-9a-f]{8}-[0-9a-f]{24}$`, r.Header.Get("X-Amzn-Trace-Id"))
	require.Equal(t, "chat.v1", r.Header.Get("Sec-WebSocket-Protocol"))
	require.Empty(t, r.Header.Get("Sec-WebSocket-Key"), "many servers answer 400 to it")
	require.Empty(t, r.Header.Get("Sec-WebSocket-Version"))
	require.Empty(t, r.Header.Get("Upgrade"))
	require.Equal(t, []string{c.ConnectionID()}, r.Header.Values("connectionId"), "no client forges it")
	require.Equal(t, "$connect", r.Header.Get("routeKey"))
	require.Equal(t, "CONNECT", r.Header.Get("eventType"))
	require.Equal(t, "http://gateway.internal/%7Bprod%7D/@connections/"+strings.ReplaceAll(c.ConnectionID(), "=", "%3D"), r.Header.Get("callbackUrl"))
}

func TestHTTPIntegration_UpgradeHeaders(t *testing.T) {
	t.Parallel()
	e := testutil.NewBackend(t, testutil.OK)
	srv := gatewaytest.New(t)
	srv.Handle("$connect", &gateway.HTTPIntegration{URI: e.URL, UpgradeHeaders: true})
	srv.Dial(t)
	r := e.Last(t)
	require.Equal(t, "13", r.Header.Get("Sec-WebSocket-Version"))
	require.NotEmpty(t, r.Header.Get("Sec-WebSocket-Key"))
	require.Empty(t, r.Header.Get("Upgrade"))
	require.Empty(t, r.Header.Get("connectionId"), "it is not passed on unless mapped")
}

func TestHTTPIntegration_ConnectAnswer(t *testing.T) {
	t.Parallel()
	e := testutil.NewBackend(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("token") != "good" {
			w.Header().Set("X-Reason", "token")
			w.Header().Set("Content-Type", "text/plain")
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = io.WriteString(w, "who are you?")
			return
		}
		w.Header().Set("Sec-WebSocket-Protocol", "chat.v2")
		_, _ = io.WriteString(w, "dropped")
	})
	srv := gatewaytest.New(t)
	srv.Handle("$connect", &gateway.HTTPIntegration{URI: e.URL})
	c := srv.Dial(t, gatewaytest.Query("token", "good"), gatewaytest.Subprotocols("chat.v1", "chat.v2"))
	require.Equal(t, "chat.v2", c.Subprotocol())
	_, refused := srv.TryDial(t, gatewaytest.Query("token", "bad"))
	require.Equal(t, http.StatusUnauthorized, refused.StatusCode)
	require.Equal(t, "who are you?", refused.Body)
	require.Equal(t, "token", refused.Header.Get("X-Reason"))
	require.Equal(t, "text/plain", refused.Header.Get("Content-Type"))
}

func TestHTTPIntegration_MessageAndDisconnect(t *testing.T) {
	t.Parallel()
	e := testutil.NewBackend(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusTeapot) // has no effect on a message
		_, _ = io.WriteString(w, "answer of "+r.Method)
	})
	srv := gatewaytest.New(t)
	srv.Handle("order", &gateway.HTTPIntegration{URI: e.URL, Method: "PUT"}, gateway.WithRouteResponse())
	srv.Handle("$disconnect", &gateway.HTTPIntegration{URI: e.URL + "/bye"})
	c := srv.Dial(t, gatewaytest.SourceIP("203.0.113.7"), gatewaytest.Header("Cookie", "a=b"))
	c.Send(`{"action":"order", "x": [1, 2]}`)
	require.Equal(t, "answer of PUT", c.Receive())
	r := e.Last(t)
	require.Equal(t, `{"action":"order", "x": [1, 2]}`, r.Text, "the message is passed on unchanged")
	require.Equal(t, "application/json", r.Header.Get("Content-Type"))
	require.Equal(t, "203.0.113.7", r.Header.Get("X-Forwarded-For"))
	require.Empty(t, r.Header.Get("Cookie"), "a message has no headers of the client")
	require.Empty(t, r.URL.RawQuery)
	c.Close(1000, "")
	srv.WaitDisconnect(c.ConnectionID())
	r = e.Last(t)
	require.Equal(t, "/bye", r.URL.Path)
	require.Empty(t, r.Text)
	require.Empty(t, r.Header.Get("Content-Type"))
}

func TestHTTPIntegration_Mappings(t *testing.T) {
	t.Parallel()
	e := testutil.NewBackend(t, says("ok"))
	srv := gatewaytest.New(t, gateway.WithStage("prod", map[string]string{"table": "connections", "path": "v1"}))
	parameters := map[string]string{
		"integration.request.header.connectionId":     "context.connectionId",
		"integration.request.header.X-Stage":          "context.stage",
		"integration.request.header.X-Literal":        "'it is'",
		"integration.request.header.X-Lines":          "'it\r\nis\x00'",
		"integration.request.header.X-Table":          "stageVariables.table",
		"integration.request.header.X-None":           "stageVariables.none",
		"integration.request.header.X-Auth":           "route.request.header.X-Token",
		"integration.request.header.X-All":            "route.request.multivalueheader.X-Many",
		"integration.request.header.X-Room":           "route.request.body.data.room",
		"integration.request.header.User-Agent":       "'mine'",
		"integration.request.header.X-No-Body":        "route.request.body.missing",
		"integration.request.querystring.room":        "route.request.querystring.room",
		"integration.request.querystring.rooms":       "route.request.multivaluequerystring.room",
		"integration.request.querystring.secret":      "stageVariables.none",
		"integration.request.path.id":                 "context.connectionId",
		"integration.request.path.room":               "route.request.body.data.room",
		"integration.request.header.X-Request-Time":   "context.requestTime",
		"integration.request.header.X-Identity":       "context.identity.sourceIp",
		"integration.request.header.X-Unknown":        "context.authorizer.tenant",
		"integration.request.querystring.first-items": "route.request.body.data.items[0].name",
	}
	srv.Handle("$default", &gateway.HTTPIntegration{URI: e.URL + "/${stageVariables.path}/{id}/{room}/end", RequestParameters: parameters})
	connect := maps.Clone(parameters)
	delete(connect, "integration.request.path.room") // $connect has no body
	srv.Handle("$connect", &gateway.HTTPIntegration{URI: e.URL + "/${stageVariables.path}/{id}/end", RequestParameters: connect})
	c := srv.Dial(t, gatewaytest.SourceIP("203.0.113.7"), gatewaytest.Header("X-Token", "first"), gatewaytest.Header("X-Token", "last"),
		gatewaytest.Header("X-Many", "1"), gatewaytest.Header("X-Many", "2"), gatewaytest.Header("X-None", "forged"),
		gatewaytest.Query("room", "a"), gatewaytest.Query("room", "b"), gatewaytest.Query("secret", "forged"))
	r := e.Last(t)
	require.Equal(t, "/v1/"+c.ConnectionID()+"/end", r.URL.Path)
	require.Equal(t, c.ConnectionID(), r.Header.Get("connectionId"))
	require.Equal(t, "prod", r.Header.Get("X-Stage"))
	require.Equal(t, "it is", r.Header.Get("X-Literal"))
	require.Equal(t, "it  is", r.Header.Get("X-Lines"), "what a header can't hold becomes a blank")
	require.Equal(t, "connections", r.Header.Get("X-Table"))
	require.NotContains(t, r.Header, "X-None", "a client cannot set a mapped name that has no value")
	require.NotContains(t, r.URL.Query(), "secret")
	require.NotContains(t, r.Header, "X-Unknown")
	require.NotContains(t, r.Header, "X-Room", "an event without a body")
	require.Equal(t, "last", r.Header.Get("X-Auth"))
	require.Equal(t, []string{"1", "2"}, r.Header["X-All"])
	require.Equal(t, []string{"mine"}, r.Header["User-Agent"])
	require.Equal(t, "203.0.113.7", r.Header.Get("X-Identity"))
	require.Regexp(t, `^\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d \+0000$`, r.Header.Get("X-Request-Time"))
	require.Equal(t, []string{"b"}, r.URL.Query()["room"])
	require.Equal(t, []string{"a", "b"}, r.URL.Query()["rooms"])

	c.Send(`{"data":{"room":"x é?y#z%","items":[{"name":"n"}]}}`)
	srv.WaitEvent(func(e gatewaytest.Event) bool { return e.EventType == gateway.EventMessage })
	r = e.Last(t)
	require.Equal(t, "/v1/"+c.ConnectionID()+"/x%20%C3%A9%3Fy%23z%25/end", r.URL.EscapedPath(), "a value is one segment, whatever it holds")
	require.Equal(t, "x é?y#z%", r.Header.Get("X-Room"))
	require.Equal(t, []string{"n"}, r.URL.Query()["first-items"])
	require.NotContains(t, r.Header, "X-Auth", "the upgrade request's values are there on $connect only")
	require.NotContains(t, r.URL.Query(), "room")
}

// A null counts as missing, as it does when a template or a route is selected.
func TestHTTPIntegration_MappedNull(t *testing.T) {
	t.Parallel()
	e := testutil.NewBackend(t, says("ok"))
	ask, _ := twoWay(t, &gateway.HTTPIntegration{URI: e.URL + "/?own=1", RequestParameters: map[string]string{
		"integration.request.header.X-Mapped": "route.request.body.a", "integration.request.querystring.own": "route.request.body.a", "integration.request.querystring.b": "route.request.body.b",
	}})
	require.Equal(t, "ok", ask(`{"a":null,"b":""}`))
	require.NotContains(t, e.Last(t).Header, "X-Mapped")
	require.Equal(t, url.Values{"b": {""}}, e.Last(t).URL.Query(), "an empty text is a value")
	require.Equal(t, "ok", ask(`{"a":"null"}`))
	require.Equal(t, []string{"null"}, e.Last(t).Header["X-Mapped"])
}

func TestHTTPIntegration_Failures(t *testing.T) {
	t.Parallel()
	const nobody = "127.0.0.1:1" // not a port that was just closed: another test may listen there next
	slow := testutil.NewBackend(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	for _, tc := range []struct {
		name   string
		i      *gateway.HTTPIntegration
		status int
		text   string
	}{
		{"nobody listens", &gateway.HTTPIntegration{URI: "http://" + nobody}, 504, "Internal server error"},
		{"an undefined stage variable leaves no host", &gateway.HTTPIntegration{URI: "http://${stageVariables.host}/"}, 500, "Internal server error"},
		{"a stage variable that makes another scheme", &gateway.HTTPIntegration{URI: "${stageVariables.url}/"}, 500, "Internal server error"},
		{"a timeout of its own", &gateway.HTTPIntegration{URI: slow.URL, Timeout: 50 * time.Millisecond}, 504, "Endpoint request timed out"},
		{"a body above its bound", &gateway.HTTPIntegration{URI: testutil.NewBackend(t, says("12345")).URL, ResponseBytes: 4}, 502, "Internal server error"},
		{"a body above the default bound", &gateway.HTTPIntegration{URI: testutil.NewBackend(t, says(strings.Repeat("x", 128<<10+1))).URL}, 502, "Internal server error"},
		{"an answer that breaks off", &gateway.HTTPIntegration{URI: testutil.NewBackend(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "10")
			_, _ = io.WriteString(w, "123")
		}).URL}, 504, "Internal server error"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			srv := gatewaytest.New(t, gateway.WithStage("prod", map[string]string{"url": "file:///etc/passwd"}))
			srv.Handle("$connect", tc.i)
			_, refused := srv.TryDial(t)
			require.Equal(t, tc.status, refused.StatusCode)
			require.Contains(t, refused.Body, fmt.Sprintf(`{"message": %q, "connectionId":"`, tc.text))

			srv = gatewaytest.New(t, gateway.WithStage("prod", map[string]string{"url": "file:///etc/passwd"}))
			srv.Handle("$default", tc.i)
			c := srv.Dial(t)
			c.Send("x")
			require.Contains(t, c.Receive(), fmt.Sprintf(`{"message": %q, "connectionId":"`, tc.text))
		})
	}
}

func TestHTTPIntegration_FollowsNoRedirect(t *testing.T) {
	t.Parallel()
	var followed atomic.Bool
	e := testutil.NewBackend(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/elsewhere" {
			followed.Store(true)
		}
		http.Redirect(w, r, "/elsewhere", http.StatusFound)
	})
	srv := gatewaytest.New(t)
	srv.Handle("$connect", &gateway.HTTPIntegration{URI: e.URL, Client: &http.Client{}})
	_, refused := srv.TryDial(t)
	require.Equal(t, http.StatusFound, refused.StatusCode)
	require.Equal(t, "/elsewhere", refused.Header.Get("Location"))
	require.False(t, followed.Load())
}

func TestHTTPIntegration_Invalid(t *testing.T) {
	t.Parallel()
	mapped := func(key, source string) *gateway.HTTPIntegration {
		return &gateway.HTTPIntegration{URI: "http://x/", RequestParameters: map[string]string{key: source}}
	}
	for name, tc := range map[string]struct {
		i    gateway.Integration
		want string // in the error
	}{
		"no URI":                        {&gateway.HTTPIntegration{}, "neither http:// nor https://"},
		"another scheme":                {&gateway.HTTPIntegration{URI: "ftp://x"}, "neither http:// nor https://"},
		"a host of the client's":        {&gateway.HTTPIntegration{URI: "http://{x}/"}, "{x} stands before the path"},
		"part of a host":                {&gateway.HTTPIntegration{URI: "http://api-{x}:80/y"}, "{x} stands before the path"},
		"a host behind a variable":      {&gateway.HTTPIntegration{URI: "http://${stageVariables.h}.{x}/y"}, "{x} stands before the path"},
		"a host behind a scheme":        {&gateway.HTTPIntegration{URI: "${stageVariables.s}://{x}/y"}, "{x} stands before the path"},
		"right behind a variable":       {&gateway.HTTPIntegration{URI: "${stageVariables.url}{x}"}, "{x} stands before the path"},
		"no path":                       {&gateway.HTTPIntegration{URI: "http://example.com{x}"}, "{x} stands before the path"},
		"an unknown variable":           {&gateway.HTTPIntegration{URI: "http://x/${context.stage}"}, "a brace"},
		"an open brace":                 {&gateway.HTTPIntegration{URI: "http://x/{id"}, "a brace"},
		"a method with a blank":         {&gateway.HTTPIntegration{URI: "http://x", Method: "GET /"}, `"GET /"`},
		"a callback without a scheme":   {&gateway.HTTPIntegration{URI: "http://x", CallbackURL: "gateway.internal/prod"}, "HTTPIntegration.CallbackURL begins with neither http:// nor https://"},
		"a callback without a host":     {&gateway.HTTPIntegration{URI: "http://x", CallbackURL: "https:///prod"}, "HTTPIntegration.CallbackURL has no host"},
		"a callback of a WebSocket":     {&gateway.HTTPIntegration{URI: "http://x", CallbackURL: "wss://gateway.internal/prod"}, "HTTPIntegration.CallbackURL begins with neither http:// nor https://"},
		"a callback with a query":       {&gateway.HTTPIntegration{URI: "http://x", CallbackURL: "https://gateway.internal/prod?x=y"}, "HTTPIntegration.CallbackURL has a query or a fragment"},
		"a callback with a variable":    {&gateway.HTTPIntegration{URI: "http://x", CallbackURL: "https://${stageVariables.host}/prod"}, "HTTPIntegration.CallbackURL "},
		"a callback with a brace":       {&gateway.HTTPIntegration{URI: "http://x", CallbackURL: "https://gateway.internal/{stage}"}, "HTTPIntegration.CallbackURL has a brace"},
		"a callback with its end":       {&gateway.HTTPIntegration{URI: "http://x", CallbackURL: "https://gateway.internal/prod/@connections/"}, "ends in /@connections: leave that out"},
		"a negative timeout":            {&gateway.HTTPIntegration{URI: "http://x", Timeout: -1}, "HTTPIntegration.Timeout -1ns is negative"},
		"a target of another kind":      {mapped("integration.response.header.X", "'x'"), `"integration.response.header.X"`},
		"a target without a name":       {mapped("integration.request.header.", "'x'"), `"integration.request.header."`},
		"a target with a blank":         {mapped("integration.request.header.X Y", "'x'"), `"integration.request.header.X Y"`},
		"a placeholder that is not":     {mapped("integration.request.path.room", "'x'"), "no {room}"},
		"a placeholder that none fills": {&gateway.HTTPIntegration{URI: "http://x/{id}"}, "add the parameter integration.request.path.id"},
		"one of two placeholders":       {&gateway.HTTPIntegration{URI: "http://x/{id}/{of}", RequestParameters: map[string]string{"integration.request.path.id": "'x'"}}, "nothing fills {of}"},
		"a parameter's name":            {&gateway.HTTPIntegration{URI: "http://x/?{id}=1"}, "{id} stands in the name of a query parameter"},
		"a query with a mistake":        {&gateway.HTTPIntegration{URI: "http://x/?role=user&rate=100%"}, "hexadecimal digits"},
		"a URI that is too long":        {&gateway.HTTPIntegration{URI: "http://x/" + strings.Repeat("x", 2048)}, "the most is 2048"},
		"a source of REST APIs":         {mapped("integration.request.header.X", "method.request.header.X"), `"integration.request.header.X"`},
		"a literal that is not closed":  {mapped("integration.request.header.X", "'x"), "no closing"},
		"an unknown source":             {mapped("integration.request.header.X", "request.body.x"), "route.request.body"},
		"a body path with a mistake":    {mapped("integration.request.header.X", "route.request.body.a["), "integration.request.header.X"},
		"a source of responses":         {mapped("integration.request.header.X", "integration.response.header.X"), "integration.request.header.X"},
		"an unknown context variable":   {mapped("integration.request.header.X", "context.connectionid"), `"connectionid"`},
		"a context name with a blank":   {mapped("integration.request.header.X", "context.a b"), "a b"},
		"a passthrough behavior":        {transform(&gateway.Transform{PassthroughBehavior: "SOMETIMES"}), "SOMETIMES"},
		"a content handling":            {transform(&gateway.Transform{ContentHandling: "TO_GOLD"}), "TO_GOLD"},
		"a response key":                {transform(&gateway.Transform{Responses: map[string]gateway.IntegrationResponse{"200": {}}}), `"200"`},
		"a response regex":              {transform(&gateway.Transform{Responses: map[string]gateway.IntegrationResponse{"/(/": {}}}), "/(/"},
		"a response parameter":          {transform(&gateway.Transform{Responses: map[string]gateway.IntegrationResponse{"$default": {ResponseParameters: map[string]string{"x": "'y'"}}}}), "method.response.header"},
		"a selection of templates":      {transform(&gateway.Transform{TemplateSelectionExpression: "$request.header.x"}), "position"},
		"a selection of responses":      {transform(&gateway.Transform{Responses: map[string]gateway.IntegrationResponse{"$default": {TemplateSelectionExpression: "$x"}}}), "position"},
		"a template with a mistake":     {transform(&gateway.Transform{RequestTemplates: map[string]string{"$default": "#if("}}), "$default"},
		"a mock's template":             {&gateway.MockIntegration{Transform: &gateway.Transform{RequestTemplates: map[string]string{"$default": "#if("}}}, "$default"},
		"a custom one with no backend":  {&gateway.CustomIntegration{}, "no Backend"},
		"a custom one with bad content": {&gateway.CustomIntegration{Backend: noBackend, Transform: &gateway.Transform{ContentHandling: "x"}}, `"x"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			gw := newGateway(t)
			err := gw.Deploy(gateway.Deployment{Routes: []gateway.Route{{RouteKey: "key", Integration: tc.i}}})
			require.ErrorIs(t, err, gateway.ErrInvalidOption)
			require.ErrorContains(t, err, tc.want)
			require.ErrorContains(t, err, `route "key"`)
			_, err = tc.i.Invoke(t.Context(), &gateway.Request{})
			require.ErrorIs(t, err, gateway.ErrInvalidOption)
		})
	}
}

func transform(tr *gateway.Transform) *gateway.HTTPIntegration {
	return &gateway.HTTPIntegration{URI: "http://x", Transform: tr}
}

func noBackend(context.Context, *gateway.Request, []byte) (*gateway.Response, error) { return nil, nil }

func BenchmarkHTTPIntegration(b *testing.B) {
	e := httptest.NewServer(says(`{"ok":true}`))
	b.Cleanup(e.Close)
	var invoke gateway.Integration
	capture := func(next gateway.Integration) gateway.Integration { invoke = next; return next }
	gw, err := gateway.New(gateway.WithMiddleware(capture))
	require.NoError(b, err)
	gw.Handle("$default", &gateway.HTTPIntegration{URI: e.URL, CallbackURL: "http://gateway.internal/prod"})
	req := &gateway.Request{
		RouteKey: "$default", EventType: gateway.EventMessage, ConnectionID: "gbgHN0-zjQAYKEjhgA==",
		Body: []byte(`{"action":"sendmessage","data":"hello"}`), RequestTime: time.Now(),
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := invoke.Invoke(b.Context(), req); err != nil {
			b.Fatal(err)
		}
	}
}

// rawEndpoint is an HTTP backend that answers each request with text, and keeps the
// connection open until the end of the test.
func rawEndpoint(t *testing.T, text string) (url string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var running sync.WaitGroup
	over := make(chan struct{})
	running.Go(func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			running.Go(func() {
				defer nc.Close()
				if _, err := http.ReadRequest(bufio.NewReader(nc)); err == nil {
					_, _ = nc.Write([]byte(text))
				}
				<-over
			})
		}
	})
	t.Cleanup(func() {
		require.NoError(t, l.Close())
		close(over)
		running.Wait()
	})
	return "http://" + l.Addr().String()
}

// A status of the endpoint that does not end the request is a failure. It accepts
// nobody, and if the endpoint keeps its socket open, that delays neither the client
// nor the gateway.
func TestHTTPIntegration_StatusThatIsNone(t *testing.T) {
	t.Parallel()
	for _, head := range []string{
		"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
		"HTTP/1.1 101 Switching Protocols\r\n\r\n",
		"HTTP/1.1 000 OK\r\nContent-Length: 2\r\n\r\nok",
		"HTTP/1.1 001 OK\r\nContent-Length: 2\r\n\r\nok",
		"HTTP/1.1 099 OK\r\nContent-Length: 2\r\n\r\nok",
	} {
		t.Run(head[:len("HTTP/1.1 101")], func(t *testing.T) {
			t.Parallel()
			quotas := gateway.WithQuotas(gateway.Quotas{IntegrationTimeout: 10 * time.Second})
			srv := gatewaytest.New(t, quotas)
			srv.Handle("$connect", &gateway.HTTPIntegration{URI: rawEndpoint(t, head)})
			requireRefused(t, srv, http.StatusBadGateway, `"Internal server error"`)
			require.NoError(t, srv.Close())

			srv = gatewaytest.New(t, quotas)
			srv.Handle("$default", &gateway.HTTPIntegration{URI: rawEndpoint(t, head)}, gateway.WithRouteResponse())
			c := srv.Dial(t)
			c.Send("x")
			require.Contains(t, c.Receive(), `{"message": "Internal server error"`)
			require.NoError(t, srv.Gateway.Close())
		})
	}
}

// The headers about the endpoint's own connection do not reach a client.
func TestHTTPIntegration_RefusalWithoutHopHeaders(t *testing.T) {
	t.Parallel()
	srv := gatewaytest.New(t)
	srv.Handle("$connect", &gateway.HTTPIntegration{URI: rawEndpoint(t, "HTTP/1.1 418 No\r\nConnection: keep-alive, x-hop\r\nX-Hop: 1\r\n"+
		"Keep-Alive: 5\r\nX-Kept: 1\r\nContent-Length: 2\r\n\r\nno")})
	r := wiretest.Dial(t, srv.HTTPClient()).MustAsk(wiretest.Upgrade("/test"))
	require.Equal(t, 418, r.Status)
	require.Equal(t, "no", r.Body)
	require.Equal(t, "1", r.Get("X-Kept"))
	require.Empty(t, r.Get("X-Hop"))
	require.Empty(t, r.Get("Keep-Alive"))
	require.Empty(t, r.Get("Connection"))
}

// Headers without end are as bad as a body without end. If a header line is invalid,
// it is in the error, and so in the log.
func TestHTTPIntegration_HeadersWithoutEnd(t *testing.T) {
	t.Parallel()
	for name, lines := range map[string]string{
		"headers":   strings.Repeat("X-A: "+strings.Repeat("a", 1000)+"\r\n", 1000),
		"one line":  strings.Repeat("a", 1000_000) + "\r\n",
		"and later": "X-A: " + strings.Repeat("a", 1000_000) + "\r\nX-B: b\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			log := &testutil.LockedBuffer{}
			srv := gatewaytest.New(t, gateway.WithLogger(slog.New(slog.NewTextHandler(log, nil))))
			srv.Handle("$connect", &gateway.HTTPIntegration{URI: rawEndpoint(t, "HTTP/1.1 200 OK\r\n"+lines+"Content-Length: 0\r\n\r\n")})
			requireRefused(t, srv, http.StatusGatewayTimeout, `"Internal server error"`)
			require.Less(t, len(log.String()), 300_000)
		})
	}
}

// countingEndpoint answers "ok" and counts the connections to it. It sends to ended
// for each connection that ends.
func countingEndpoint(t *testing.T) (url string, opened *atomic.Int32, ended <-chan struct{}) {
	t.Helper()
	opened = new(atomic.Int32)
	ends := make(chan struct{}, 1000)
	e := httptest.NewUnstartedServer(says("ok"))
	e.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		switch state {
		case http.StateNew:
			opened.Add(1)
		case http.StateClosed:
			ends <- struct{}{}
		default:
		}
	}
	e.Start()
	t.Cleanup(e.Close)
	return e.URL, opened, ends
}

// However an integration is called, each gateway has one set of connections to the
// endpoint, and closes them when the gateway ends.
func TestHTTPIntegration_OneTransport(t *testing.T) {
	t.Parallel()
	const messages = 50
	for name, handle := range map[string]func(srv *gatewaytest.Server, i *gateway.HTTPIntegration){
		"a route": func(srv *gatewaytest.Server, i *gateway.HTTPIntegration) {
			srv.Handle("$default", i, gateway.WithRouteResponse())
		},
		"a func that calls Invoke": func(srv *gatewaytest.Server, i *gateway.HTTPIntegration) {
			srv.HandleFunc("$default", i.Invoke, gateway.WithRouteResponse())
		},
		"a func that makes the integration": func(srv *gatewaytest.Server, i *gateway.HTTPIntegration) {
			srv.HandleFunc("$default", func(ctx context.Context, req *gateway.Request) (*gateway.Response, error) {
				return (&gateway.HTTPIntegration{URI: i.URI}).Invoke(ctx, req)
			}, gateway.WithRouteResponse())
		},
		"a transform": func(srv *gatewaytest.Server, i *gateway.HTTPIntegration) {
			srv.Handle("$default", &gateway.HTTPIntegration{URI: i.URI, Transform: &gateway.Transform{Responses: catchAll()}}, gateway.WithRouteResponse())
		},
	} {
		for end, stop := range map[string]func(gw *gateway.Gateway) error{
			"Close":    (*gateway.Gateway).Close,
			"Shutdown": func(gw *gateway.Gateway) error { return gw.Shutdown(context.Background()) },
		} {
			t.Run(name+", "+end, func(t *testing.T) {
				t.Parallel()
				url, opened, ended := countingEndpoint(t)
				srv := gatewaytest.New(t)
				handle(srv, &gateway.HTTPIntegration{URI: url})
				c := srv.Dial(t)
				for range messages {
					c.Send(`{}`)
					require.Equal(t, "ok", c.Receive())
				}
				require.Equal(t, int32(1), opened.Load())
				require.NoError(t, stop(srv.Gateway))
				<-ended
			})
		}
	}
}

func TestHTTPIntegration_OneTransportOverDeployments(t *testing.T) {
	t.Parallel()
	url, opened, _ := countingEndpoint(t)
	srv := gatewaytest.New(t)
	i := &gateway.HTTPIntegration{URI: url}
	var c *gatewaytest.Client
	for range 10 {
		require.NoError(t, srv.Deploy(gateway.Deployment{
			RouteSelectionExpression: "$request.body.action",
			Routes:                   []gateway.Route{{RouteKey: "$default", Integration: i, RouteResponse: true}},
		}))
		if c == nil {
			c = srv.Dial(t)
		}
		c.Send(`{}`)
		require.Equal(t, "ok", c.Receive())
	}
	require.Equal(t, int32(1), opened.Load())
}

// A call with a context that comes from no gateway also keeps its connections.
func TestHTTPIntegration_OneTransportWithoutGateway(t *testing.T) {
	t.Parallel()
	url, opened, _ := countingEndpoint(t)
	i := &gateway.HTTPIntegration{URI: url}
	for range 20 {
		resp, err := i.Invoke(t.Context(), &gateway.Request{RouteKey: "m", EventType: gateway.EventMessage})
		require.NoError(t, err)
		require.Equal(t, "ok", string(resp.Body))
	}
	require.Equal(t, int32(1), opened.Load())
}

// A synctest bubble ends only when nothing runs in it any more. So no connection to
// an endpoint may remain, in whatever way the integration was called.
func TestHTTPIntegration_InABubble(t *testing.T) {
	t.Parallel()
	url, _, _ := countingEndpoint(t)
	for name, integration := range map[string]gateway.Integration{
		"a route":                  &gateway.HTTPIntegration{URI: url},
		"a func that calls Invoke": gateway.IntegrationFunc((&gateway.HTTPIntegration{URI: url}).Invoke),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := gatewaytest.New(t)
				srv.Handle("$connect", integration)
				srv.Handle("$disconnect", integration)
				srv.Handle("$default", integration, gateway.WithRouteResponse())
				c := srv.Dial(t)
				c.Send(`{}`)
				require.Equal(t, "ok", c.Receive())
			})
		})
	}
}

// FuzzHTTPIntegration checks that an HTTP integration calls the endpoint of its URI,
// whatever a client sends. The client cannot choose the host, the path except its own
// segment, the method, or the names of headers and parameters.
func FuzzHTTPIntegration(f *testing.F) {
	for _, value := range []string{
		"http://evil.example", "//evil.example", "@evil.example", `\\evil\x`, "..", ".", "../..", "%2e%2e/", "..;/", "${stageVariables.host}", "{x}", "?q=2#", "x&own=2",
		"x HTTP/1.1", "\u2028", "é", "", " x\t", "x\r\nX-Evil: 1", "x\r\n\r\nGET /evil HTTP/1.1\r\nHost: x\r\n\r\n", "x\nX-Evil: 1", "x\x00", "\x7f",
	} {
		f.Add(value, "own=2&q=forged&absent=forged&host="+url.QueryEscape(value)+"&stageVariables.host=evil", value)
	}
	e := testutil.NewBackend(f, says("served"))
	host := strings.TrimPrefix(e.URL, "http://")
	i := &gateway.HTTPIntegration{URI: "http://${stageVariables.host}/a/{x}/b?own=1", RequestParameters: map[string]string{
		"integration.request.path.x": "route.request.body.x", "integration.request.querystring.q": "route.request.body.x", "integration.request.header.X-Mapped": "route.request.body.x",
		"integration.request.querystring.absent": "stageVariables.none", "integration.request.header.X-Absent": "stageVariables.none",
	}}
	var controls []string // each control character, and what it becomes in a header
	for c := range byte(' ') {
		if c != '\t' {
			controls = append(controls, string(rune(c)), " ")
		}
	}
	blanked := strings.NewReplacer(append(controls, "\x7f", " ")...)
	var compiled gateway.Integration
	gw := newGateway(f, gateway.WithMiddleware(func(next gateway.Integration) gateway.Integration { compiled = next; return next }))
	gw.Handle(gateway.RouteKeyDefault, i)
	f.Fuzz(func(t *testing.T, value, query, header string) {
		value = strings.ToValidUTF8(value, "\uFFFD")
		body, err := json.Marshal(map[string]string{"x": value})
		require.NoError(t, err)
		req := &gateway.Request{
			RouteKey: gateway.RouteKeyConnect, EventType: gateway.EventConnect, Body: body, StageVariables: map[string]string{"host": host},
			Upgrade: &http.Request{Method: http.MethodGet, Host: "evil.example", URL: &url.URL{Path: "/" + value, RawQuery: query}, Header: http.Header{
				"X-Mapped": {"forged"}, "X-Absent": {"forged"}, "X-Forwarded-For": {header}, "X-Client": {header}, "X-Http-Method-Override": {"DELETE"},
			}},
		}
		before := e.Count()
		_, err = compiled.Invoke(t.Context(), req)
		dots, _, _ := strings.Cut(value, ";")
		dots = strings.TrimSpace(dots)
		leaves := value == "" || dots == "." || dots == ".." || strings.ContainsAny(value, "/\\\x00\r\n")
		if err != nil { // nothing is sent, because it would leave its segment, or a header cannot hold it
			require.True(t, leaves || strings.ContainsFunc(header, unicode.IsControl), "%q %q: %v", value, header, err)
			require.Equal(t, before, e.Count())
			return
		}
		require.False(t, leaves, "%q", value)
		require.Equal(t, before+1, e.Count())
		r := e.Last(t)
		require.Equal(t, host, r.Host)
		require.Equal(t, http.MethodPost, r.Method)
		require.Equal(t, string(body), r.Text)
		escaped := r.URL.EscapedPath()
		require.Regexp(t, `^/a/[^/?#\\]*/b$`, escaped, "one segment")
		require.Equal(t, "/a/"+value+"/b", r.URL.Path)
		require.Equal(t, []string{"1"}, r.URL.Query()["own"], "what the URI says")
		require.Equal(t, []string{value}, r.URL.Query()["q"], "what is mapped")
		require.NotContains(t, r.URL.Query(), "absent", "a client cannot set a mapped name that has no value")
		require.Equal(t, []string{strings.Trim(blanked.Replace(value), " \t")}, r.Header["X-Mapped"])
		for name := range r.Header {
			require.Contains(t, []string{
				"X-Mapped", "X-Client", "X-Http-Method-Override", "X-Forwarded-For", "X-Forwarded-Port", "X-Forwarded-Proto",
				"User-Agent", "X-Amzn-Apigateway-Api-Id", "X-Amzn-Trace-Id", "Content-Length", "Accept-Encoding",
			}, name)
		}
	})
}
