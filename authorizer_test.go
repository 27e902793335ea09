package gateway_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"regexp"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
	"example.com/gateway/gatewaytest"
	"example.com/gateway/usageplan"
)

// handleAuthorized sets a $connect route with an authorizer, and the two other routes
// that a test may need.
func handleAuthorized(srv *gatewaytest.Server, a gateway.Authorizer) {
	srv.Handle(gateway.RouteKeyConnect, &gateway.MockIntegration{}, gateway.WithAuthorizer(a))
	srv.Handle("m", &gateway.MockIntegration{})
	srv.Handle(gateway.RouteKeyDisconnect, &gateway.MockIntegration{})
}

// requireRefused dials and checks the answer, byte for byte.
func requireRefused(t *testing.T, srv *gatewaytest.Server, status int, message string, opts ...gatewaytest.DialOption) {
	t.Helper()
	_, refused := srv.TryDial(t, opts...)
	require.NotNil(t, refused, "accepted")
	require.Equal(t, status, refused.StatusCode, refused.Body)
	require.Equal(t, "application/json", refused.Header.Get("Content-Type"))
	var answer struct{ Message, ConnectionID, RequestID json.RawMessage }
	require.NoError(t, json.Unmarshal([]byte(refused.Body), &answer))
	require.Equal(t, fmt.Sprintf(`{"message": %s, "connectionId":%s, "requestId":%s}`, message, answer.ConnectionID, answer.RequestID), refused.Body)
	require.Equal(t, `"`+refused.Header.Get("X-Amz-Apigw-Id")+`"`, string(answer.RequestID))
	require.Empty(t, refused.Header.Get("X-Amzn-Errortype"))
}

// toldError is an error with a text for the client.
type toldError struct{ wraps error }

func (e toldError) Error() string                 { return "secret" }
func (e toldError) PublicError() (string, string) { return "SomeException", "You \"may\" not.\n" }
func (e toldError) Unwrap() error                 { return e.wraps }

func TestAuthorizer_Outcomes(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		answer  func() (*gateway.Authorization, error)
		status  int // 0: accepted
		message string
	}{
		{"an Authorization", func() (*gateway.Authorization, error) { return &gateway.Authorization{}, nil }, 0, ""},
		{"ErrUnauthorized", func() (*gateway.Authorization, error) { return nil, fmt.Errorf("x: %w", gateway.ErrUnauthorized) }, 401, `"Unauthorized"`},
		{"ErrForbidden", func() (*gateway.Authorization, error) { return nil, fmt.Errorf("x: %w", gateway.ErrForbidden) }, 403, `"Forbidden"`},
		{"a PublicError", func() (*gateway.Authorization, error) { return nil, fmt.Errorf("x: %w", toldError{}) }, 403, `"You \"may\" not.\n"`},
		{"a PublicError that is ErrUnauthorized", func() (*gateway.Authorization, error) { return nil, toldError{gateway.ErrUnauthorized} }, 401, `"You \"may\" not.\n"`},
		{"another error", func() (*gateway.Authorization, error) { return &gateway.Authorization{}, errors.New("secret") }, 500, `"Internal server error"`},
		{"the error of an integration", func() (*gateway.Authorization, error) { return nil, &gateway.IntegrationError{StatusCode: 404} }, 500, `"Internal server error"`},
		{"ErrGone of a post", func() (*gateway.Authorization, error) { return nil, gateway.ErrGone }, 500, `"Internal server error"`},
		{"neither", func() (*gateway.Authorization, error) { return nil, nil }, 500, `"Internal server error"`},
		{"a panic", func() (*gateway.Authorization, error) { panic("secret") }, 500, `"Internal server error"`},
		{"the end of its goroutine", func() (*gateway.Authorization, error) { runtime.Goexit(); return nil, nil }, 500, `"Internal server error"`},
		{"a context that is nested", func() (*gateway.Authorization, error) {
			return &gateway.Authorization{Context: map[string]any{"a": []string{"secret"}}}, nil
		}, 500, `null`},
		{"a context that says who the client is", func() (*gateway.Authorization, error) {
			return &gateway.Authorization{Context: map[string]any{"principalId": "admin"}}, nil
		}, 500, `null`},
		{"a context that says who else the client is", func() (*gateway.Authorization, error) {
			return &gateway.Authorization{PrincipalID: "ann", Context: map[string]any{"principalId": "admin"}}, nil
		}, 500, `null`},
		{"a context that says so of an IAM identity", func() (*gateway.Authorization, error) {
			return &gateway.Authorization{Caller: &gateway.Caller{}, Context: map[string]any{"principalId": nil}}, nil
		}, 500, `null`},
		{"a context that says how long the authorizer took", func() (*gateway.Authorization, error) {
			return &gateway.Authorization{Context: map[string]any{"integrationLatency": 0}}, nil
		}, 500, `null`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			srv := gatewaytest.New(t)
			handleAuthorized(srv, gateway.AuthorizerFunc(func(context.Context, *gateway.Request) (*gateway.Authorization, error) { return tt.answer() }))
			if tt.status == 0 {
				srv.Dial(t)
				return
			}
			requireRefused(t, srv, tt.status, tt.message)
			require.Empty(t, srv.Events(), "the integration is not asked, and there is no $disconnect")
		})
	}
}

func TestAuthorizer_Timeout(t *testing.T) {
	t.Parallel()
	for name, wait := range map[string]func(ctx context.Context){
		"one that heeds its context": func(ctx context.Context) { <-ctx.Done() },
		"one that does not":          func(context.Context) { time.Sleep(time.Minute) }, //nolint:forbidigo // virtual time
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				srv := gatewaytest.New(t)
				handleAuthorized(srv, gateway.AuthorizerFunc(func(ctx context.Context, _ *gateway.Request) (*gateway.Authorization, error) {
					wait(ctx)
					return &gateway.Authorization{}, nil
				}))
				start := time.Now()
				requireRefused(t, srv, http.StatusInternalServerError, `"Internal server error"`)
				require.Equal(t, 29*time.Second, time.Since(start))
				time.Sleep(time.Minute) //nolint:forbidigo // until the authorizer has ended
			})
		})
	}
}

// The failure of an authorizer is logged, and a panic with its stack. A refusal is
// not a failure.
func TestAuthorizer_Log(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	srv := gatewaytest.New(t, gateway.WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
	handleAuthorized(srv, gateway.AuthorizerFunc(func(_ context.Context, req *gateway.Request) (*gateway.Authorization, error) {
		if req.Upgrade.URL.RawQuery == "" {
			panic("no database")
		}
		return nil, gateway.ErrUnauthorized
	}))
	srv.TryDial(t)
	require.Contains(t, log.String(), `level=ERROR msg="authorizer failed"`)
	require.Contains(t, log.String(), "no database")
	require.Contains(t, log.String(), "TestAuthorizer_Log")
	log.Reset()
	srv.TryDial(t, gatewaytest.Query("token", "hidden"))
	require.NotContains(t, log.String(), "level=ERROR")
	require.NotContains(t, log.String(), "hidden")
}

// Context values reach every event as text, whatever type they had.
func TestAuthorizer_Context(t *testing.T) {
	t.Parallel()
	type named string
	srv := gatewaytest.New(t)
	handleAuthorized(srv, gateway.AuthorizerFunc(func(context.Context, *gateway.Request) (*gateway.Authorization, error) {
		return &gateway.Authorization{PrincipalID: "ann", UsageIdentifierKey: "a secret", Context: map[string]any{
			"string": "x", "named": named("y"), "int": -3, "uint": uint8(200), "big": int64(math.MaxInt64), "float": 1e21, "half": float32(0.5),
			"number": json.Number("12.50"), "true": true, "nil": nil, "PrincipalID": "other", "principalid": "others",
		}}, nil
	}))
	c := srv.Dial(t)
	c.Send(`{"action":"m"}`)
	c.Close(1000, "")
	srv.WaitDisconnect(c.ConnectionID())
	want := map[string]any{
		"principalId": "ann", "string": "x", "named": "y", "int": "-3", "uint": "200", "big": "9223372036854775807",
		"float": "1000000000000000000000", "half": "0.5", "number": "12.50", "true": "true", "PrincipalID": "other", "principalid": "others",
	}
	events := srv.Events()
	require.Len(t, events, 3)
	require.Equal(t, want, events[1].Authorizer)
	require.Equal(t, want, events[2].Authorizer)
	require.IsType(t, int64(0), events[0].Authorizer["integrationLatency"])
	want["integrationLatency"] = events[0].Authorizer["integrationLatency"]
	require.Equal(t, want, events[0].Authorizer)
}

// The decision holds for the life of the connection: it does not change for open
// connections if the authorizer is replaced or removed.
func TestAuthorizer_HoldsForTheConnection(t *testing.T) {
	t.Parallel()
	srv := gatewaytest.New(t)
	handleAuthorized(srv, gateway.AuthorizerFunc(func(_ context.Context, req *gateway.Request) (*gateway.Authorization, error) {
		return &gateway.Authorization{PrincipalID: req.Upgrade.URL.Query().Get("who")}, nil
	}))
	c := srv.Dial(t, gatewaytest.Query("who", "ann"))
	require.NoError(t, srv.Deploy(gateway.Deployment{Routes: []gateway.Route{
		{RouteKey: gateway.RouteKeyConnect, Integration: &gateway.MockIntegration{}},
		{RouteKey: "m", Integration: &gateway.MockIntegration{}},
	}}))
	c.Send(`{"action":"m"}`)
	e := srv.WaitEvent(func(e gatewaytest.Event) bool { return e.RouteKey == "m" })
	require.Equal(t, "ann", e.Authorizer["principalId"])
	open := srv.Dial(t)
	open.Send(`{"action":"m"}`)
	e = srv.WaitEvent(func(e gatewaytest.Event) bool { return e.RouteKey == "m" && e.ConnectionID == open.ConnectionID() })
	require.Nil(t, e.Authorizer)
}

// Mappings can use $context.authorizer.* and $context.identity.*.
func TestAuthorizer_ContextVariables(t *testing.T) {
	t.Parallel()
	srv := gatewaytest.New(t)
	handleAuthorized(srv, gateway.AuthorizerFunc(func(context.Context, *gateway.Request) (*gateway.Authorization, error) {
		return &gateway.Authorization{
			PrincipalID: "ann", Context: map[string]any{"level": 3},
			Caller: &gateway.Caller{AccountID: "111122223333", PrincipalID: "AIDAEXAMPLE", ARN: "arn:aws:iam::111122223333:user/ann"},
		}, nil
	}))
	srv.Handle("who", &gateway.MockIntegration{Transform: &gateway.Transform{
		RequestTemplates: map[string]string{"$default": `{"statusCode":200}`},
		Responses: map[string]gateway.IntegrationResponse{"$default": {ResponseTemplates: map[string]string{
			"$default": "$context.authorizer.principalId $context.authorizer.level $context.identity.accountId $context.identity.caller $context.identity.user $context.identity.userArn",
		}}},
	}}, gateway.WithRouteResponse())
	c := srv.Dial(t)
	c.Send(`{"action":"who"}`)
	require.Equal(t, "ann 3 111122223333 AIDAEXAMPLE AIDAEXAMPLE arn:aws:iam::111122223333:user/ann", c.Receive())
}

func TestRequestAuthorizer_IdentitySources(t *testing.T) {
	t.Parallel()
	token := gatewaytest.Header("X-Token", "abc")
	for _, tt := range []struct {
		name   string
		source string
		dial   []gatewaytest.DialOption
		in     bool
	}{
		{"a header", "route.request.header.X-Token", []gatewaytest.DialOption{token}, true},
		{"a header in another case", "route.request.header.x-toKEN", []gatewaytest.DialOption{token}, true},
		{"a header that is missing", "route.request.header.X-Other", []gatewaytest.DialOption{token}, false},
		{"a header that is empty", "route.request.header.X-Token", []gatewaytest.DialOption{gatewaytest.Header("X-Token", "")}, false},
		{"the Host", "route.request.header.Host", nil, true},
		{"a query parameter", "route.request.querystring.token", []gatewaytest.DialOption{gatewaytest.Query("token", "abc")}, true},
		{"a query parameter that is missing", "route.request.querystring.token", nil, false},
		{"a query parameter that is empty", "route.request.querystring.token", []gatewaytest.DialOption{gatewaytest.Query("token", "")}, false},
		{"of a query parameter the last value", "route.request.querystring.token", []gatewaytest.DialOption{gatewaytest.Query("token", "abc"), gatewaytest.Query("token", "")}, false},
		{"a query parameter in another case", "route.request.querystring.Token", []gatewaytest.DialOption{gatewaytest.Query("token", "abc")}, false},
		{"a stage variable", "stageVariables.table", nil, true},
		{"a stage variable that is missing", "stageVariables.other", nil, false},
		{"context.connectionId", "context.connectionId", nil, true},
		{"context.connectedAt", "context.connectedAt", nil, true},
		{"context.requestTimeEpoch", "context.requestTimeEpoch", nil, true},
		{"context.routeKey", "context.routeKey", nil, true},
		{"context.identity.sourceIp", "context.identity.sourceIp", nil, true},
		{"context.eventType", "context.eventType", nil, false},
		{"context.messageDirection", "context.messageDirection", nil, false},
		{"a context variable that is none", "context.nothing", nil, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			srv := gatewaytest.New(t, gateway.WithStage("prod", map[string]string{"table": "x"}))
			asked := 0
			handleAuthorized(srv, &gateway.RequestAuthorizer{
				IdentitySource: []string{"context.connectionId", tt.source},
				Authorizer: gateway.AuthorizerFunc(func(context.Context, *gateway.Request) (*gateway.Authorization, error) {
					asked++
					return &gateway.Authorization{}, nil
				}),
			})
			if tt.in {
				srv.Dial(t, tt.dial...)
				require.Equal(t, 1, asked)
				return
			}
			requireRefused(t, srv, http.StatusUnauthorized, `"Unauthorized"`, tt.dial...)
			require.Zero(t, asked, "refused without asking")
		})
	}
	t.Run("a direct call says what is wrong", func(t *testing.T) {
		t.Parallel()
		_, err := (&gateway.RequestAuthorizer{}).Authorize(t.Context(), &gateway.Request{})
		require.ErrorIs(t, err, gateway.ErrInvalidOption)
	})
}

// A route that cannot work is refused when it is set, with an error that says what to
// do. strict is an Integration, an Authorizer and a ManagementAuth with a field that
// must be set.
type strict struct{ Name string }

func (s *strict) Validate() error {
	if s.Name == "" {
		return errors.New("strict.Name is empty")
	}
	return nil
}

func (s *strict) Invoke(context.Context, *gateway.Request) (*gateway.Response, error) {
	return &gateway.Response{}, nil
}

func (s *strict) Authorize(context.Context, *gateway.Request) (*gateway.Authorization, error) {
	return &gateway.Authorization{PrincipalID: s.Name}, nil
}

func (s *strict) AuthorizeManagement(context.Context, *gateway.ManagementCall) error { return nil }

// The gateway calls the method Validate of a part, if it has one, when the part is
// registered. It accepts the part once its fields are right.
func TestRoute_ValidatesItsParts(t *testing.T) {
	t.Parallel()
	good := &strict{Name: "alice"}
	gw, err := gateway.New(gateway.WithManagementAuth(good))
	require.NoError(t, err)
	require.PanicsWithError(t, `gateway: invalid option: route "$default": strict.Name is empty`, func() { gw.Handle("$default", &strict{}) })
	gw.Handle("$default", good)
	gw.Handle("$connect", good, gateway.WithAuthorizer(&gateway.RequestAuthorizer{Authorizer: good}))
}

func TestRoute_AdmissionMistakes(t *testing.T) {
	t.Parallel()
	allow := gateway.AuthorizerFunc(func(context.Context, *gateway.Request) (*gateway.Authorization, error) {
		return &gateway.Authorization{}, nil
	})
	plans, err := usageplan.New()
	require.NoError(t, err)
	withKeys := []gateway.Option{gateway.WithUsageStore(plans)}
	fromAuthorizer := append(withKeys, gateway.WithAPIKeySelectionExpression("$context.authorizer.usageIdentifierKey"))
	for _, tt := range []struct {
		name  string
		opts  []gateway.Option
		route gateway.Route
		says  string
	}{
		{"an authorizer of a message", nil, gateway.Route{RouteKey: "m", Authorizer: allow}, "only $connect can have an Authorizer: move it there"},
		{"a nil func", nil, gateway.Route{RouteKey: "$connect", Authorizer: gateway.AuthorizerFunc(nil)}, "the Authorizer is a nil gateway.AuthorizerFunc"},
		{"a nil pointer", nil, gateway.Route{RouteKey: "$connect", Authorizer: (*strict)(nil)}, "the Authorizer is a nil *gateway_test.strict"},
		{"an authorizer with a mistake", nil, gateway.Route{RouteKey: "$connect", Authorizer: &strict{}}, `route "$connect": strict.Name is empty`},
		{"an authorizer with a mistake behind identity sources", nil, gateway.Route{RouteKey: "$connect", Authorizer: &gateway.RequestAuthorizer{Authorizer: &strict{}}}, `route "$connect": RequestAuthorizer.Authorizer: strict.Name is empty`},
		{"an integration with a mistake", nil, gateway.Route{RouteKey: "m", Integration: &strict{}}, `route "m": strict.Name is empty`},
		{"no authorizer behind identity sources", nil, gateway.Route{RouteKey: "$connect", Authorizer: &gateway.RequestAuthorizer{}}, "RequestAuthorizer.Authorizer is nil"},
		{"an identity source of another form", nil, gateway.Route{RouteKey: "$connect", Authorizer: &gateway.RequestAuthorizer{Authorizer: allow, IdentitySource: []string{"method.request.header.X"}}}, `identity source "method.request.header.X" is not`},
		{"an identity source without a name", nil, gateway.Route{RouteKey: "$connect", Authorizer: &gateway.RequestAuthorizer{Authorizer: allow, IdentitySource: []string{"route.request.header."}}}, "of letters, digits and . _ -"},
		{"an identity source with a blank", nil, gateway.Route{RouteKey: "$connect", Authorizer: &gateway.RequestAuthorizer{Authorizer: allow, IdentitySource: []string{"context.a b"}}}, "of letters, digits and . _ -"},
		{"an API key for a message", withKeys, gateway.Route{RouteKey: "m", APIKeyRequired: true}, "only $connect can"},
		{"an API key without plans", nil, gateway.Route{RouteKey: "$connect", APIKeyRequired: true}, "pass WithUsageStore"},
		{"an API key of no authorizer", fromAuthorizer, gateway.Route{RouteKey: "$connect", APIKeyRequired: true}, "set Route.Authorizer"},
		{"a negative rate", nil, gateway.Route{RouteKey: "m", Throttle: gateway.Throttle{RateLimit: -1}}, "RateLimit"},
		{"a rate that is no number", nil, gateway.Route{RouteKey: "m", Throttle: gateway.Throttle{RateLimit: math.NaN()}}, "RateLimit"},
		{"a burst without a rate", nil, gateway.Route{RouteKey: "m", Throttle: gateway.Throttle{BurstLimit: 5}}, "set RateLimit"},
		{"a request parameter of a message", nil, gateway.Route{RouteKey: "m", RequestParameters: map[string]bool{"route.request.header.X": true}}, "only $connect has headers"},
		{"a request parameter of another form", nil, gateway.Route{RouteKey: "$connect", RequestParameters: map[string]bool{"context.x": true}}, `request parameter "context.x" is not`},
		{"models without an expression", nil, gateway.Route{RouteKey: "m", RequestModels: map[string]gateway.Model{"$default": modelFunc(nil)}}, `\$default selects`},
		{"an expression that is none", nil, gateway.Route{RouteKey: "m", ModelSelectionExpression: "$default"}, "position"},
		{"a model that is nil", nil, gateway.Route{RouteKey: "m", ModelSelectionExpression: `\$default`, RequestModels: map[string]gateway.Model{"$default": nil}}, `the model "$default" is nil`},
		{"a model that is a nil pointer", nil, gateway.Route{RouteKey: "m", ModelSelectionExpression: `\$default`, RequestModels: map[string]gateway.Model{"$default": (*needs)(nil)}}, `the model "$default" is nil`},
		{"a huge burst", nil, gateway.Route{RouteKey: "m", Throttle: gateway.Throttle{RateLimit: 1, BurstLimit: math.MaxInt}}, "BurstLimit"},
		{"a negative burst", nil, gateway.Route{RouteKey: "m", Throttle: gateway.Throttle{RateLimit: 1, BurstLimit: -1}}, "BurstLimit -1 is negative"},
		{"a middleware that returns nothing", []gateway.Option{gateway.WithMiddleware(func(gateway.Integration) gateway.Integration { return nil })}, gateway.Route{RouteKey: "m"}, "middleware 0 of WithMiddleware returned a nil Integration"},
		{"no route key", nil, gateway.Route{}, "the route key of Routes[0] is empty"},
		{"a template with a mistake", nil, gateway.Route{RouteKey: "m", Integration: &gateway.MockIntegration{Transform: &gateway.Transform{
			Responses: map[string]gateway.IntegrationResponse{"404": {}},
		}}}, `route "m": integration response "404": the key is neither`},
		{"a model for an upgrade", nil, gateway.Route{RouteKey: "$connect", ModelSelectionExpression: `\$default`}, "no body"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			gw, err := gateway.New(tt.opts...)
			require.NoError(t, err)
			if tt.route.Integration == nil {
				tt.route.Integration = &gateway.MockIntegration{}
			}
			err = gw.Deploy(gateway.Deployment{Routes: []gateway.Route{tt.route}})
			requireInvalid(t, err, tt.says)
		})
	}
}

// FuzzRequestAuthorizer checks that exactly the identity sources of the service's
// form are accepted, and that the authorizer is never called if one is missing.
func FuzzRequestAuthorizer(f *testing.F) {
	for _, source := range []string{
		"route.request.header.Auth", "route.request.querystring.token", "stageVariables.x", "context.connectionId", "context.identity.sourceIp",
		"route.request.header.", "route.request.header", "context.a b", "contexts.a", "method.request.header.X", "context.authorizer.principalId", "context..",
	} {
		f.Add(source, "token=abc")
	}
	form := regexp.MustCompile(`^(route\.request\.(header|querystring)|context|stageVariables)\.[a-zA-Z0-9._-]+$`)
	f.Fuzz(func(t *testing.T, source, query string) {
		asked := false
		a := &gateway.RequestAuthorizer{IdentitySource: []string{source}, Authorizer: gateway.AuthorizerFunc(
			func(context.Context, *gateway.Request) (*gateway.Authorization, error) {
				asked = true
				return &gateway.Authorization{}, nil
			})}
		upgrade := httptest.NewRequest("GET", "/", nil)
		upgrade.URL.RawQuery = query
		_, err := a.Authorize(t.Context(), &gateway.Request{Upgrade: upgrade, ConnectionID: "x", EventType: gateway.EventConnect})
		if !form.MatchString(source) {
			require.ErrorIs(t, err, gateway.ErrInvalidOption)
		} else if err != nil {
			require.ErrorIs(t, err, gateway.ErrUnauthorized)
		}
		require.Equal(t, err == nil, asked)
	})
}
