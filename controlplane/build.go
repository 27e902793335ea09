package controlplane

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"example.com/gateway"
	"example.com/gateway/internal/arn"
	"example.com/gateway/lambda"
	"example.com/gateway/models"
)

// build makes what a stage deploys: the only place where documents become values of package
// gateway. stage is nil if there is none yet, which is so while a deployment is checked.
//
// What cannot run here becomes an integration, or an authorizer, that fails as the
// service's does, and a warning that says what to configure. An error means that the
// deployment has failed. build changes nothing, and asks nobody but the resolver.
//
// later runs the functions that are invoked asynchronously.
func build(cfg *Config, s *snapshot, stage document, later background) (d gateway.Deployment, warnings []string, err error) {
	b := builder{cfg: cfg, snapshot: s, stage: stage, variables: textsOf(stage, "stageVariables"), later: later}
	if err := b.compileModels(); err != nil {
		return gateway.Deployment{}, nil, err
	}
	d = gateway.Deployment{
		RouteSelectionExpression:  textOf(s.API, "routeSelectionExpression"),
		APIKeySelectionExpression: cmp.Or(textOf(s.API, "apiKeySelectionExpression"), apiKeyHeader),
		StageVariables:            b.variables,
		DefaultThrottle:           b.throttle("defaultRouteSettings", objectOf(stage, "defaultRouteSettings")),
	}
	b.ignoredOfStage()
	settings := objectOf(stage, "routeSettings")
	for _, doc := range s.Routes {
		route, err := b.route(doc)
		if err != nil {
			return gateway.Deployment{}, b.warnings, fmt.Errorf("route %q: %w", route.RouteKey, err)
		}
		route.Throttle = b.throttle(fmt.Sprintf("routeSettings[%q]", route.RouteKey), objectOf(settings, route.RouteKey))
		d.Routes = append(d.Routes, route)
	}
	slices.Sort(b.warnings) // several routes may name the same integration
	return d, slices.Compact(b.warnings), nil
}

// The two values of apiKeySelectionExpression.
const (
	apiKeyHeader     = "$request.header.x-api-key"
	apiKeyAuthorizer = "$context.authorizer.usageIdentifierKey"
)

// checkSnapshot tries a deployment out that no stage has yet, on a gateway of its own. whole
// says that the gateway has to take every route; otherwise one that it refuses is no error,
// as in [deployTo]. It asks for no function: it is called while the store is changed.
func checkSnapshot(cfg *Config, s *snapshot, whole bool) error {
	d, _, err := build(cfg, s, nil, nil)
	if err != nil {
		return err
	}
	gw, err := newChecker(cfg)
	if err != nil {
		return err
	}
	if whole {
		return gw.Deploy(d)
	}
	_, err = deployTo(gw, cfg, d)
	return err
}

// newChecker returns a gateway that deployments are tried out on. It has started nothing
// that has to be closed.
func newChecker(cfg *Config) (*gateway.Gateway, error) {
	return gateway.New(stageOptions(cfg, "check", "check", nil)...)
}

// deployTo deploys d. A route that the gateway refuses does not stop the others: each of
// its events fails, as in the service, and a warning says why. The error is one of the
// deployment as a whole.
func deployTo(gw *gateway.Gateway, cfg *Config, d gateway.Deployment) (warnings []string, err error) {
	whole := gw.Deploy(d)
	if whole == nil {
		return nil, nil
	}
	checker, err := newChecker(cfg)
	if err != nil {
		return nil, err
	}
	alone, routes := d, slices.Clone(d.Routes)
	alone.Routes = nil
	if checker.Deploy(alone) != nil {
		return nil, whole // it is not because of a route
	}
	for n, route := range routes {
		alone.Routes = routes[n : n+1]
		if err := checker.Deploy(alone); err != nil {
			warnings = append(warnings, fmt.Sprintf("every event fails with Internal server error: %v", err))
			routes[n] = gateway.Route{RouteKey: route.RouteKey, Integration: &failing{err}}
		}
	}
	d.Routes = routes
	return warnings, gw.Deploy(d)
}

// builder makes one deployment.
type builder struct {
	cfg       *Config
	snapshot  *snapshot
	stage     document // nil: unknown
	variables map[string]string
	models    map[string]gateway.Model
	later     background
	warnings  []string
}

func (b *builder) warn(format string, args ...any) {
	b.warnings = append(b.warnings, fmt.Sprintf(format, args...))
}

// The throttle of an account, which holds where a setting is absent, and a rate at which
// nothing is added in the life of a stage.
const (
	accountRate = 10_000
	never       = 1e-9
)

// throttle returns the throttle of route settings. where says whose they are. A limit of 0
// is not an absent one: it adds nothing, or holds nothing.
func (b *builder) throttle(where string, settings document) gateway.Throttle {
	const rateLimit, burstLimit = "throttlingRateLimit", "throttlingBurstLimit"
	rate, burst := numberOf(settings, rateLimit), int(numberOf(settings, burstLimit))
	hasRate, hasBurst := settings[rateLimit] != nil, settings[burstLimit] != nil
	switch {
	case !hasRate && !hasBurst:
		return gateway.Throttle{}
	case hasRate && rate <= 0, hasBurst && burst <= 0:
		b.warn("%s: a limit of 0 refuses everything with Too Many Requests: leave %s and %s out for no throttle", where, rateLimit, burstLimit)
		if burst > 0 {
			return gateway.Throttle{RateLimit: never, BurstLimit: burst}
		}
		return gateway.RefuseAll()
	case !hasRate:
		rate = accountRate
	}
	return gateway.Throttle{RateLimit: rate, BurstLimit: burst}
}

// compileModels compiles the models of the API.
func (b *builder) compileModels() error {
	schemas := make(map[string]string, len(b.snapshot.Models))
	for _, doc := range b.snapshot.Models {
		schemas[textOf(doc, "name")] = textOf(doc, "schema")
	}
	b.models = make(map[string]gateway.Model, len(schemas))
	compiled, err := models.CompileAll(schemas)
	if err != nil && !boolOf(b.snapshot.API, "disableSchemaValidation") {
		return fmt.Errorf("models: %w", err)
	}
	for name, model := range compiled {
		b.models[name] = model
	}
	if err != nil { // some of the models are bad: each is compiled alone
		for name, schema := range schemas {
			if b.models[name], err = compileAlone(schema); err != nil {
				b.warn("model %q: no message fits it: %v", name, err)
				b.models[name] = badModel{err}
			}
		}
	}
	return nil
}

func compileAlone(schema string) (gateway.Model, error) {
	model, err := models.Compile(schema)
	if err != nil {
		return nil, err // and not a *models.Model that is nil
	}
	return model, nil
}

// badModel is a model that cannot be compiled, in an API that has disableSchemaValidation.
type badModel struct{ err error }

// Validate implements [gateway.Model].
func (m badModel) Validate([]byte) error { return m.err }

// route makes a route. Its key is set even if there is an error.
func (b *builder) route(doc document) (gateway.Route, error) {
	key := textOf(doc, "routeKey")
	r := gateway.Route{RouteKey: key, Integration: b.target(doc), RouteResponse: b.hasRouteResponse(textOf(doc, "routeId"))}
	if key == gateway.RouteKeyConnect {
		b.admission(&r, doc)
	} else if boolOf(doc, "apiKeyRequired") { // authorization and requestParameters are refused
		b.warn("route %q: apiKeyRequired has no effect: only $connect may have it", key)
	}
	return r, b.requestModels(&r, doc)
}

// hasRouteResponse reports whether a route has the route response $default. It is all that
// makes a route two-way: a routeResponseSelectionExpression is not needed.
func (b *builder) hasRouteResponse(routeID string) bool {
	return slices.ContainsFunc(b.snapshot.RouteResponses[routeID], func(doc document) bool {
		return textOf(doc, "routeResponseKey") == gateway.RouteKeyDefault
	})
}

// requestModels sets the models of a route.
func (b *builder) requestModels(r *gateway.Route, doc document) error {
	names, expression := textsOf(doc, "requestModels"), textOf(doc, "modelSelectionExpression")
	lifecycle := r.RouteKey == gateway.RouteKeyConnect || r.RouteKey == gateway.RouteKeyDisconnect
	switch {
	case len(names) == 0 && expression == "":
		return nil
	case lifecycle:
		b.warn("route %q: its events have no body, so that modelSelectionExpression and requestModels have no effect", r.RouteKey)
		return nil
	case expression == "":
		b.warn(`route %q: requestModels has no effect without modelSelectionExpression: \$default selects the model "$default"`, r.RouteKey)
		return nil
	}
	r.ModelSelectionExpression = expression
	r.RequestModels = make(map[string]gateway.Model, len(names))
	for key, name := range names {
		model := b.models[name]
		if model == nil {
			err := fmt.Errorf("requestModels[%q]: there is no model %q: create it, or leave it out", key, name)
			if !boolOf(b.snapshot.API, "disableSchemaValidation") {
				return err
			}
			b.warn("route %q: %v", r.RouteKey, err)
			model = badModel{err}
		}
		r.RequestModels[key] = model
	}
	return nil
}

// ignoredOfStage warns of settings of the stage without an effect here.
func (b *builder) ignoredOfStage() {
	if textOf(b.stage, "clientCertificateId") != "" {
		b.warn("clientCertificateId has no effect: endpoints get no client certificate")
	}
	logs := len(objectOf(b.stage, "accessLogSettings")) > 0
	settings := objectOf(b.stage, "routeSettings")
	for _, of := range append([]document{objectOf(b.stage, "defaultRouteSettings")}, documentsIn(settings)...) {
		logs = logs || cmp.Or(textOf(of, "loggingLevel"), "OFF") != "OFF" || boolOf(of, "dataTraceEnabled") || boolOf(of, "detailedMetricsEnabled")
	}
	if logs {
		b.warn("accessLogSettings, loggingLevel, dataTraceEnabled and detailedMetricsEnabled have no effect yet: Config.Logger gets the log")
	}
}

// ignoredResponses warns of the integration responses of a proxy integration.
func (b *builder) ignoredResponses(where, id string) {
	if len(b.snapshot.IntegrationResponses[id]) > 0 {
		b.warn("%s: its integration responses have no effect: a proxy integration passes the answer on as it is", where)
	}
}

// target makes the integration that a route names.
func (b *builder) target(doc document) gateway.Integration {
	key := textOf(doc, "routeKey")
	target := textOf(doc, "target")
	if target == "" {
		if key == gateway.RouteKeyConnect || key == gateway.RouteKeyDisconnect {
			return &gateway.MockIntegration{} // as in the service, nothing is invoked
		}
		return b.unavailable("route "+key, "it has no target: set it to integrations/{integrationId}")
	}
	id, ok := strings.CutPrefix(target, "integrations/")
	if !ok {
		return b.unavailable("route "+key, fmt.Sprintf("target %q: write integrations/{integrationId}", target))
	}
	for _, integration := range b.snapshot.Integrations {
		if textOf(integration, "integrationId") == id {
			return b.integration(id, integration)
		}
	}
	return b.unavailable("route "+key, fmt.Sprintf("target %q: there is no such integration", target))
}

// unavailable returns an integration that fails as one that the service may not call, and
// warns of it.
func (b *builder) unavailable(where, why string) gateway.Integration {
	b.warn("%s: every event fails with Internal server error: %s", where, why)
	return &failing{fmt.Errorf("controlplane: %s: %s", where, why)}
}

// integration makes an integration.
func (b *builder) integration(id string, doc document) gateway.Integration {
	where := "integration " + id
	uri := textOf(doc, "integrationUri")
	switch kind := textOf(doc, "integrationType"); kind {
	case "MOCK":
		return &gateway.MockIntegration{Transform: b.transform(id, doc)}
	case "HTTP", "HTTP_PROXY":
		return b.http(id, doc)
	case "AWS_PROXY":
		if other := otherService(uri); other != "" {
			return b.unavailable(where, fmt.Sprintf("AWS_PROXY calls functions only, and integrationUri names %s", other))
		}
		if len(objectOf(doc, "requestParameters")) > 0 {
			b.warn("%s: requestParameters has no effect: a function gets no headers and no query", where)
		}
		b.ignoredResponses(where, id)
		return lambda.NewIntegration(b.function(where, uri, timeoutOf(doc)))
	case "AWS":
		if other := otherService(uri); other != "" {
			return b.unavailable(where, fmt.Sprintf("%s does not run here: let the integration name a function instead", other))
		}
		return &gateway.CustomIntegration{
			Backend: lambda.NewBackend(b.invoker(where, uri, doc)), SelectByErrorMessage: true, Transform: b.transform(id, doc),
		}
	default:
		return b.unavailable(where, fmt.Sprintf("integrationType %q: use AWS, AWS_PROXY, HTTP, HTTP_PROXY or MOCK", kind))
	}
}

// otherService returns the service of a URI of API Gateway that calls another service than
// Lambda, such as sqs, or "".
func otherService(uri string) string {
	parts := strings.SplitN(uri, ":", 6)
	if len(parts) == 6 && parts[0] == "arn" && parts[2] == "apigateway" && parts[4] != "lambda" {
		return parts[4]
	}
	return ""
}

// invoker returns the function of an integration of the type AWS. A mapped header makes its
// invocation asynchronous.
func (b *builder) invoker(where, uri string, doc document) lambda.Invoker {
	asynchronous := false
	for target, source := range textsOf(doc, "requestParameters") {
		if strings.EqualFold(target, "integration.request.header.X-Amz-Invocation-Type") {
			asynchronous = source == "'Event'"
			continue
		}
		b.warn("%s: requestParameters[%q] has no effect: a function gets no headers and no query", where, target)
	}
	if asynchronous {
		return &asyncFunction{b.function(where, uri, 0), b.later}
	}
	return b.function(where, uri, timeoutOf(doc))
}

// function returns the function of a URI, and warns if it is unknown today.
func (b *builder) function(where, uri string, timeout time.Duration) *function {
	f := &function{uri: arn.Expand(uri, b.variables), resolver: b.cfg.Functions, timeout: timeout}
	if b.stage == nil {
		return f // the stage says whether there is the function
	}
	i, err := f.resolve()
	if err != nil {
		b.warn("%s: until there is the function, every event fails with Internal server error: %v", where, err)
		return f
	}
	if v, ok := i.(interface{ Validate() error }); ok {
		if err := v.Validate(); err != nil {
			b.warn("%s: every event fails with Internal server error: %v", where, err)
		}
	}
	return f
}

// http makes an integration with an HTTP endpoint.
func (b *builder) http(id string, doc document) gateway.Integration {
	where, uri := "integration "+id, textOf(doc, "integrationUri")
	if uri == "" {
		return b.unavailable(where, "it has no integrationUri: set it to the URL of the endpoint")
	}
	if textOf(doc, "connectionType") == "VPC_LINK" {
		link := arn.Expand(textOf(doc, "connectionId"), b.variables)
		base := b.cfg.VPCLinks[link]
		if base == "" {
			if b.stage == nil && arn.HasVariables(textOf(doc, "connectionId")) {
				return &failing{errors.New("controlplane: the VPC link is known with the stage")}
			}
			return b.unavailable(where, fmt.Sprintf("nothing is behind the VPC link %q: add its base URL to Config.VPCLinks", link))
		}
		uri = rebase(uri, base)
	}
	i := &gateway.HTTPIntegration{
		URI: uri, Method: cmp.Or(textOf(doc, "integrationMethod"), http.MethodPost), Timeout: timeoutOf(doc),
		RequestParameters: textsOf(doc, "requestParameters"), UpgradeHeaders: true,
	}
	if textOf(doc, "integrationType") == "HTTP" {
		i.Transform = b.transform(id, doc)
	} else {
		b.ignoredResponses(where, id)
	}
	maps.DeleteFunc(i.RequestParameters, func(target, _ string) bool {
		name, isPath := strings.CutPrefix(target, "integration.request.path.")
		useless := isPath && !strings.Contains(uri, "{"+name+"}")
		if useless {
			b.warn("%s: requestParameters[%q] has no effect: integrationUri has no {%s}", where, target, name)
		}
		return useless
	})
	return i
}

// rebase replaces scheme and host of a URI, which may have variables, by a base URL.
func rebase(uri, base string) string {
	if _, after, ok := strings.Cut(uri, "://"); ok {
		uri = after
	}
	base = strings.TrimSuffix(base, "/")
	if path := strings.IndexAny(uri, "/?"); path >= 0 {
		return base + uri[path:]
	}
	return base
}

// transform makes the templates of a non-proxy integration and of its responses.
func (b *builder) transform(id string, doc document) *gateway.Transform {
	t := &gateway.Transform{
		RequestTemplates:            textsOf(doc, "requestTemplates"),
		TemplateSelectionExpression: textOf(doc, "templateSelectionExpression"),
		PassthroughBehavior:         gateway.PassthroughBehavior(textOf(doc, "passthroughBehavior")),
		ContentHandling:             gateway.ContentHandling(textOf(doc, "contentHandlingStrategy")),
		Responses:                   map[string]gateway.IntegrationResponse{},
		AllowUnusedTemplates:        true,
	}
	for _, response := range b.snapshot.IntegrationResponses[id] {
		t.Responses[textOf(response, "integrationResponseKey")] = gateway.IntegrationResponse{
			ResponseTemplates:           textsOf(response, "responseTemplates"),
			TemplateSelectionExpression: textOf(response, "templateSelectionExpression"),
			ResponseParameters:          textsOf(response, "responseParameters"),
			ContentHandling:             gateway.ContentHandling(textOf(response, "contentHandlingStrategy")),
		}
	}
	return t
}

// maxTimeout is the longest timeout of an integration, and the default. An integration that
// has it is limited by the quota of the gateway alone, which the program may have changed.
const maxTimeout = 29 * time.Second

// timeoutOf returns the timeout of an integration, or 0 for the gateway's.
func timeoutOf(doc document) time.Duration {
	timeout := time.Duration(numberOf(doc, "timeoutInMillis")) * time.Millisecond
	if timeout >= maxTimeout {
		return 0
	}
	return max(0, timeout)
}
