package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
	"example.com/gateway/gatewaytest"
	"example.com/gateway/internal/testutil"
	"example.com/gateway/usageplan"
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

// deployed is a gateway on which every part of a deployment is set, some parts by
// options and by Handle.
func deployed(t *testing.T) *gatewaytest.Server {
	t.Helper()
	plans, err := usageplan.New(usageplan.Plan{ID: "gold", APIKeys: map[string]string{"ann": annsKey}})
	require.NoError(t, err)
	srv := gatewaytest.New(t, gateway.WithUsageStore(plans), gateway.WithDefaultThrottle(100, 200),
		gateway.WithStage("prod", map[string]string{"of": "the option"}))
	require.NoError(t, srv.Deploy(gateway.Deployment{
		RouteSelectionExpression:  "$request.body.do",
		APIKeySelectionExpression: "$context.authorizer.usageIdentifierKey",
		StageVariables:            map[string]string{"of": "the deployment"},
		Routes: []gateway.Route{
			{
				RouteKey: "order", Integration: &gateway.MockIntegration{Body: []byte("ordered")}, RouteResponse: true,
				Throttle:                 gateway.Throttle{RateLimit: 5, BurstLimit: 7},
				ModelSelectionExpression: "$request.body.kind", RequestModels: map[string]gateway.Model{"fruit": &needs{"apple"}},
			},
			{
				RouteKey: "$connect", Integration: &gateway.MockIntegration{}, APIKeyRequired: true,
				Authorizer: &gateway.RequestAuthorizer{
					Authorizer:     &keyNamer{key: annsKey},
					IdentitySource: []string{"route.request.header.X-Token"},
				},
				RequestParameters: map[string]bool{"route.request.querystring.room": true},
			},
		},
	}))
	srv.Handle("$default", &gateway.MockIntegration{Body: []byte("unknown")}, gateway.WithRouteResponse())
	srv.Handle("begin", &gateway.MockIntegration{Body: []byte("begun")}, gateway.WithRouteResponse())
	return srv
}

// keyNamer is an Authorizer that returns the same API key for everybody.
type keyNamer struct{ key string }

func (k *keyNamer) Authorize(context.Context, *gateway.Request) (*gateway.Authorization, error) {
	return &gateway.Authorization{PrincipalID: "ann", UsageIdentifierKey: k.key}, nil
}

// needs is a Model of messages that contain a word.
type needs struct{ word string }

func (n *needs) Validate(body []byte) error {
	if !strings.Contains(string(body), n.word) {
		return errors.New("the word is missing")
	}
	return nil
}

// Deployment returns everything that Deploy needs to do the same again.
func TestGateway_DeploymentRoundTrip(t *testing.T) {
	t.Parallel()
	srv := deployed(t)
	d := srv.Deployment()
	require.Equal(t, "$request.body.do", d.RouteSelectionExpression)
	require.Equal(t, "$context.authorizer.usageIdentifierKey", d.APIKeySelectionExpression)
	require.Equal(t, map[string]string{"of": "the deployment"}, d.StageVariables)
	require.Equal(t, gateway.Throttle{RateLimit: 100, BurstLimit: 200}, d.DefaultThrottle)
	var keys []string
	for _, r := range d.Routes {
		keys = append(keys, r.RouteKey)
	}
	require.Equal(t, []string{"$connect", "$default", "begin", "order"}, keys, "those of Handle too")

	other := deployed(t)
	require.NoError(t, other.Deploy(gateway.Deployment{}))
	require.NoError(t, other.Deploy(d))
	for name, again := range map[string]*gatewaytest.Server{"as it was": srv, "deployed again": other} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, d, again.Deployment())
			_, refused := again.TryDial(t, gatewaytest.Query("room", "1"))
			require.Equal(t, 401, refused.StatusCode)
			_, refused = again.TryDial(t, gatewaytest.Header("X-Token", "x"))
			require.Equal(t, 400, refused.StatusCode)
			c := again.Dial(t, gatewaytest.Header("X-Token", "x"), gatewaytest.Query("room", "1"))
			require.Equal(t, "ann", again.Events()[len(again.Events())-1].Identity.APIKeyID)
			for message, answer := range map[string]string{
				`{"do":"begin"}`: "begun", `{"do":"x"}`: "unknown", `{"do":"order"}`: `{"message": "Invalid request body"`,
				`{"do":"order","kind":"fruit","apple":1}`: "ordered",
			} {
				c.Send(message)
				require.Contains(t, c.Receive(), answer)
			}
		})
	}
}

// The copy belongs to the caller: no change of it reaches an event.
func TestGateway_DeploymentIsACopy(t *testing.T) {
	t.Parallel()
	srv := deployed(t)
	want := srv.Deployment()
	d := srv.Deployment()
	d.StageVariables["of"] = "nobody"
	for _, r := range d.Routes {
		clear(r.RequestModels)
		clear(r.RequestParameters)
		mock, ok := r.Integration.(*gateway.MockIntegration)
		require.True(t, ok)
		mock.StatusCode = 7
		copy(mock.Body, "XXX")
	}
	clear(d.Routes)
	require.Equal(t, want, srv.Deployment())

	models := map[string]gateway.Model{"$default": &needs{"apple"}}
	srv.Handle("models", &gateway.MockIntegration{}, gateway.WithRequestModels(`\$default`, models))
	clear(models) // changes to what Handle was given do not, either
	require.Len(t, srv.Deployment().Routes[3].RequestModels, 1)
}

// An expression without a variable gives every JSON message the same route. The log says
// so, because it is rarely meant.
func TestGateway_DeployConstantSelection(t *testing.T) {
	t.Parallel()
	var log testutil.LockedBuffer
	srv := gatewaytest.New(t, gateway.WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
	routes := []gateway.Route{{RouteKey: "action", Integration: answer("action"), RouteResponse: true}, {RouteKey: "$default", Integration: answer("$default"), RouteResponse: true}}
	for expression, want := range map[string]string{"action": "action", `\$default`: "$default", "other": "$default"} {
		require.NoError(t, srv.Deploy(gateway.Deployment{RouteSelectionExpression: expression, Routes: routes}))
		c := srv.Dial(t)
		c.Send(`{"action":"x"}`)
		require.Equal(t, want, c.Receive(), expression)
		c.Send("no JSON")
		require.Equal(t, "$default", c.Receive(), expression)
		require.Contains(t, log.String(), "has no variable")
	}
}

// A deployment that is refused changes nothing.
func TestGateway_RefusedDeployment(t *testing.T) {
	t.Parallel()
	srv := deployed(t)
	before := srv.Deployment()
	for name, bad := range map[string]gateway.Deployment{
		"route selection": {RouteSelectionExpression: "$request.body."}, "API key selection": {APIKeySelectionExpression: "x"},
		"throttle": {DefaultThrottle: gateway.Throttle{RateLimit: -1}}, "route": {Routes: []gateway.Route{{}}},
		"a route twice": {Routes: append(srv.Deployment().Routes, before.Routes[0])},
	} {
		require.ErrorIs(t, srv.Deploy(bad), gateway.ErrInvalidOption, name)
		require.Equal(t, before, srv.Deployment(), name)
	}
}

// A route keeps the integration that it was set with, whatever the caller makes of that
// afterwards, and Deployment returns it: so it can always be deployed again.
func TestGateway_DeploymentHasWhatIsServed(t *testing.T) {
	t.Parallel()
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.URL.Path+r.Header.Get("X-Is"))
	}))
	t.Cleanup(backend.Close)
	answers := func(text string) map[string]gateway.IntegrationResponse {
		return map[string]gateway.IntegrationResponse{"$default": {ResponseTemplates: map[string]string{"$default": text}}}
	}
	body := &gateway.MockIntegration{Body: []byte("body")}
	mock := &gateway.MockIntegration{Transform: &gateway.Transform{
		RequestTemplates: map[string]string{"$default": `{"statusCode": 200}`}, Responses: answers("mock"),
	}}
	custom := &gateway.CustomIntegration{
		Transform: &gateway.Transform{Responses: answers("custom")},
		Backend: func(context.Context, *gateway.Request, []byte) (*gateway.Response, error) {
			return &gateway.Response{}, nil
		},
	}
	proxy := &gateway.HTTPIntegration{URI: backend.URL + "/proxy", Client: backend.Client(), RequestParameters: map[string]string{"integration.request.header.X-Is": "'-set'"}}
	srv := gatewaytest.New(t)
	routes := map[string]gateway.Integration{"body": body, "mock": mock, "custom": custom, "/proxy-set": proxy}
	for answer, i := range routes {
		srv.Handle(answer, i, gateway.WithRouteResponse())
	}
	body.Body[0], body.StatusCode = 'X', 7
	mock.Transform.Responses["$default"].ResponseTemplates["$default"] = "#if"
	mock.Transform.RequestTemplates["$default"] = "#if"
	clear(custom.Transform.Responses)
	custom.Backend = nil
	proxy.URI = "no URI"
	clear(proxy.RequestParameters)

	c := srv.Dial(t)
	for range 2 {
		for answer := range routes {
			c.Send(`{"action":"` + answer + `"}`)
			require.Equal(t, answer, c.Receive())
		}
		require.NoError(t, srv.Deploy(srv.Deployment()))
	}
}

// refusing embeds an integration of the package and has an Invoke of its own.
type refusing struct{ *gateway.MockIntegration }

func (refusing) Invoke(context.Context, *gateway.Request) (*gateway.Response, error) {
	return &gateway.Response{StatusCode: 401}, nil
}

// A type that embeds an integration is asked itself.
func TestGateway_HandleEmbeddedIntegration(t *testing.T) {
	t.Parallel()
	for _, i := range []gateway.Integration{refusing{&gateway.MockIntegration{}}, &refusing{&gateway.MockIntegration{}}} {
		srv := gatewaytest.New(t)
		srv.Handle("$connect", i)
		_, refused := srv.TryDial(t)
		require.NotNil(t, refused)
		require.Equal(t, 401, refused.StatusCode)
	}
}

// If a gateway has no variables, or its deployment has removed them, Deployment
// returns none.
func TestGateway_DeploymentWithoutVariables(t *testing.T) {
	t.Parallel()
	srv := gatewaytest.New(t, gateway.WithStage("prod", map[string]string{"a": "1"}))
	require.Equal(t, gateway.Deployment{
		RouteSelectionExpression: "$request.body.action", APIKeySelectionExpression: "$request.header.x-api-key",
		StageVariables: map[string]string{"a": "1"},
	}, srv.Deployment(), "before the first deployment, what New was given")
	require.NoError(t, srv.Deploy(gateway.Deployment{StageVariables: map[string]string{}}))
	d := srv.Deployment()
	require.Empty(t, d.StageVariables)
	require.NoError(t, srv.Deploy(d))
	require.Empty(t, srv.Deployment().StageVariables)
}

// A new deployment may change where the API key comes from.
func TestGateway_DeployAPIKeySelection(t *testing.T) {
	t.Parallel()
	plans, err := usageplan.New(usageplan.Plan{ID: "gold", APIKeys: map[string]string{"ann": annsKey, "bob": bobsKey}})
	require.NoError(t, err)
	srv := gatewaytest.New(t, gateway.WithUsageStore(plans))
	connect := gateway.Route{RouteKey: "$connect", Integration: &gateway.MockIntegration{}, APIKeyRequired: true}
	const ofAuthorizer = "$context.authorizer.usageIdentifierKey"
	require.ErrorIs(t, srv.Deploy(gateway.Deployment{
		APIKeySelectionExpression: ofAuthorizer, Routes: []gateway.Route{connect},
	}), gateway.ErrInvalidOption, "there is no authorizer")
	connect.Authorizer = &keyNamer{key: bobsKey}
	for _, tt := range []struct{ expression, keyID string }{
		{"", "ann"}, {ofAuthorizer, "bob"}, {"$request.header.x-api-key", "ann"}, {"", "ann"},
	} {
		require.NoError(t, srv.Deploy(gateway.Deployment{APIKeySelectionExpression: tt.expression, Routes: []gateway.Route{connect}}))
		c := srv.Dial(t, apiKey(annsKey))
		got, err := srv.GetConnection(t.Context(), c.ConnectionID())
		require.NoError(t, err)
		require.Equal(t, tt.keyID, got.Identity.APIKeyID)
	}
	require.ErrorContains(t, srv.Deploy(gateway.Deployment{APIKeySelectionExpression: "$request.querystring.key"}), "API key selection expression")
}

// A Deployment without a DefaultThrottle keeps that of New. One that no traffic reaches
// removes it.
func TestGateway_DeployWithoutThrottle(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv := gatewaytest.New(t, gateway.WithDefaultThrottle(0.001, 1))
		routes := []gateway.Route{{RouteKey: "$default", Integration: answer("served"), RouteResponse: true}}
		require.NoError(t, srv.Deploy(gateway.Deployment{Routes: routes}))
		c := srv.Dial(t) // takes the only token
		c.Send("x")
		require.Contains(t, c.Receive(), "Too Many Requests")
		require.NoError(t, srv.Deploy(gateway.Deployment{Routes: routes, DefaultThrottle: gateway.Throttle{RateLimit: 1e9, BurstLimit: 1e9}}))
		for range 100 {
			c.Send("x")
			require.Equal(t, "served", c.Receive())
		}
	})
}
