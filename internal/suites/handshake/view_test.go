package handshake_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
	"example.com/gateway/gatewaytest"
	"example.com/gateway/internal/suites/wiretest"
	"example.com/gateway/internal/testutil"
	"example.com/gateway/lambda"
)

// sight is what somebody sees of an upgrade request: the last value of each name.
type sight struct{ header, query map[string]string }

// onlooker is somebody who gets the upgrade request. It sets up $connect, and returns
// a func that returns what it saw of these names.
type onlooker func(t *testing.T, srv *gatewaytest.Server, headers, query []string) func() sight

func onlookers() map[string]onlooker {
	return map[string]onlooker{
		"a function": functionSees, "an authorizer function": authorizerSees, "a template": templateSees,
		"mappings": mappingsSee, "an endpoint": endpointSees, "identity sources and required parameters": sourcesSee,
	}
}

func functionSees(_ *testing.T, srv *gatewaytest.Server, _, _ []string) func() sight {
	var seen sight
	srv.Handle("$connect", lambda.Wrap(func(e lambda.WebsocketRequest) (lambda.Response, error) {
		seen = sight{e.Headers, e.QueryStringParameters}
		return lambda.Response{StatusCode: 200}, nil
	}))
	return func() sight { return seen }
}

func authorizerSees(_ *testing.T, srv *gatewaytest.Server, _, _ []string) func() sight {
	var seen sight
	srv.Handle("$connect", &gateway.MockIntegration{}, gateway.WithAuthorizer(lambda.WrapAuthorizer(func(e lambda.AuthorizerRequest) (lambda.AuthorizerResponse, error) {
		seen = sight{e.Headers, e.QueryStringParameters}
		return lambda.AuthorizerResponse{PrincipalID: "x", PolicyDocument: lambda.PolicyFor("Allow", e.MethodARN)}, nil
	})))
	return func() sight { return seen }
}

func templateSees(_ *testing.T, srv *gatewaytest.Server, _, _ []string) func() sight {
	seen := sight{map[string]string{}, map[string]string{}}
	backend := func(_ context.Context, _ *gateway.Request, payload []byte) (*gateway.Response, error) {
		for line := range strings.Lines(string(payload)) {
			name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
			if n, ok := strings.CutPrefix(name, "header:"); ok {
				seen.header[n] = value
			}
			if n, ok := strings.CutPrefix(name, "query:"); ok {
				seen.query[n] = value
			}
		}
		return &gateway.Response{}, nil
	}
	srv.Handle("$connect", &gateway.CustomIntegration{Backend: backend, Transform: &gateway.Transform{RequestTemplates: map[string]string{
		"$default": "#set($p = $input.params())#foreach($n in $p.header.keySet())header:$n=$p.header.get($n)\n#end#foreach($n in $p.querystring.keySet())query:$n=$p.querystring.get($n)\n#end",
	}}})
	return func() sight { return seen }
}

func mappingsSee(t *testing.T, srv *gatewaytest.Server, headers, query []string) func() sight {
	t.Helper()
	e := testutil.NewBackend(t, testutil.OK)
	parameters := map[string]string{}
	for n, name := range headers {
		parameters[fmt.Sprintf("integration.request.header.H-%d", n)] = "route.request.header." + strings.ToLower(name)
	}
	for n, name := range query {
		parameters[fmt.Sprintf("integration.request.header.Q-%d", n)] = "route.request.querystring." + name
	}
	srv.Handle("$connect", &gateway.HTTPIntegration{URI: e.URL, RequestParameters: parameters, Transform: &gateway.Transform{}})
	return func() sight {
		seen := sight{map[string]string{}, map[string]string{}}
		for n, name := range headers {
			seen.header[name] = e.Last(t).Header.Get(fmt.Sprintf("H-%d", n))
		}
		for n, name := range query {
			seen.query[name] = e.Last(t).Header.Get(fmt.Sprintf("Q-%d", n))
		}
		return seen
	}
}

func endpointSees(t *testing.T, srv *gatewaytest.Server, headers, query []string) func() sight {
	t.Helper()
	e := testutil.NewBackend(t, testutil.OK)
	srv.Handle("$connect", &gateway.HTTPIntegration{URI: e.URL})
	return func() sight {
		seen := sight{map[string]string{}, map[string]string{}}
		for _, name := range headers {
			for _, value := range e.Last(t).Header.Values(name) {
				seen.header[name] = value
			}
		}
		for _, name := range query {
			for _, value := range e.Last(t).URL.Query()[name] {
				seen.query[name] = value
			}
		}
		return seen
	}
}

// present stands for any value that is not empty, in what sourcesSee returns.
const present = "present"

func sourcesSee(_ *testing.T, srv *gatewaytest.Server, headers, query []string) func() sight {
	seen := sight{map[string]string{}, map[string]string{}}
	required := map[string]bool{}
	a := &gateway.RequestAuthorizer{Authorizer: gateway.AuthorizerFunc(func(context.Context, *gateway.Request) (*gateway.Authorization, error) {
		return &gateway.Authorization{}, nil
	})}
	for _, name := range headers {
		a.IdentitySource, required["route.request.header."+name] = append(a.IdentitySource, "route.request.header."+name), true
		seen.header[name] = present
	}
	for _, name := range query {
		a.IdentitySource, required["route.request.querystring."+name] = append(a.IdentitySource, "route.request.querystring."+name), true
		seen.query[name] = present
	}
	srv.Handle("$connect", &gateway.MockIntegration{}, gateway.WithAuthorizer(a), gateway.WithRequestParameters(required))
	return func() sight { return seen }
}

func integrationSees(_ *testing.T, srv *gatewaytest.Server, _, query []string) func() sight {
	seen := sight{query: map[string]string{}}
	srv.HandleFunc("$connect", func(_ context.Context, req *gateway.Request) (*gateway.Response, error) {
		for _, name := range query {
			for _, value := range req.Upgrade.URL.Query()[name] {
				seen.query[name] = value
			}
		}
		return nil, nil
	})
	return func() sight { return seen }
}

// Everybody who gets an upgrade request sees the same: the headers of the client,
// then those that the front end adds, in the service's spelling.
func TestUpgradeRequest_OneView(t *testing.T) {
	t.Parallel()
	own := "Root=1-5759e988-bd862e3fe1be46a994272793"
	for name, tt := range map[string]struct {
		lines []string
		want  map[string]string
	}{
		"of the front end": {nil, map[string]string{
			"X-Forwarded-For": "127.0.0.1", "X-Forwarded-Proto": "http", "X-Forwarded-Port": "80",
		}},
		"forged": {[]string{"X-Forwarded-For: 198.51.100.1", "X-Forwarded-For: 198.51.100.2", "X-Forwarded-Proto: gopher", "X-Forwarded-Port: 1"}, map[string]string{
			"X-Forwarded-For": "198.51.100.1, 198.51.100.2, 127.0.0.1", "X-Forwarded-Proto": "http", "X-Forwarded-Port": "80",
		}},
		"in another case": {[]string{"x-forwarded-for: 198.51.100.1", "X-FORWARDED-PROTO: gopher"}, map[string]string{
			"X-Forwarded-For": "198.51.100.1, 127.0.0.1", "X-Forwarded-Proto": "http",
		}},
		"the client's trace":  {[]string{"X-Amzn-Trace-Id: " + own}, map[string]string{"X-Amzn-Trace-Id": own}},
		"the client's header": {[]string{"x-custom: first", "X-Custom: last"}, map[string]string{"X-Custom": "last"}},
		"the spelling":        {[]string{"sec-websocket-protocol: chat.v1"}, map[string]string{"Sec-WebSocket-Protocol": "chat.v1"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			headers := slices.Sorted(maps.Keys(tt.want))
			for who, look := range onlookers() {
				srv := gatewaytest.New(t)
				seen := look(t, srv, headers, nil)
				w := wiretest.Dial(t, srv.HTTPClient())
				w.MustWriteString(wiretest.Upgrade("/test", tt.lines...))
				head, err := w.ReadHead()
				require.NoError(t, err)
				require.Contains(t, head.Line, "101", who)
				got := seen()
				for _, name := range headers {
					want := tt.want[name]
					if strings.HasPrefix(who, "identity") {
						want = present
					}
					if name == "X-Forwarded-For" && want != present { // the address of the pipe is not the loopback address
						want = strings.Replace(want, "127.0.0.1", lastOf(got.header[name]), 1)
						require.NotContains(t, lastOf(got.header[name]), "198.51.100")
						require.NotEmpty(t, lastOf(got.header[name]))
					}
					require.Equal(t, want, got.header[name], "%s: %s", who, name)
				}
			}
		})
	}
}

func lastOf(list string) string { return list[strings.LastIndex(list, " ")+1:] }

// One request has one trace ID, for everybody who gets it.
func TestUpgradeRequest_OneTrace(t *testing.T) {
	t.Parallel()
	e := testutil.NewBackend(t, testutil.OK)
	srv := gatewaytest.New(t)
	endpoint := &gateway.HTTPIntegration{URI: e.URL, RequestParameters: map[string]string{"integration.request.header.Mapped": "route.request.header.X-Amzn-Trace-Id"}}
	var ofEvent string
	function := lambda.Wrap(func(e lambda.WebsocketRequest) (lambda.Response, error) {
		ofEvent = e.Headers["X-Amzn-Trace-Id"]
		return lambda.Response{StatusCode: 200}, nil
	})
	srv.HandleFunc("$connect", func(ctx context.Context, req *gateway.Request) (*gateway.Response, error) {
		if _, err := endpoint.Invoke(ctx, req); err != nil {
			return nil, err
		}
		return function.Invoke(ctx, req)
	})
	srv.Dial(t)
	require.Regexp(t, `^Root=1-[0-9a-f]{8}-[0-9a-f]{24}$`, ofEvent)
	require.Equal(t, ofEvent, e.Last(t).Header.Get("X-Amzn-Trace-Id"))
	require.Equal(t, ofEvent, e.Last(t).Header.Get("Mapped"))
	first := ofEvent
	srv.Dial(t)
	require.NotEqual(t, first, e.Last(t).Header.Get("X-Amzn-Trace-Id"), "another request")
}

// Everybody reads the query in the same way: a parameter for one is a parameter for
// all.
func TestUpgradeRequest_OneQuery(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]map[string]string{
		"token=abc;room=7":           {"token": "abc", "room": "7"},
		"token=abc&room=7":           {"token": "abc", "room": "7"},
		"token=a%3Bb%26c;room=7":     {"token": "a;b&c", "room": "7"},
		"token=first;token=X;Y":      {"token": "X"},
		"room=a+b;token=100%25;":     {"room": "a b", "token": "100%"},
		"&;token=abc;;&room=%C3%A9;": {"token": "abc", "room": "é"},
	} {
		t.Run(raw, func(t *testing.T) {
			t.Parallel()
			names := slices.Sorted(maps.Keys(want))
			all := onlookers()
			all["a func"] = integrationSees
			for who, look := range all {
				srv := gatewaytest.New(t)
				seen := look(t, srv, nil, names)
				w := wiretest.Dial(t, srv.HTTPClient())
				w.MustWriteString(strings.Replace(wiretest.Upgrade("/test"), "/test", "/test?"+raw, 1))
				head, err := w.ReadHead()
				require.NoError(t, err)
				require.Contains(t, head.Line, "101", who)
				for _, name := range names {
					want := want[name]
					if strings.HasPrefix(who, "identity") {
						want = present
					}
					require.Equal(t, want, seen().query[name], "%s: %s", who, name)
				}
			}
		})
	}
}

// If middleware removes something from an upgrade request, the integrations behind it
// do not see it.
func TestUpgradeRequest_ChangedByMiddleware(t *testing.T) {
	t.Parallel()
	for who, look := range onlookers() {
		if strings.Contains(who, "authorizer") || strings.HasPrefix(who, "identity") { // they come before the middleware
			continue
		}
		t.Run(who, func(t *testing.T) {
			t.Parallel()
			srv := gatewaytest.New(t, gateway.WithMiddleware(func(next gateway.Integration) gateway.Integration {
				return gateway.IntegrationFunc(func(ctx context.Context, req *gateway.Request) (*gateway.Response, error) {
					req.Upgrade.Header.Del("X-Token")
					req.Upgrade.URL.RawQuery = "room=7"
					return next.Invoke(ctx, req)
				})
			}))
			seen := look(t, srv, []string{"X-Token", "X-Kept"}, []string{"token", "room"})
			srv.Dial(t, gatewaytest.Header("X-Token", "secret"), gatewaytest.Header("X-Kept", "kept"), gatewaytest.Query("token", "secret"))
			require.Empty(t, seen().header["X-Token"])
			require.Empty(t, seen().query["token"])
			require.Equal(t, "kept", seen().header["X-Kept"])
			require.Equal(t, "7", seen().query["room"])
		})
	}
}
