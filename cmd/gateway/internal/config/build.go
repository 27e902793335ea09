package config

import (
	"cmp"
	"context"
	"log/slog"
	"maps"
	"net/netip"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"example.com/gateway"
	"example.com/gateway/iam"
	"example.com/gateway/internal/nearest"
	"example.com/gateway/jwtauthorizer"
	"example.com/gateway/lambda"
	"example.com/gateway/lambda/process"
	"example.com/gateway/models"
	"example.com/gateway/sigv4"
	"example.com/gateway/usageplan"
)

// Built is a configuration in the types of package gateway.
type Built struct {
	*Config
	// Options are for gateway.New. They cannot change while the gateway runs.
	Options []gateway.Option
	// Deployment is for Gateway.Deploy.
	Deployment gateway.Deployment
	// Plans are for usageplan.Store.
	Plans []usageplan.Plan
	// Auth decides who may call @connections; nil means nobody.
	Auth gateway.ManagementAuth
	// Level is the lowest level that is logged.
	Level slog.Level
}

// Builder builds configurations one after the other, as a file is read again. What has not
// changed is used again, together with what it has kept: the keys of a token's issuer, the
// calls of a function that are under way.
type Builder struct {
	// Logger is for what is built; nil means that nothing is logged.
	Logger *slog.Logger
	// NewLogger makes the Logger as the first configuration wants it. It may be nil.
	NewLogger func(l Log, level slog.Level) *slog.Logger

	tokens    map[string]kept[JWT, *jwtauthorizer.Authorizer]
	functions functions
}

// kept is a thing with the configuration that it was built of.
type kept[C, T any] struct {
	of    C
	thing T
}

// again returns the thing of an earlier build, if its configuration is the same.
func again[C, T any](earlier map[string]kept[C, T], name string, of C, build func() (T, error)) (kept[C, T], error) {
	if k, ok := earlier[name]; ok && reflect.DeepEqual(k.of, of) {
		return k, nil
	}
	thing, err := build()
	return kept[C, T]{of, thing}, err
}

// build builds everything, and reports what package gateway and the others say against it.
func (r *reader) build(b *Builder) *Built {
	c := r.Config
	built := &Built{Config: c}
	_ = built.Level.UnmarshalText([]byte(c.Log.Level)) // it is one of four
	if b.Logger == nil && b.NewLogger != nil {
		b.Logger = b.NewLogger(c.Log, built.Level)
	}
	keySource := map[string]string{"authorizer": "$context.authorizer.usageIdentifierKey"}[c.APIKeySource]
	built.Options = c.options()
	if m := c.Management; m != nil && m.Access == "signed" {
		built.Auth = r.auth("management", m.Region, m.Keys, false)
	} else if m != nil {
		built.Auth = gateway.ManagementAuthFunc(func(context.Context, *gateway.ManagementCall) error { return nil })
	}
	built.Plans = r.plans()
	integrations := r.integrations(b)
	authorizers := r.authorizers(b)
	variables := maps.Clone(c.StageVariables)
	if variables == nil {
		variables = map[string]string{} // not nil, which would mean those of gateway.New
	}
	built.Deployment = gateway.Deployment{
		RouteSelectionExpression:  cmp.Or(c.RouteSelectionExpression, "$request.body.action"),
		APIKeySelectionExpression: cmp.Or(keySource, "$request.header.x-api-key"),
		StageVariables:            variables,
		DefaultThrottle:           c.Throttle.throttle(),
	}
	r.routes(built, integrations, authorizers)
	return built
}

// options are those that a restart alone can change.
func (c *Config) options() []gateway.Option {
	proxies := make([]netip.Prefix, len(c.Proxies))
	for n, p := range c.Proxies {
		proxies[n], _ = prefix(p) // check has read it
	}
	options := []gateway.Option{
		gateway.WithStage(c.Stage, nil), // the variables can change
		gateway.WithAPI(cmp.Or(c.API.ID, "local"), c.API.DomainName),
		gateway.WithOriginPatterns(c.Origins...),
		gateway.WithQuotas(c.Quotas.quotas()),
		gateway.WithTrustedProxies(proxies...),
	}
	if c.Compression != nil {
		options = append(options, c.Compression.option())
	}
	for text, answer := range c.AutoResponse {
		options = append(options, gateway.WithAutoResponse(text, answer))
	}
	if c.AnswerCommands {
		options = append(options, gateway.WithAnswerCommands())
	}
	if c.BinaryMessages {
		options = append(options, gateway.WithBinaryMessages())
	}
	if c.Management != nil && c.Management.Extensions {
		options = append(options, gateway.WithManagementExtensions())
	}
	return options
}

func (c *Compression) option() gateway.Option {
	return gateway.WithCompression(gateway.Compression{Threshold: c.Threshold, Level: c.Level, MaxRatio: int(c.MaxRatio)})
}

func (t Throttle) throttle() gateway.Throttle {
	return gateway.Throttle{RateLimit: t.Rate, BurstLimit: t.Burst}
}

// auth checks signatures with keys. A policy decides if there is one for each key.
func (r *reader) auth(path, region string, keys []AccessKey, needPolicies bool) *iam.Auth {
	if len(keys) == 0 {
		r.report(path, "keys is missing: write at least one, with id and secret")
	}
	static, policies := map[string]sigv4.Key{}, map[string]*iam.PolicyDocument{}
	withPolicy := 0
	for n, k := range keys {
		at := under(path+".keys", strconv.Itoa(n+1))
		switch _, twice := static[k.ID]; {
		case k.ID == "":
			r.report(at, "id is missing: write the access key ID")
		case twice:
			r.report(at, "the access key ID %s is there twice", k.ID)
		case k.Secret == Secret{}:
			r.report(at, "secret is missing: write {environment: NAME} or {file: NAME}")
		case k.Secret.value != "":
			static[k.ID] = sigv4.Key{SecretAccessKey: k.Secret.value}
		}
		if k.Policy != "" {
			withPolicy++
			policies[k.ID] = r.policy(under(at, "policy"), k.Policy)
		} else if needPolicies {
			r.report(at, "policy is missing: write the name of a file with an IAM policy")
		}
	}
	if !needPolicies && withPolicy > 0 && withPolicy < len(keys) {
		r.report(path+".keys", "some keys have a policy and others do not: write one for each, or for none")
	}
	decide := iam.ByAccessKey(policies)
	if withPolicy == 0 {
		decide = func(context.Context, iam.Access) (iam.Decision, error) { return iam.Allow, nil }
	}
	return &iam.Auth{
		Verifier: &sigv4.Verifier{Service: "execute-api", Region: cmp.Or(region, sigv4.AnyRegion), Keys: sigv4.StaticKeys(static)},
		Policy:   decide,
	}
}

func (r *reader) policy(path, file string) *iam.PolicyDocument {
	text, err := os.ReadFile(r.within(file))
	if err != nil {
		r.report(path, "%s: %s", file, reason(err))
		return nil
	}
	p, err := iam.ParsePolicy(text)
	if err != nil {
		r.report(path, "%s: %v", file, err)
	}
	return p
}

func (r *reader) plans() (plans []usageplan.Plan) {
	for _, id := range slices.Sorted(maps.Keys(r.UsagePlans)) {
		p := r.UsagePlans[id]
		at := under("usagePlans", id)
		plan := usageplan.Plan{ID: id, Throttle: p.Throttle.throttle(), RouteThrottles: map[string]gateway.Throttle{}, APIKeys: map[string]string{}}
		for key, t := range p.RouteThrottles {
			plan.RouteThrottles[key] = t.throttle()
		}
		if p.Quota != nil {
			plan.Quota = usageplan.Quota{Limit: p.Quota.Limit, Period: usageplan.Period(strings.ToUpper(p.Quota.Period)), Offset: p.Quota.Offset}
		}
		for key, secret := range p.Keys {
			if secret.value != "" {
				plan.APIKeys[key] = secret.value
			}
		}
		if _, err := usageplan.New(plan); err != nil {
			r.report(at, "%s", plain(err))
			continue
		}
		plans = append(plans, plan)
	}
	if _, err := usageplan.New(plans...); err != nil { // two plans have the same key
		r.report("usagePlans", "%s", plain(err))
	}
	return plans
}

// integrations makes the integrations by their names, and keeps the functions among them.
func (r *reader) integrations(b *Builder) map[string]gateway.Integration {
	made := map[string]gateway.Integration{}
	called := functions{remote: map[string]kept[Lambda, *lambda.Function]{}, local: map[string]kept[Process, *process.Function]{}}
	for name, i := range r.Integrations {
		if n := count(i.HTTP != nil, i.Lambda != nil, i.Process != nil, i.Mock != nil); n != 1 {
			r.report(under("integrations", name), "write one of http, lambda, process and mock")
			continue
		}
		switch {
		case i.HTTP != nil:
			made[name] = &gateway.HTTPIntegration{
				URI: i.HTTP.URI, Method: i.HTTP.Method, RequestParameters: i.HTTP.RequestParameters, CallbackURL: i.HTTP.CallbackURL,
				UpgradeHeaders: i.HTTP.UpgradeHeaders, ResponseBytes: i.HTTP.ResponseBytes, Timeout: i.HTTP.Timeout, Transform: i.HTTP.Transform.transform(),
			}
		case i.Mock != nil:
			made[name] = &gateway.MockIntegration{StatusCode: i.Mock.StatusCode, Body: []byte(i.Mock.Body), Transform: i.Mock.Transform.transform()}
		case i.Process != nil:
			if integration := r.process(b, called, name, *i.Process); integration != nil {
				made[name] = integration
			}
		default:
			if integration := r.lambda(b, called, name, *i.Lambda); integration != nil {
				made[name] = integration
			}
		}
	}
	b.functions = called
	return made
}

// lambda makes the integration of a function that an endpoint runs. It returns nil after a
// report.
func (r *reader) lambda(b *Builder, called functions, name string, l Lambda) gateway.Integration {
	called.remote[name], _ = again(b.functions.remote, name, l, func() (*lambda.Function, error) {
		return &lambda.Function{URL: l.URL, Name: l.Name, Qualifier: l.Qualifier, Timeout: l.Timeout, Concurrency: l.Concurrency}, nil
	})
	function := called.remote[name].thing
	if err := function.Validate(); err != nil {
		r.report(under("integrations", name), "%s", plain(err))
		return nil
	}
	if l.Transform != nil {
		return &gateway.CustomIntegration{Transform: l.Transform.transform(), Backend: function.Backend, SelectByErrorMessage: true}
	}
	return function
}

func (t *Transform) transform() *gateway.Transform {
	if t == nil {
		return nil
	}
	made := &gateway.Transform{
		RequestTemplates: t.RequestTemplates, TemplateSelectionExpression: t.TemplateSelectionExpression,
		PassthroughBehavior: gateway.PassthroughBehavior(t.PassthroughBehavior), ContentHandling: gateway.ContentHandling(t.ContentHandling),
		Responses: map[string]gateway.IntegrationResponse{},
	}
	for key, resp := range t.Responses {
		made.Responses[key] = gateway.IntegrationResponse{
			ResponseTemplates: resp.ResponseTemplates, TemplateSelectionExpression: resp.TemplateSelectionExpression,
			ResponseParameters: resp.ResponseParameters, ContentHandling: gateway.ContentHandling(resp.ContentHandling),
		}
	}
	return made
}

// authorizers makes the authorizers by their names.
func (r *reader) authorizers(b *Builder) map[string]gateway.Authorizer {
	made, tokens := map[string]gateway.Authorizer{}, map[string]kept[JWT, *jwtauthorizer.Authorizer]{}
	for name, a := range r.Authorizers {
		at := under("authorizers", name)
		if n := count(a.JWT != nil, a.Lambda != nil, a.IAM != nil); n != 1 {
			r.report(at, "write one of jwt, lambda and iam")
			continue
		}
		switch {
		case a.JWT != nil:
			k, err := again(b.tokens, name, *a.JWT, func() (*jwtauthorizer.Authorizer, error) { return jwtauthorizer.New(a.JWT.config(b.Logger)) })
			if err != nil {
				r.report(at+".jwt", "%s", plain(err))
				continue
			}
			tokens[name], made[name] = k, k.thing
		case a.Lambda != nil:
			if authorizer := r.lambdaAuthorizer(at+".lambda", a.Lambda, b); authorizer != nil {
				made[name] = authorizer
			}
		default:
			made[name] = r.auth(at+".iam", a.IAM.Region, a.IAM.Keys, true)
		}
	}
	b.tokens = tokens
	return made
}

func (r *reader) lambdaAuthorizer(path string, a *LambdaAuthorizer, b *Builder) gateway.Authorizer {
	var authorizer *lambda.Authorizer
	if f, ok := b.functions.remote[a.Integration]; ok {
		authorizer = f.thing.Authorizer()
	} else if f, ok := b.functions.local[a.Integration]; ok {
		authorizer = lambda.NewAuthorizer(f.thing)
	} else {
		if i, ok := r.Integrations[a.Integration]; ok && (i.Lambda != nil || i.Process != nil) {
			return nil // it has been reported
		}
		r.report(path, "integration has to name a lambda or process integration, and %q is none%s",
			a.Integration, nearest.Question(nearest.To(a.Integration, b.functions.names())))
		return nil
	}
	authorizer.Region, authorizer.AccountID = a.Region, a.AccountID
	if len(a.IdentitySource) == 0 {
		return authorizer
	}
	return &gateway.RequestAuthorizer{Authorizer: authorizer, IdentitySource: a.IdentitySource}
}

func (j *JWT) config(log *slog.Logger) jwtauthorizer.Config {
	c := jwtauthorizer.Config{
		Issuer: j.Issuer, Audience: j.Audience, AnyAudience: j.AnyAudience, Scopes: j.Scopes, RequiredScopes: j.RequiredScopes,
		RequiredClaims: j.RequiredClaims, Claims: j.Claims, Cookie: j.Cookie, QueryParameter: j.QueryParameter, Subprotocol: j.Subprotocol,
		Skew: j.Skew, Algorithms: j.Algorithms, JWKSURL: j.JWKSURL, RefreshInterval: j.RefreshInterval,
	}
	if len(j.Secrets) == 0 {
		c.Logger = log
	}
	for _, s := range j.Secrets {
		c.Secrets = append(c.Secrets, []byte(s.value))
	}
	return c
}

func count(present ...bool) (n int) {
	for _, p := range present {
		if p {
			n++
		}
	}
	return n
}

// routes makes the routes. Each is deployed alone to a gateway that serves nobody, so that
// what package gateway says against it, or warns of, gets the line of the route.
func (r *reader) routes(built *Built, integrations map[string]gateway.Integration, authorizers map[string]gateway.Authorizer) {
	if len(r.Routes) == 0 && !r.has("routes") {
		r.report("", "routes is missing: write at least one route, as in \"routes: {$default: {integration: NAME}}\"")
	}
	usage, _ := usageplan.New()
	notes := &notes{}
	trial, err := gateway.New(gateway.WithUsageStore(usage), gateway.WithLogger(slog.New(notes)))
	if err != nil {
		panic(err) // there is nothing in these options to be refused
	}
	one := built.Deployment
	if err := trial.Deploy(one); err != nil { // throttle and stage variables
		r.report("throttle", "%s", plain(err))
		one.DefaultThrottle = gateway.Throttle{}
	}
	deploy := func(route gateway.Route) error {
		one.Routes, notes.texts = []gateway.Route{route}, nil
		return trial.Deploy(one)
	}
	r.checkIntegrations(integrations, deploy)
	used := map[string]bool{}
	for _, key := range slices.Sorted(maps.Keys(r.Routes)) {
		at := under("routes", key)
		used[r.Routes[key].Integration], used["authorizer "+r.Routes[key].Authorizer] = true, true
		route := r.route(at, key, integrations, authorizers)
		if route.Integration == nil { // it has been reported
			route.Integration = &gateway.MockIntegration{}
		}
		if err := deploy(route); err != nil {
			r.report(at, "%s", plain(err))
		}
		for _, text := range notes.texts {
			r.warn(at, text)
		}
		built.Deployment.Routes = append(built.Deployment.Routes, route)
	}
	r.unused(used)
}

// checkIntegrations deploys each integration alone, to a route that names it, so that what is
// said against it gets the line of the integration. It removes the bad ones.
func (r *reader) checkIntegrations(integrations map[string]gateway.Integration, deploy func(gateway.Route) error) {
	for name, i := range integrations {
		key := gateway.RouteKeyDefault
		for _, k := range slices.Sorted(maps.Keys(r.Routes)) {
			if r.Routes[k].Integration == name && deploy(gateway.Route{RouteKey: k, Integration: &gateway.MockIntegration{}}) == nil {
				key = k
				break
			}
		}
		if err := deploy(gateway.Route{RouteKey: key, Integration: i}); err != nil {
			r.report(under("integrations", name), "%s", plain(err))
			delete(integrations, name)
		}
	}
}

// unused warns of what no route uses.
func (r *reader) unused(used map[string]bool) {
	for _, a := range r.Authorizers {
		if a.Lambda != nil {
			used[a.Lambda.Integration] = true
		}
	}
	for name := range r.Integrations {
		if !used[name] {
			r.warn(under("integrations", name), "no route uses this integration")
		}
	}
	for name := range r.Authorizers {
		if !used["authorizer "+name] {
			r.warn(under("authorizers", name), "no route uses this authorizer")
		}
	}
}

func (r *reader) route(at, key string, integrations map[string]gateway.Integration, authorizers map[string]gateway.Authorizer) gateway.Route {
	of := r.Routes[key]
	route := gateway.Route{
		RouteKey: key, RouteResponse: of.RouteResponse, APIKeyRequired: of.APIKeyRequired, Throttle: of.Throttle.throttle(),
		RequestParameters: of.RequestParameters, ModelSelectionExpression: of.ModelSelectionExpression,
	}
	route.Integration = named(r, at, "integration", of.Integration, r.Integrations, integrations)
	if of.Authorizer != "" {
		route.Authorizer = named(r, at, "authorizer", of.Authorizer, r.Authorizers, authorizers)
	}
	if of.APIKeyRequired && len(r.UsagePlans) == 0 {
		r.report(under(at, "apiKeyRequired"), "there are no API keys: write usagePlans")
	}
	files := maps.Clone(of.Models)
	if of.Model != "" {
		if files != nil || of.ModelSelectionExpression != "" {
			r.report(under(at, "model"), "write either model, for all messages, or modelSelectionExpression and models")
		}
		files, route.ModelSelectionExpression = map[string]string{"$default": of.Model}, `\$default`
	}
	for name, file := range files {
		place := under(under(at, "models"), name)
		if of.Model != "" {
			place = under(at, "model")
		}
		if m := r.model(place, file); m != nil {
			if route.RequestModels == nil {
				route.RequestModels = map[string]gateway.Model{}
			}
			route.RequestModels[name] = m
		}
	}
	if len(route.RequestModels) < len(files) { // one has been reported
		route.RequestModels, route.ModelSelectionExpression = nil, ""
	}
	return route
}

// named finds what a route names. Of one that was refused, it has been reported already.
func named[C, T any](r *reader, at, kind, name string, known map[string]C, made map[string]T) (found T) {
	if name == "" {
		r.report(at, "%s is missing: name one of %ss", kind, kind)
		return found
	}
	if _, ok := known[name]; !ok {
		r.report(under(at, kind), "there is no %s %q%s", kind, name, nearest.Question(nearest.To(name, slices.Sorted(maps.Keys(known)))))
	}
	return made[name]
}

func (r *reader) model(path, file string) gateway.Model {
	text, err := os.ReadFile(r.within(file))
	if err != nil {
		r.report(path, "%s: %s", file, reason(err))
		return nil
	}
	m, err := models.Compile(string(text))
	if err != nil {
		r.report(path, "%s: %v", file, err)
		return nil
	}
	return m
}

// notes is a handler that keeps the warnings of a gateway.
type notes struct{ texts []string }

func (n *notes) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelWarn }
func (n *notes) WithAttrs([]slog.Attr) slog.Handler               { return n }
func (n *notes) WithGroup(string) slog.Handler                    { return n }
func (n *notes) Handle(_ context.Context, record slog.Record) error {
	text := record.Message
	record.Attrs(func(a slog.Attr) bool {
		if a.Key == "error" || a.Key == "fix" {
			text += ": " + a.Value.String()
		}
		return true
	})
	n.texts = append(n.texts, text)
	return nil
}
