package gateway

import (
	"context"
	"fmt"
	"maps"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"

	"example.com/gateway/internal/limit"
	"example.com/gateway/internal/mapping"
	"example.com/gateway/internal/selection"
)

// The route keys that the service reserves. (API Gateway: "Working with routes
// for WebSocket APIs".)
const (
	RouteKeyConnect    = "$connect"    // before the 101 of an upgrade
	RouteKeyDisconnect = "$disconnect" // after a connection has closed
	RouteKeyDefault    = "$default"    // for messages that no other route takes
)

// maxRouteKey is the service's bound on a route key, in characters.
const maxRouteKey = 128

// Route says which integration serves the events of a route key.
type Route struct {
	// RouteKey is one of the reserved keys, or the value of the route selection
	// expression that picks this route: compared exactly, up to 128 characters,
	// not beginning with "$".
	RouteKey    string
	Integration Integration
	// RouteResponse makes the route two-way: the Body of the integration's
	// Response goes back to the client. Without it a body is dropped; error frames
	// are sent on any route.
	RouteResponse bool
	// Authorizer decides who may connect: $connect only.
	Authorizer Authorizer
	// APIKeyRequired refuses clients without a valid API key with 403: $connect
	// only. What the client sends then counts against the usage plan of its key. It
	// needs [WithUsagePlans].
	APIKeyRequired bool
	// Throttle bounds the requests to the route, in the place of the stage's
	// default throttle.
	Throttle Throttle
	// RequestParameters are the parameters of the upgrade request that the route
	// knows, route.request.header.{name} and route.request.querystring.{name}, and
	// whether they are required: $connect only. A client that lacks a required one,
	// or sends it blank, gets 400.
	RequestParameters map[string]bool
	// ModelSelectionExpression selects which of RequestModels a message has to fit,
	// by key; "$default" takes the messages that select none. The client of a message
	// that does not fit, or for which there is no model, gets the error frame
	// "Invalid request body"; the integration is not asked. "" asks for no model. A
	// literal dollar sign is written \$: \$default always selects "$default".
	ModelSelectionExpression string
	RequestModels            map[string]Model
}

// RouteOption changes a [Route] that [Gateway.Handle] makes.
type RouteOption func(*Route)

// WithRouteResponse sets Route.RouteResponse.
func WithRouteResponse() RouteOption { return func(r *Route) { r.RouteResponse = true } }

// WithThrottle sets Route.Throttle: rateLimit requests a second, burstLimit at
// once.
func WithThrottle(rateLimit float64, burstLimit int) RouteOption {
	return func(r *Route) { r.Throttle = Throttle{rateLimit, burstLimit} }
}

// WithAPIKeyRequired sets Route.APIKeyRequired.
func WithAPIKeyRequired() RouteOption { return func(r *Route) { r.APIKeyRequired = true } }

// WithRequestParameters sets Route.RequestParameters.
func WithRequestParameters(required map[string]bool) RouteOption {
	return func(r *Route) { r.RequestParameters = required }
}

// WithRequestModel makes every message of the route fit m: it sets
// Route.ModelSelectionExpression to \$default and Route.RequestModels to m alone. The
// client of a message that does not fit gets the error frame "Invalid request body".
func WithRequestModel(m Model) RouteOption {
	return WithRequestModels(`\`+defaultModel, map[string]Model{defaultModel: m})
}

// WithRequestModels sets Route.ModelSelectionExpression and Route.RequestModels, for a
// route whose messages differ. Where all have to fit the same model, WithRequestModel
// is shorter.
func WithRequestModels(modelSelectionExpression string, models map[string]Model) RouteOption {
	return func(r *Route) { r.ModelSelectionExpression, r.RequestModels = modelSelectionExpression, models }
}

// Handle adds a route, for open connections too. Like [net/http.ServeMux.Handle]
// it panics on misuse: a key that is empty, taken or reserved, a nil integration.
// It is safe for concurrent use.
func (g *Gateway) Handle(routeKey string, i Integration, opts ...RouteOption) {
	r := Route{RouteKey: routeKey, Integration: i}
	for n, o := range opts {
		if o == nil {
			panic(fmt.Errorf("%w: route %q: RouteOption %d is nil: leave it out", ErrInvalidOption, routeKey, n))
		}
		o(&r)
	}
	if err := g.addRoute(r, callerOutside()); err != nil {
		panic(err)
	}
}

// HandleFunc is [Gateway.Handle] for a func.
func (g *Gateway) HandleFunc(routeKey string, fn func(context.Context, *Request) (*Response, error), opts ...RouteOption) {
	var i Integration
	if fn != nil {
		i = IntegrationFunc(fn)
	}
	g.Handle(routeKey, i, opts...)
}

// Deployment is everything that a redeploy may change.
type Deployment struct {
	// RouteSelectionExpression is as for [WithRouteSelectionExpression]; "" means
	// the gateway's.
	RouteSelectionExpression string
	// APIKeySelectionExpression is as for [WithAPIKeySelectionExpression]; "" means
	// the gateway's.
	APIKeySelectionExpression string
	Routes                    []Route
	// StageVariables replaces the stage variables; nil means the gateway's.
	StageVariables map[string]string
	// DefaultThrottle is as for [WithDefaultThrottle]; the zero value means the
	// gateway's. A throttle that stays the same keeps its bucket as it is.
	DefaultThrottle Throttle
}

// Deploy replaces the whole route table, the routes of [Gateway.Handle]
// included, in one step: an event sees the old deployment or the new one, and
// the next event of an open connection sees the new one. (API Gateway: "Deploy a
// WebSocket API".) An error, which wraps [ErrInvalidOption], changes nothing. It
// is safe for concurrent use.
func (g *Gateway) Deploy(d Deployment) error {
	if d.RouteSelectionExpression == "" {
		d.RouteSelectionExpression = g.selection
	}
	if d.APIKeySelectionExpression == "" {
		d.APIKeySelectionExpression = g.apiKeySelection
	}
	if d.StageVariables == nil {
		d.StageVariables = g.stageVariables
	}
	if d.DefaultThrottle == (Throttle{}) {
		d.DefaultThrottle = g.defaultThrottle
	}
	if err := g.deploy(d); err != nil {
		return err
	}
	g.log.Info("deployed", "stage", g.stage, "routes", len(d.Routes)) // without the lock: a log may block
	return nil
}

// Deployment returns what is deployed: what New and Deploy were given, and the routes of
// Handle since then. Deploy of the same value changes nothing. Nothing is left out that
// was the gateway's default. The routes are in the order of their keys.
//
// It is a copy, which the caller may change and deploy; only the Integrations, the
// Authorizer and the Models are those of the routes themselves. Middleware, which
// belongs to the Gateway, is not part of it. It is safe for concurrent use.
func (g *Gateway) Deployment() Deployment {
	t := g.routes.Load()
	d := t.deployed
	d.StageVariables = maps.Clone(d.StageVariables)
	for _, r := range [...]*route{t.connect, t.disconnect, t.fallback} {
		if r != nil {
			d.Routes = append(d.Routes, r.clone())
		}
	}
	for _, r := range t.messages {
		d.Routes = append(d.Routes, r.clone())
	}
	slices.SortFunc(d.Routes, func(a, b Route) int { return strings.Compare(a.RouteKey, b.RouteKey) })
	return d
}

// clone returns a copy of the route that shares no map with it.
func (r *Route) clone() Route {
	c := *r
	c.RequestParameters, c.RequestModels = maps.Clone(r.RequestParameters), maps.Clone(r.RequestModels)
	return c
}

func (g *Gateway) deploy(d Deployment) error {
	g.deploying.Lock()
	defer g.deploying.Unlock()
	t, err := g.newRouteTable(d)
	if err != nil {
		return err
	}
	g.routes.Store(t)
	return nil
}

func (g *Gateway) addRoute(r Route, where string) error {
	g.deploying.Lock()
	defer g.deploying.Unlock()
	t := g.routes.Load().clone()
	if err := t.add(r, where, g.config, nil); err != nil {
		return err
	}
	g.routes.Store(t)
	return nil
}

// routeTable is a deployment, ready to be used. Once stored it never changes.
type routeTable struct {
	deployed       Deployment // all of it but the routes
	selection      *selection.Expression
	apiKey         *selection.Expression
	stageVariables map[string]string
	connect        *route
	disconnect     *route
	fallback       *route // $default
	messages       map[string]*route
	bucket         *limit.Bucket // of the stage, for connects and messages
	management     *limit.Bucket // of the stage, for calls of @connections
}

// route is a Route with its middleware around the integration.
type route struct {
	Route
	handler   Integration
	bucket    *limit.Bucket
	required  []mapping.Source
	selection *selection.Expression // of the model; nil: no model is asked for
	where     string                // it was registered

	stageVariables map[string]string // of its deployment
	bodyDropped    atomic.Bool       // the log has told of a body that the client did not get
}

// compileRouteSelection compiles a route selection expression. One without a variable
// would give every message the same key.
func compileRouteSelection(text string) (*selection.Expression, error) {
	e, err := compileSelection(selection.Route, text)
	if err == nil && e.Constant() {
		return nil, &SelectionExpressionError{
			Expression: text, Position: len(text),
			Reason: "there is no variable, so that every message would have the same route key: write one, like $request.body.action",
		}
	}
	return e, err
}

// newRouteTable makes a deployment ready. Throttles that stay the same keep the
// buckets of the present table, if there is one.
func (g *Gateway) newRouteTable(d Deployment) (*routeTable, error) {
	expression, err := compileRouteSelection(d.RouteSelectionExpression)
	if err != nil {
		return nil, invalid("RouteSelectionExpression", err)
	}
	apiKey, err := compileSelection(selection.APIKey, d.APIKeySelectionExpression)
	if err != nil {
		return nil, invalid("APIKeySelectionExpression", err)
	}
	if err := d.DefaultThrottle.check("DefaultThrottle"); err != nil {
		return nil, err
	}
	before := g.routes.Load()
	if before == nil {
		before = &routeTable{}
	}
	variables := maps.Clone(d.StageVariables)
	t := &routeTable{
		deployed: Deployment{
			RouteSelectionExpression: d.RouteSelectionExpression, APIKeySelectionExpression: d.APIKeySelectionExpression,
			StageVariables: variables, DefaultThrottle: d.DefaultThrottle,
		},
		selection:      expression,
		apiKey:         apiKey,
		stageVariables: variables,
		messages:       map[string]*route{},
		bucket:         before.bucket.Keep(d.DefaultThrottle.rate()),
		management:     before.management.Keep(d.DefaultThrottle.rate()),
	}
	for n, r := range d.Routes {
		if err := t.add(r, fmt.Sprintf("Routes[%d]", n), g.config, before.find(r.RouteKey)); err != nil {
			return nil, err
		}
	}
	return t, nil
}

func (t *routeTable) clone() *routeTable {
	c := *t
	c.messages = maps.Clone(t.messages)
	return &c
}

// find returns the route of a key, or nil.
func (t *routeTable) find(key string) *route {
	if slot := t.lifecycle(key); slot != nil {
		return *slot
	}
	return t.messages[key]
}

// add checks r and puts it into the table. before, which may be nil, is the route
// that it replaces.
func (t *routeTable) add(r Route, where string, c *config, before *route) error {
	key := r.RouteKey
	slot, taken := t.lifecycle(key), t.find(key)
	switch {
	case key == "":
		return fmt.Errorf("%w: the route key of %s is empty: write the value that selects the route, or $default", ErrInvalidOption, where)
	case len([]rune(key)) > maxRouteKey:
		return fmt.Errorf("%w: route key %q has more than %d characters: shorten it", ErrInvalidOption, key, maxRouteKey)
	case slot == nil && strings.HasPrefix(key, "$"):
		return fmt.Errorf("%w: route key %q: only $connect, $disconnect and $default begin with $", ErrInvalidOption, key)
	case isNil(r.Integration):
		return fmt.Errorf("%w: route %q: the integration is nil: set it, for example to &gateway.MockIntegration{}", ErrInvalidOption, key)
	case taken != nil:
		return fmt.Errorf("%w: route %q is registered already, at %s: remove one of the two", ErrInvalidOption, key, taken.where)
	}
	if err := r.checkAdmission(c, t.apiKey); err != nil {
		return err
	}
	if err := validate(fmt.Sprintf("route %q", key), r.Integration); err != nil {
		return err
	}
	added := &route{Route: r.clone(), handler: r.Integration, where: where, stageVariables: t.stageVariables}
	if before != nil {
		added.bucket = before.bucket
	}
	added.bucket = added.bucket.Keep(r.Throttle.rate())
	if err := added.compileValidation(); err != nil {
		return err
	}
	if p, ok := r.Integration.(preparer); ok {
		var err error
		if added.handler, err = p.prepare(&r); err != nil {
			return invalid(fmt.Sprintf("route %q", key), err)
		}
	}
	for n := len(c.middleware) - 1; n >= 0; n-- {
		if added.handler = c.middleware[n](added.handler); isNil(added.handler) {
			return fmt.Errorf("%w: route %q: middleware %d of WithMiddleware returned a nil Integration: return next to leave the route as it is", ErrInvalidOption, key, n)
		}
	}
	if slot != nil {
		*slot = added
	} else {
		t.messages[key] = added
	}
	return nil
}

// checkAdmission checks what the route asks of a client.
func (r *Route) checkAdmission(c *config, apiKey *selection.Expression) error {
	connect := r.RouteKey == RouteKeyConnect
	switch {
	case r.Authorizer != nil && isNil(r.Authorizer):
		return fmt.Errorf("%w: route %q: the Authorizer is a nil %T: set it, or leave Route.Authorizer nil to let every client in", ErrInvalidOption, r.RouteKey, r.Authorizer)
	case r.Authorizer != nil && !connect:
		return fmt.Errorf("%w: route %q has an Authorizer: authorization is restricted to $connect", ErrInvalidOption, r.RouteKey)
	case r.APIKeyRequired && !connect:
		return fmt.Errorf("%w: route %q requires an API key: only $connect can, a message brings none", ErrInvalidOption, r.RouteKey)
	case r.APIKeyRequired && c.usagePlans == nil:
		return fmt.Errorf("%w: route %q requires an API key, and there are none: pass WithUsagePlans to New", ErrInvalidOption, r.RouteKey)
	case r.APIKeyRequired && r.Authorizer == nil && apiKey.UsesAuthorizerKey():
		return fmt.Errorf("%w: route %q takes its API key from the authorizer, and there is none: set Route.Authorizer", ErrInvalidOption, r.RouteKey)
	}
	where := fmt.Sprintf("route %q", r.RouteKey)
	if err := validate(where, r.Authorizer); err != nil {
		return err
	}
	return r.Throttle.check(where)
}

// lifecycle returns where the route of a reserved key is kept, or nil.
func (t *routeTable) lifecycle(key string) **route {
	switch key {
	case RouteKeyConnect:
		return &t.connect
	case RouteKeyDisconnect:
		return &t.disconnect
	case RouteKeyDefault:
		return &t.fallback
	}
	return nil
}

// isNil reports whether an Integration, an Authorizer or the like is nil, or a nil
// func or pointer of a type that is one.
func isNil(x any) bool {
	switch v := reflect.ValueOf(x); v.Kind() {
	case reflect.Invalid:
		return true
	case reflect.Func, reflect.Pointer:
		return v.IsNil()
	default:
		return false
	}
}

// validate returns what is wrong with the fields of an Integration, an Authorizer
// or a ManagementAuth, if x has a method that says so. The error begins with where.
func validate(where string, x any) error {
	v, ok := x.(interface{ Validate() error })
	if !ok {
		return nil
	}
	if err := v.Validate(); err != nil {
		return invalid(where, err)
	}
	return nil
}

// callerOutside returns file:line of the first caller outside this package's
// Handle and HandleFunc.
func callerOutside() string {
	var pcs [8]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(3, pcs[:])])
	for {
		f, more := frames.Next()
		if !strings.HasSuffix(f.Function, "(*Gateway).HandleFunc") || !more {
			return fmt.Sprintf("%s:%d", f.File, f.Line)
		}
	}
}
