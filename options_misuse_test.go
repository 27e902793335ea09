package gateway_test

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
	"example.com/gateway/iam"
	"example.com/gateway/lambda"
	"example.com/gateway/sigv4"
	"example.com/gateway/usageplan"
)

// misuse is a mistake that a program must not make. The error must name the place.
type misuse struct {
	name  string
	do    func() error
	names []string
}

// A mistake is reported by the call that makes it. The error begins with the name of
// the package, once, says what is wrong, and, like other errors in Go, ends without a
// period.
func TestMisuse(t *testing.T) {
	t.Parallel()
	all := [][]misuse{
		misuseOfNew(), misuseOfThrottles(), misuseOfRoutes(), misuseOfConnect(), misuseOfHTTP(), misuseOfParameters(), misuseOfPlaceholders(),
		misuseOfTransforms(), misuseOfUsagePlans(), misuseOfNeighbours(),
	}
	for _, group := range all {
		for _, tc := range group {
			t.Run(tc.name, func(t *testing.T) {
				t.Parallel()
				err := panicked(tc.do)
				require.ErrorIs(t, err, gateway.ErrInvalidOption)
				text := err.Error()
				require.True(t, strings.HasPrefix(text, "gateway: invalid option: "), text)
				require.Equal(t, 1, strings.Count(text, "gateway:"), text)
				require.Equal(t, 1, strings.Count(text, "invalid option"), text)
				require.NotRegexp(t, `[.\s]$`, text)
				require.NotContains(t, text, "%!", "a verb without its argument")
				for _, name := range tc.names {
					require.Contains(t, text, name)
				}
			})
		}
	}
}

// panicked returns the error that do returns or, if do panics, the error with which
// it panics.
func panicked(do func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = p.(error) //nolint:forcetypeassert // anything else is a mistake of the package
		}
	}()
	return do()
}

// makes returns a func that calls New.
func makes(opts ...gateway.Option) func() error {
	return func() error {
		_, err := gateway.New(opts...)
		return err
	}
}

// deploys returns a func that deploys one route to a new gateway.
func deploys(r gateway.Route, opts ...gateway.Option) func() error {
	return func() error {
		gw, err := gateway.New(opts...)
		if err != nil {
			return err
		}
		return gw.Deploy(gateway.Deployment{Routes: []gateway.Route{r}})
	}
}

// routes returns a func that deploys one integration at the route "a".
func routes(i gateway.Integration) func() error {
	return deploys(gateway.Route{RouteKey: "a", Integration: i})
}

// handles returns a func that calls Handle.
func handles(key string, i gateway.Integration, opts ...gateway.RouteOption) func() error {
	return func() error {
		gw, err := gateway.New()
		if err != nil {
			return err
		}
		gw.Handle(key, i, opts...)
		return nil
	}
}

func misuseOfNew() []misuse {
	return []misuse{
		{"New: a nil Option", makes(gateway.WithAPI("a", ""), nil), []string{"Option 1 is nil"}},
		{"WithRouteSelectionExpression: no variable", makes(gateway.WithRouteSelectionExpression("request.body.action")), []string{"RouteSelectionExpression", `"request.body.action"`}},
		{"WithRouteSelectionExpression: an unknown variable", makes(gateway.WithRouteSelectionExpression("$request.header.x")), []string{"RouteSelectionExpression", "position 9"}},
		{"WithRouteSelectionExpression: empty", makes(gateway.WithRouteSelectionExpression("")), []string{"RouteSelectionExpression"}},
		{"WithAPIKeySelectionExpression", makes(gateway.WithAPIKeySelectionExpression("$request.header.key")), []string{"APIKeySelectionExpression", "x-api-key"}},
		{"WithCompression: a negative threshold", makes(gateway.WithCompression(gateway.Compression{Threshold: -1})), []string{"Threshold", "-1", "512"}},
		{"WithCompression: a level that does not exist", makes(gateway.WithCompression(gateway.Compression{Level: 10})), []string{"Level", "10", "1, the fastest"}},
		{"WithStage", makes(gateway.WithStage("a/b", nil)), []string{"WithStage", `"a/b"`}},
		{"WithQuotas: a frame above the message", makes(gateway.WithQuotas(gateway.Quotas{FrameBytes: 2, MessageBytes: 1})), []string{"Quotas.FrameBytes 2", "MessageBytes 1"}},
		{"WithQuotas: a rate that is not a number", makes(gateway.WithQuotas(gateway.Quotas{NewConnections: gateway.Throttle{RateLimit: math.NaN()}})), []string{"Quotas.NewConnections"}},
		{"WithQuotas: a time without its unit", makes(gateway.WithQuotas(gateway.Quotas{IdleTimeout: 600})), []string{"Quotas.IdleTimeout", "600ns"}},
		{"WithQuotas: a negative burst", makes(gateway.WithQuotas(gateway.Quotas{NewConnections: gateway.Throttle{BurstLimit: -1}})), []string{"Quotas.NewConnections"}},
		{"WithAPI: a URL", makes(gateway.WithAPI("a", "https://api.example.com")), []string{"WithAPI", `"https://api.example.com"`}},
		{"WithMiddleware", makes(gateway.WithMiddleware(func(next gateway.Integration) gateway.Integration { return next }, nil)), []string{"WithMiddleware: middleware 1"}},
		{"WithOriginPatterns: a path", makes(gateway.WithOriginPatterns("https://app.example.com/")), []string{"WithOriginPatterns", `"https://app.example.com/"`}},
		{"WithOriginPatterns: another scheme", makes(gateway.WithOriginPatterns("wss://app.example.com")), []string{"WithOriginPatterns", "wss"}},
		{"WithLogger", makes(gateway.WithLogger(nil)), []string{"WithLogger", "slog.DiscardHandler"}},
		{"WithObserver", makes(gateway.WithObserver(nil)), []string{"WithObserver"}},
		{"WithManagementAuth: nil", makes(gateway.WithManagementAuth(nil)), []string{"WithManagementAuth", "WithoutManagementAuth"}},
		{"WithManagementAuth: what it says itself", makes(gateway.WithManagementAuth(&strict{})), []string{"WithManagementAuth: strict.Name is empty"}},
		{"WithAccountThrottle", makes(gateway.WithAccountThrottle(nil)), []string{"WithAccountThrottle"}},
		{"WithUsageStore: nil", makes(gateway.WithUsageStore(nil)), []string{"WithUsageStore"}},
		{"WithUsageStore: a nil pointer", makes(gateway.WithUsageStore((*usageplan.Store)(nil))), []string{"WithUsageStore"}},
	}
}

func misuseOfThrottles() []misuse {
	mock := &gateway.MockIntegration{}
	return []misuse{
		{"WithDefaultThrottle: negative", makes(gateway.WithDefaultThrottle(-1, 0)), []string{"WithDefaultThrottle", "RateLimit -1"}},
		{"WithDefaultThrottle: a burst alone", makes(gateway.WithDefaultThrottle(0, 5)), []string{"WithDefaultThrottle", "set RateLimit too"}},
		{"Deployment.DefaultThrottle", func() error {
			gw, err := gateway.New()
			if err != nil {
				return err
			}
			return gw.Deploy(gateway.Deployment{DefaultThrottle: gateway.Throttle{RateLimit: 1, BurstLimit: -1}})
		}, []string{"DefaultThrottle", "BurstLimit -1"}},
		{"NewAccountThrottle", func() error { gateway.NewAccountThrottle(-1, 0); return nil }, []string{"NewAccountThrottle", "RateLimit -1"}},
		{"WithThrottle", handles("a", mock, gateway.WithThrottle(math.NaN(), 0)), []string{`route "a"`, "RateLimit"}},
	}
}

func misuseOfRoutes() []misuse {
	mock := &gateway.MockIntegration{}
	model := func(r gateway.Route) func() error {
		r.Integration = mock
		return deploys(r)
	}
	return []misuse{
		{"Handle: a nil RouteOption", handles("a", mock, nil), []string{`route "a"`, "RouteOption 0"}},
		{"Handle: an empty key", handles("", mock), []string{"the route key of", "options_misuse_test.go", "is empty"}},
		{"Handle: a reserved key", handles("$conect", mock), []string{`"$conect"`, "$connect, $disconnect and $default"}},
		{"Handle: a key that is too long", handles(strings.Repeat("a", 129), mock), []string{"128 characters"}},
		{"Handle: no integration", handles("a", nil), []string{`route "a": the integration is nil`}},
		{"Handle: a typed nil", handles("a", (*gateway.HTTPIntegration)(nil)), []string{`route "a": the integration is nil`}},
		{"Deploy: a key twice", func() error {
			gw, err := gateway.New()
			if err != nil {
				return err
			}
			r := gateway.Route{RouteKey: "a", Integration: mock}
			return gw.Deploy(gateway.Deployment{Routes: []gateway.Route{r, r}})
		}, []string{`route "a"`, "Routes[0]"}},
		{"an Integration that says itself what is wrong", routes(&strict{}), []string{`route "a": strict.Name is empty`}},
		{"RequestModels without an expression", model(gateway.Route{RouteKey: "a", RequestModels: map[string]gateway.Model{"$default": &needs{"x"}}}), []string{`route "a"`, "ModelSelectionExpression"}},
		{"a model of $connect", model(gateway.Route{RouteKey: "$connect", ModelSelectionExpression: `\$default`}), []string{`"$connect"`, "ModelSelectionExpression"}},
		{"a nil model", model(gateway.Route{RouteKey: "a", ModelSelectionExpression: `\$default`, RequestModels: map[string]gateway.Model{"$default": nil}}), []string{`route "a"`, `the model "$default" is nil`}},
		{"a model that is a nil pointer", model(gateway.Route{RouteKey: "a", ModelSelectionExpression: `\$default`, RequestModels: map[string]gateway.Model{"$default": (*needs)(nil)}}), []string{`route "a"`, `the model "$default" is nil`}},
		{"ModelSelectionExpression", model(gateway.Route{RouteKey: "a", ModelSelectionExpression: "$request.boddy.x"}), []string{`route "a": ModelSelectionExpression`, "position 9"}},
		{"Route.RequestParameters: a source that is none", model(gateway.Route{RouteKey: "$connect", RequestParameters: map[string]bool{"route.request.body.x": true}}), []string{`route "$connect"`, `"route.request.body.x"`}},
		{"Route.RequestParameters: not of $connect", model(gateway.Route{RouteKey: "a", RequestParameters: map[string]bool{"route.request.header.x": true}}), []string{`route "a"`, "only $connect"}},
	}
}

func misuseOfConnect() []misuse {
	mock := &gateway.MockIntegration{}
	with := func(a gateway.Authorizer) func() error {
		return deploys(gateway.Route{RouteKey: "$connect", Integration: mock, Authorizer: a})
	}
	sources := func(source string) func() error {
		return with(&gateway.RequestAuthorizer{Authorizer: &strict{"ok"}, IdentitySource: []string{source}})
	}
	return []misuse{
		{"WithAuthorizer: nil", func() error { gateway.WithAuthorizer(nil); return nil }, []string{"WithAuthorizer"}},
		{"Route.Authorizer: a typed nil", with((*strict)(nil)), []string{`route "$connect"`, "nil *gateway_test.strict"}},
		{"Route.Authorizer: not of $connect", deploys(gateway.Route{RouteKey: "a", Integration: mock, Authorizer: &strict{"ok"}}), []string{`route "a"`, "Authorizer"}},
		{"an Authorizer that says itself what is wrong", with(&strict{}), []string{`route "$connect": strict.Name is empty`}},
		{"RequestAuthorizer: no Authorizer", with(&gateway.RequestAuthorizer{}), []string{`route "$connect"`, "RequestAuthorizer.Authorizer is nil"}},
		{"RequestAuthorizer: around a mistake", with(&gateway.RequestAuthorizer{Authorizer: &strict{}}), []string{"RequestAuthorizer.Authorizer: strict.Name is empty"}},
		{"RequestAuthorizer: the spelling of REST APIs", sources("method.request.header.Auth"), []string{"RequestAuthorizer.IdentitySource", `"method.request.header.Auth"`, `did you mean "route.request.header.Auth"?`}},
		{"RequestAuthorizer: a name with a blank", sources("route.request.header.a b"), []string{"RequestAuthorizer.IdentitySource", `"a b"`}},
		{"APIKeyRequired: not of $connect", deploys(gateway.Route{RouteKey: "a", Integration: mock, APIKeyRequired: true}), []string{`route "a": only $connect can require a key`}},
		{"APIKeyRequired: without plans", deploys(gateway.Route{RouteKey: "$connect", Integration: mock, APIKeyRequired: true}), []string{`"$connect"`, "WithUsageStore"}},
		{"APIKeyRequired: of an authorizer that is not there", func() error {
			plans, err := usageplan.New()
			if err != nil {
				return err
			}
			return deploys(gateway.Route{RouteKey: "$connect", Integration: mock, APIKeyRequired: true}, gateway.WithUsageStore(plans),
				gateway.WithAPIKeySelectionExpression("$context.authorizer.usageIdentifierKey"))()
		}, []string{`"$connect"`, "Route.Authorizer"}},
	}
}

func misuseOfHTTP() []misuse {
	uri := func(text string) func() error { return routes(&gateway.HTTPIntegration{URI: text}) }
	callback := func(text string) func() error {
		return routes(&gateway.HTTPIntegration{URI: "http://x", CallbackURL: text})
	}
	return []misuse{
		{"URI: empty", uri(""), []string{`route "a": HTTPIntegration.URI: ""`}},
		{"URI: no scheme", uri("backend:8080/x"), []string{`HTTPIntegration.URI: "backend:8080/x"`, "http://"}},
		{"URI: no host", uri("http:///x"), []string{`HTTPIntegration.URI: "http:///x"`, "host"}},
		{"URI: a client's host", uri("http://{x}/"), []string{"{x}"}},
		{"URI: nothing fills it", uri("http://x/{room}"), []string{`HTTPIntegration.URI "http://x/{room}"`, "{room}", "integration.request.path.room"}},
		{"URI: a stage variable without its $", uri("http://x/{stageVariables.x}"), []string{"did you mean ${stageVariables.x}?"}},
		{"URI: a password is not quoted", uri("ftp://user:secret@x"), []string{`"ftp://x"`}},
		{"URI: too long", uri("http://x/" + strings.Repeat("x", 2048)), []string{"2048"}},
		{"Method", routes(&gateway.HTTPIntegration{URI: "http://x", Method: "post"}), []string{`HTTPIntegration.Method "post"`}},
		{"ResponseBytes", routes(&gateway.HTTPIntegration{URI: "http://x", ResponseBytes: -1}), []string{"HTTPIntegration.ResponseBytes -1"}},
		{"Timeout", routes(&gateway.HTTPIntegration{URI: "http://x", Timeout: -time.Second}), []string{"HTTPIntegration.Timeout -1s"}},
		{"CallbackURL: no scheme", callback("gateway.internal/prod"), []string{"HTTPIntegration.CallbackURL"}},
		{"CallbackURL: no host", callback("https://:80/prod"), []string{"HTTPIntegration.CallbackURL has no host"}},
		{"CallbackURL: no URL", callback("https://user:secret@[::1/prod"), []string{"HTTPIntegration.CallbackURL is not a URL"}},
		{"CallbackURL: a query", callback("https://gateway.internal/prod?a=b"), []string{"HTTPIntegration.CallbackURL"}},
		{"CallbackURL: a variable", callback("https://gateway.internal/${stageVariables.stage}"), []string{"HTTPIntegration.CallbackURL has a brace"}},
		{"CallbackURL: with its end", callback("https://gateway.internal/prod/@connections"), []string{"HTTPIntegration.CallbackURL", "/@connections"}},
	}
}

// placed returns a func that deploys an HTTP integration whose URI needs source.
func placed(routeKey, source string) func() error {
	return deploys(gateway.Route{RouteKey: routeKey, Integration: &gateway.HTTPIntegration{
		URI: "http://x/{room}", RequestParameters: map[string]string{"integration.request.path.room": source},
	}})
}

// If a placeholder of the URI has no value, the integration fails. So a placeholder
// that can never have a value is a mistake in its route. A header or a parameter
// without a value is only left out.
func misuseOfPlaceholders() []misuse {
	return []misuse{
		{"a body of $connect", placed("$connect", "route.request.body.room"), []string{`route "$connect"`, "{room}", "integration.request.path.room", "route.request.querystring.{name}"}},
		{"a body of $disconnect", placed("$disconnect", "route.request.body.room"), []string{`route "$disconnect"`, "{room}", "context.{name}"}},
		{"a query of $disconnect", placed("$disconnect", "route.request.querystring.room"), []string{`route "$disconnect"`, "{room}"}},
		{"a query of a message", placed("join", "route.request.querystring.room"), []string{`route "join"`, "{room}", "route.request.body.{JSONPath}"}},
		{"headers of a message", placed("$default", "route.request.multivalueheader.room"), []string{`route "$default"`, "{room}", `"route.request.multivalueheader.room"`}},
	}
}

func TestMisuse_PlaceholdersThatCanHaveValues(t *testing.T) {
	t.Parallel()
	for _, do := range []func() error{
		placed("$connect", "route.request.querystring.room"), placed("$connect", "route.request.header.room"),
		placed("$connect", "context.connectionId"), placed("$disconnect", "stageVariables.room"),
		placed("join", "route.request.body.room"), placed("$default", "context.authorizer.room"),
		routes(&gateway.HTTPIntegration{URI: "http://x", RequestParameters: map[string]string{
			"integration.request.header.X": "route.request.querystring.room", // the integration also serves $connect
		}}),
	} {
		require.NoError(t, do())
	}
}

// mapped returns a func that deploys an HTTP integration with one parameter.
func mapped(key, source string) func() error {
	return routes(&gateway.HTTPIntegration{URI: "http://x", RequestParameters: map[string]string{key: source}})
}

func misuseOfParameters() []misuse {
	const header = "integration.request.header.X"
	return []misuse{
		{"RequestParameters: an unknown target", mapped("integration.request.headers.X", "'x'"), []string{`route "a": HTTPIntegration.RequestParameters`, `"integration.request.headers.X"`, `did you mean "integration.request.header.X"?`}},
		{"RequestParameters: an unknown source", mapped(header, "route.request.headers.X"), []string{header, `"route.request.headers.X"`, `did you mean "route.request.header.X"?`}},
		{"RequestParameters: an unknown variable", mapped(header, "context.connectionID"), []string{header, `"connectionID"`, `did you mean "connectionId"?`}},
		{"RequestParameters: a short query", mapped(header, "route.request.query.room"), []string{`did you mean "route.request.querystring.room"?`}},
		{"RequestParameters: as in a template", mapped(header, "$stageVariables.x"), []string{`did you mean "stageVariables.x"?`}},
		{"RequestParameters: as in a selection expression", mapped(header, "request.body.x"), []string{`did you mean "route.request.body.x"?`}},
		{"RequestParameters: a text without quotes", mapped(header, "x"), []string{header, `"x"`, "'literal'"}},
		{"RequestParameters: a literal that is not closed", mapped(header, "'x"), []string{header, "no closing '"}},
		{"RequestParameters: a path with a mistake", mapped(header, "route.request.body.a["), []string{header, `"route.request.body.a["`}},
		{"RequestParameters: a reserved header", mapped("integration.request.header.Content-Length", "'1'"), []string{"HTTPIntegration.RequestParameters", "Content-Length"}},
		{"RequestParameters: no such placeholder", mapped("integration.request.path.room", "'x'"), []string{"integration.request.path.room", "{room}"}},
	}
}

func misuseOfTransforms() []misuse {
	with := func(tr gateway.Transform) func() error {
		return routes(&gateway.CustomIntegration{Backend: noBackend, Transform: &tr})
	}
	response := func(key string, r gateway.IntegrationResponse) func() error {
		return with(gateway.Transform{Responses: map[string]gateway.IntegrationResponse{key: r}})
	}
	return []misuse{
		{"CustomIntegration.Backend", routes(&gateway.CustomIntegration{}), []string{`route "a"`, "CustomIntegration.Backend"}},
		{"PassthroughBehavior", with(gateway.Transform{PassthroughBehavior: "SOMETIMES"}), []string{"Transform.PassthroughBehavior", `"SOMETIMES"`}},
		{"ContentHandling", with(gateway.Transform{ContentHandling: "TO_GOLD"}), []string{"ContentHandling", `"TO_GOLD"`}},
		{"a template with a mistake", with(gateway.Transform{RequestTemplates: map[string]string{"$default": "#if("}}), []string{`template "$default"`, "line 1"}},
		{"a template that nothing selects", with(gateway.Transform{RequestTemplates: map[string]string{"join": "x"}}), []string{`template "join"`, "TemplateSelectionExpression"}},
		{"TemplateSelectionExpression", with(gateway.Transform{TemplateSelectionExpression: "$request.header.x"}), []string{"TemplateSelectionExpression", "position 9"}},
		{"an expression that selects nothing", with(gateway.Transform{TemplateSelectionExpression: "a", RequestTemplates: map[string]string{"$default": ""}}), []string{"TemplateSelectionExpression", `"a"`}},
		{"Responses: a status code", response("404", gateway.IntegrationResponse{}), []string{`integration response "404"`, "/404/"}},
		{"Responses: a regex with a mistake", response("/(/", gateway.IntegrationResponse{}), []string{`integration response "/(/"`}},
		{"ResponseParameters", response("$default", gateway.IntegrationResponse{ResponseParameters: map[string]string{"x": "'y'"}}), []string{`integration response "$default": ResponseParameters`, `"x"`}},
		{"ResponseParameters: a target of another kind", response("$default", gateway.IntegrationResponse{ResponseParameters: map[string]string{"route.response.header.X": "'y'"}}), []string{`did you mean "method.response.header.X"?`}},
		{"ResponseTemplates", response("$default", gateway.IntegrationResponse{ResponseTemplates: map[string]string{"$default": "$x["}}), []string{`integration response "$default": template "$default"`}},
		{"TemplateSelectionExpression of a response", response("$default", gateway.IntegrationResponse{TemplateSelectionExpression: "$x"}), []string{`integration response "$default": TemplateSelectionExpression`}},
		{"MockIntegration.StatusCode", routes(&gateway.MockIntegration{StatusCode: 99}), []string{`route "a": MockIntegration.StatusCode 99`}},
		{"MockIntegration.Transform", routes(&gateway.MockIntegration{Transform: &gateway.Transform{ContentHandling: "x"}}), []string{"ContentHandling"}},
	}
}

func misuseOfUsagePlans() []misuse {
	with := func(plans ...usageplan.Plan) func() error {
		return func() error {
			_, err := usageplan.New(plans...)
			return err
		}
	}
	free := func(change func(p *usageplan.Plan)) func() error {
		p := usageplan.Plan{ID: "free", APIKeys: map[string]string{"ann": annsKey}}
		change(&p)
		return with(p)
	}
	quota := func(q usageplan.Quota) func() error { return free(func(p *usageplan.Plan) { p.Quota = q }) }
	return []misuse{
		{"Plan.ID", free(func(p *usageplan.Plan) { p.ID = "" }), []string{"Plan.ID"}},
		{"Plan.ID twice", with(usageplan.Plan{ID: "free"}, usageplan.Plan{ID: "free"}), []string{`"free"`, "another plan"}},
		{"Plan.Throttle", free(func(p *usageplan.Plan) { p.Throttle.RateLimit = -1 }), []string{`"free": Throttle`, "RateLimit -1"}},
		{"Plan.RouteThrottles: a rate", free(func(p *usageplan.Plan) { p.RouteThrottles = map[string]gateway.Throttle{"a": {BurstLimit: 1}} }), []string{`"free": RouteThrottles: route "a"`}},
		{"Plan.RouteThrottles: a reserved key", free(func(p *usageplan.Plan) { p.RouteThrottles = map[string]gateway.Throttle{"$conect": {RateLimit: 1}} }), []string{`"free": RouteThrottles`, `"$conect"`}},
		{"Quota.Limit", quota(usageplan.Quota{Limit: -1, Period: usageplan.Day}), []string{`"free": Quota.Limit`}},
		{"Quota.Period", quota(usageplan.Quota{Limit: 1, Period: "YEAR"}), []string{`"free": Quota.Period`, `"YEAR"`}},
		{"Quota.Offset", quota(usageplan.Quota{Limit: 1, Period: usageplan.Week, Offset: 7}), []string{`"free": Quota.Offset 7`}},
		{"APIKeys: an empty ID", free(func(p *usageplan.Plan) { p.APIKeys = map[string]string{"": annsKey} }), []string{`"free"`, "APIKeys"}},
		{"APIKeys: a short value", free(func(p *usageplan.Plan) { p.APIKeys = map[string]string{"ann": "short"} }), []string{`API key "ann"`, "20 to 128"}},
		{"APIKeys: a blank", free(func(p *usageplan.Plan) { p.APIKeys = map[string]string{"ann": annsKey + "\n"} }), []string{`API key "ann"`, "line break"}},
		{"APIKeys: a value twice", free(func(p *usageplan.Plan) { p.APIKeys = map[string]string{"ann": annsKey, "bob": annsKey} }), []string{"API key", "the value of another"}},
	}
}

func misuseOfNeighbours() []misuse {
	connect := func(a gateway.Authorizer) func() error {
		return deploys(gateway.Route{RouteKey: "$connect", Integration: &gateway.MockIntegration{}, Authorizer: a})
	}
	function := func(url string) func() error { return routes(&lambda.Function{URL: url}) }
	return []misuse{
		{"lambda.Function: no URL", function(""), []string{`route "a"`, "lambda:", "URL"}},
		{"lambda.Function: no scheme", function("127.0.0.1:9000"), []string{`route "a"`, "URL", "http://"}},
		{"lambda.Function: a query", function("http://127.0.0.1:9000?a=b"), []string{`route "a"`, "URL", "query"}},
		{"lambda.Function: a timeout", routes(&lambda.Function{URL: "http://x", Timeout: -1}), []string{"Timeout -1ns"}},
		{"lambda.Wrap", func() error { lambda.Wrap(1); return nil }, []string{"lambda.Wrap(int)"}},
		{"lambda.Authorizer", connect(&lambda.Authorizer{}), []string{`route "$connect"`, "WrapAuthorizer"}},
		{"iam.Auth: $connect", connect(&iam.Auth{}), []string{`route "$connect"`, "Auth.Verifier"}},
		{"iam.Auth: management", makes(gateway.WithManagementAuth(&iam.Auth{Verifier: &sigv4.Verifier{}})), []string{"WithManagementAuth", "iam: Auth.Policy"}},
		{"sigv4.Verifier", makes(gateway.WithManagementAuth(&sigv4.Verifier{})), []string{"WithManagementAuth", "sigv4: Verifier.Service"}},
		{"sigv4.StaticKeys", func() error { sigv4.StaticKeys(map[string]sigv4.Key{"": {}}); return nil }, []string{"sigv4.StaticKeys"}},
	}
}

// The error of a wrong direct call of an integration has the same form.
func TestMisuse_DirectCall(t *testing.T) {
	t.Parallel()
	for _, i := range []gateway.Integration{
		&gateway.HTTPIntegration{}, &gateway.CustomIntegration{},
		&gateway.MockIntegration{Transform: &gateway.Transform{ContentHandling: "x"}},
	} {
		_, err := i.Invoke(t.Context(), &gateway.Request{})
		require.ErrorIs(t, err, gateway.ErrInvalidOption)
		require.Equal(t, 1, strings.Count(err.Error(), "gateway:"), err)
	}
}
