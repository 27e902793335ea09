package gateway

import (
	"context"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"

	"example.com/gateway/internal/limit"
	"example.com/gateway/internal/mapping"
	"example.com/gateway/internal/nearest"
	"example.com/gateway/internal/selection"
	"example.com/gateway/internal/strict"
)

// The route keys that the service reserves. (API Gateway: "Working with routes
// for WebSocket APIs".)
const (
	RouteKeyConnect    = "$connect"    // runs before an upgrade is answered with 101
	RouteKeyDisconnect = "$disconnect" // runs after a connection has closed
	RouteKeyDefault    = "$default"    // serves the messages that match no other route
)

// The route keys of presence, which the service does not have. They are for backends that tell
// the members of a group who comes and goes. No message of a client selects them.
//
// The integration of $join runs after a connection has joined a group, and that of $leave
// after it has left one: by [Gateway.Leave], by a command in an answer, or because it has
// closed. Request.Group is the group. The events of one group run one after the other, in the
// order of the changes; those of different groups run at the same time. So a backend that
// keeps a list of members by them is right as soon as the last event has run. And:
// [Gateway.List] contains a connection once its $join runs, until it leaves.
//
// Joining a group again and leaving a group that one is not in are no changes, and have no
// event. When a connection closes, the $leave of each of its groups runs, then its
// $disconnect: that is still its last event. What an integration returns is ignored, but for the
// commands of [WithAnswerCommands]; its failure is logged, and nothing is undone. Each has
// Quotas.IntegrationTimeout, during which the next event of the group waits.
//
// No call, no client and no close waits for an integration of $join or $leave; only $disconnect
// does. What bounds the events of an integration that is too slow:
//
//   - While 1,000 events of a group wait, the $join of a member that leaves before its turn has come
//     does not run, and one $leave that waits is enough for all visits of a member that are over. So
//     a $leave may come without its $join, but none is missing.
//   - Nobody can join a group while 10,000 leaves of it have not been told; nor can a connection join any
//     while more leaves of this connection have not been told than Quotas.GroupsPerConnection, or 100 if that
//     is more. A leave is told when the $leave has run, or its turn has come if there is only $join.
//     [Gateway.Join] returns [ErrLimitExceeded], and an answer that asks for it fails: on $connect, the
//     client gets 502. To join a group again is no change, and is never refused. Everybody can leave at any
//     time.
//
// A deployment without the two routes tells nobody anything; a $join that waits does not run later if its
// connection has left meanwhile. Once the routes are back, make a list of the members anew, with
// [Gateway.List].
//
// Nothing else is dropped, except by [Gateway.Close] and a [Gateway.Shutdown] whose context has
// ended: what has not run 400 ms later is lost, which is logged, so that $disconnect has time.
const (
	RouteKeyJoin  = "$join"
	RouteKeyLeave = "$leave"
)

// maxRouteKey is the service's limit for the length of a route key, in characters.
const maxRouteKey = 128

// Route says which integration serves the events of a route key.
type Route struct {
	// RouteKey is one of the reserved keys, or the value of the route selection
	// expression that selects this route. It is compared exactly, has at most 128
	// characters, and does not begin with "$" unless it is reserved.
	RouteKey string
	// Integration serves the events of the route. It is required.
	Integration Integration
	// RouteResponse makes the route two-way: the Body of the integration's Response
	// goes to the client. Without it the body is dropped, which the log says once.
	// Error frames are sent on every route.
	RouteResponse bool
	// Authorizer decides who may connect. Only $connect may have one; nil lets every
	// client connect.
	Authorizer Authorizer
	// APIKeyRequired refuses clients without a valid API key with 403. Only $connect
	// may require a key. The connect and all messages of the client then count against
	// the usage plan of its key. It needs [WithUsageStore].
	APIKeyRequired bool
	// Throttle limits the requests to the route, of all clients together, and replaces the
	// default throttle of the stage for it. The zero value means the stage's. To limit each
	// client or user, see [WithAPIKeyRequired].
	Throttle Throttle
	// RequestParameters are the parameters of the upgrade request that the route knows,
	// route.request.header.{name} and route.request.querystring.{name}. A value of true
	// makes the parameter required: a client that does not send it, or sends it blank,
	// gets 400. Only $connect may have parameters.
	RequestParameters map[string]bool
	// ModelSelectionExpression selects by its value which of RequestModels a message
	// has to fit. The model with the key "$default" is for messages that select no other.
	// If a message does not fit its model, or there is no model for it, the client gets
	// the error frame "Invalid request body", and the integration is not invoked. With
	// "" messages are not checked. A literal dollar sign is written \$: the expression
	// \$default always selects "$default".
	ModelSelectionExpression string
	// RequestModels are the models by their keys.
	RequestModels map[string]Model
}

// RouteOption changes a [Route] that [Gateway.Handle] makes.
type RouteOption func(*Route)

// WithRouteResponse sets Route.RouteResponse.
func WithRouteResponse() RouteOption { return func(r *Route) { r.RouteResponse = true } }

// WithThrottle sets Route.Throttle: rateLimit requests a second, and burstLimit at once, of
// all clients together.
func WithThrottle(rateLimit float64, burstLimit int) RouteOption {
	return func(r *Route) { r.Throttle = Throttle{rateLimit, burstLimit} }
}

// WithAPIKeyRequired sets Route.APIKeyRequired. The API key has 20 to 128 characters; any
// other is refused with 403, and the [UsageStore] is not asked.
//
// This is also how to limit each user or each client: the [Authorizer] returns a key for
// the user, as the example shows, and the usage plan of the key limits the requests of all
// connections with this key together. For a limit of each connection, return a key for each
// connection.
func WithAPIKeyRequired() RouteOption { return func(r *Route) { r.APIKeyRequired = true } }

// WithRequestParameters sets Route.RequestParameters.
func WithRequestParameters(required map[string]bool) RouteOption {
	return func(r *Route) { r.RequestParameters = required }
}

// WithRequestModel checks every message of the route with the model m. It sets
// Route.ModelSelectionExpression to \$default, and Route.RequestModels to m with the key
// "$default". If a message does not fit, the client gets the error frame "Invalid request
// body".
func WithRequestModel(m Model) RouteOption {
	return WithRequestModels(`\`+defaultModel, map[string]Model{defaultModel: m})
}

// WithRequestModels sets Route.ModelSelectionExpression and Route.RequestModels, for a
// route whose messages have different models. If all messages have the same model, use
// WithRequestModel.
func WithRequestModels(modelSelectionExpression string, models map[string]Model) RouteOption {
	return func(r *Route) { r.ModelSelectionExpression, r.RequestModels = modelSelectionExpression, models }
}

// Handle adds a route. It serves new connections and those that are open. Like
// [net/http.ServeMux.Handle] it panics on misuse, with an error that wraps
// [ErrInvalidOption] and says what to change: for example when the key is empty, has a
// route already, or begins with "$" and is not reserved, or when the integration is nil.
// What is allowed but probably a mistake is logged as a warning: a misspelt variable in a
// template, or a key such as "connect", which is a route for messages, where $connect was
// meant. It is safe for concurrent use.
func (g *Gateway) Handle(routeKey string, i Integration, opts ...RouteOption) {
	r := Route{RouteKey: routeKey, Integration: i}
	for n, o := range opts {
		if o == nil {
			panic(fmt.Errorf("%w: route %q: RouteOption %d is nil: leave it out", ErrInvalidOption, routeKey, n))
		}
		o(&r)
	}
	t, err := g.addRoute(r, callerOutside())
	if err != nil {
		panic(err)
	}
	g.logDoubts(t, t.find(r.RouteKey))
}

// HandleFunc is [Gateway.Handle] for a func instead of an [Integration].
func (g *Gateway) HandleFunc(routeKey string, fn func(context.Context, *Request) (*Response, error), opts ...RouteOption) {
	var i Integration
	if fn != nil {
		i = IntegrationFunc(fn)
	}
	g.Handle(routeKey, i, opts...)
}

// Deployment is everything that [Gateway.Deploy] replaces.
type Deployment struct {
	// RouteSelectionExpression is that of [WithRouteSelectionExpression]. "" means the
	// expression that was given to New.
	RouteSelectionExpression string
	// APIKeySelectionExpression is that of [WithAPIKeySelectionExpression]. "" means the
	// expression that was given to New.
	APIKeySelectionExpression string
	// Routes are all routes. Each key may occur once.
	Routes []Route
	// StageVariables are the stage variables. nil means those that were given to New.
	StageVariables map[string]string
	// DefaultThrottle is that of [WithDefaultThrottle]. The zero value means the throttle
	// that was given to New. A throttle whose values do not change keeps its tokens. This
	// is so for the throttles of routes, too.
	//
	// So the zero value cannot remove the throttle of New. To be able to remove it, leave
	// [WithDefaultThrottle] out, and set DefaultThrottle in each Deployment that needs it.
	// A throttle that no traffic reaches removes it too: {RateLimit: 1e9, BurstLimit: 1e9}.
	DefaultThrottle Throttle
}

// Deploy replaces all routes, also those of [Gateway.Handle], and everything else that a
// Deployment has, in one step. Each event is served by the old deployment or by the new
// one, never by parts of both. Open connections stay open: their next event is served by
// the new one. An error wraps [ErrInvalidOption] and says what to change; then nothing
// has been replaced. What is allowed but probably a mistake is logged as a warning, as for
// Handle. It is safe for concurrent use. (API Gateway: "Deploy a WebSocket API".)
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
	t, err := g.deploy(d)
	if err != nil {
		return err
	}
	g.logDeployed(len(d.Routes)) // without the lock: a log may block
	if t.selection.Constant() {
		g.logConstantSelection(d.RouteSelectionExpression)
	}
	g.logDoubts(t, t.all()...)
	return nil
}

// Deployment returns what is deployed: what Deploy or New was given last, with the routes
// that Handle has added. If it is passed to Deploy, nothing changes. The defaults are
// filled in, and the routes are sorted by their keys.
//
// The result is a copy that the caller may change and deploy. It has what is served: the
// integrations of this package are copies, which were made when their routes were set. The
// Authorizer, the Models and the integrations of other packages are shared with the routes.
// Middleware belongs to the Gateway and is not part of it. It is safe for concurrent use.
func (g *Gateway) Deployment() Deployment {
	t := g.routes.Load()
	d := t.deployed
	d.StageVariables = maps.Clone(d.StageVariables)
	for _, r := range t.all() {
		d.Routes = append(d.Routes, r.clone())
	}
	return d
}

// clone returns a copy of the route that shares no map and no integration of this package
// with it.
func (r *Route) clone() Route {
	c := *r
	if p, ok := asPreparer(r.Integration); ok {
		c.Integration = p.clone()
	}
	c.RequestParameters, c.RequestModels = maps.Clone(r.RequestParameters), maps.Clone(r.RequestModels)
	return c
}

func (g *Gateway) deploy(d Deployment) (*routeTable, error) {
	g.deploying.Lock()
	defer g.deploying.Unlock()
	t, err := g.newRouteTable(d)
	if err != nil {
		return nil, err
	}
	g.routes.Store(t)
	return t, nil
}

func (g *Gateway) addRoute(r Route, where string) (*routeTable, error) {
	g.deploying.Lock()
	defer g.deploying.Unlock()
	t := g.routes.Load().clone()
	if err := t.add(r, where, g.config, nil); err != nil {
		return nil, err
	}
	g.routes.Store(t)
	return t, nil
}

// routeTable is a compiled deployment. It does not change after it has been stored.
type routeTable struct {
	deployed       Deployment // all of it but the routes
	selection      *selection.Expression
	apiKey         *selection.Expression
	stageVariables map[string]string
	selected       strict.Members // what the route selection expression reads of a message
	connect        *route
	disconnect     *route
	fallback       *route // $default
	join, leave    *route // $join, $leave
	messages       map[string]*route
	bucket         *limit.Bucket // of the stage, for connects and messages
	management     *limit.Bucket // of the stage, for calls of @connections
}

// route is a Route with its middleware around the integration.
type route struct {
	Route
	handler    Integration
	commanding commanding // around handler; nil: commands of its answers are not done
	bucket     *limit.Bucket
	required   []mapping.Source
	selection  *selection.Expression // of the model; nil: no model is asked for
	where      string                // where it was registered

	stageVariables map[string]string // of its deployment
	selected       strict.Members    // likewise: what the route selection expression reads of a message
	doubts         []string          // about names in it: see logDoubts
	bodyDropped    atomic.Bool       // the log has said that the client does not get the body
	commandsTold   atomic.Bool       // commands of its answers are done, or the log has said that they are not
}

// unrouted stands for the route of a message that matches none.
//
//nolint:gochecknoglobals // never changes
var unrouted = &route{}

// checkNotConstant refuses a route selection expression without a variable, which would
// give every message the same key.
func checkNotConstant(text string, e *selection.Expression) error {
	if !e.Constant() {
		return nil
	}
	return invalid("RouteSelectionExpression", &SelectionExpressionError{
		Expression: text, Position: len(text),
		Reason: "there is no variable, so that every message would have the same route key: write one, like $request.body.action",
	})
}

// newRouteTable checks and compiles a deployment. A throttle that stays the same keeps
// its bucket from the present table, if there is one.
func (g *Gateway) newRouteTable(d Deployment) (*routeTable, error) {
	expression, err := compileSelection(selection.Route, d.RouteSelectionExpression)
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
		selected:       membersOf(expression.Reads()),
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
	if slot := t.reserved(key); slot != nil {
		return *slot
	}
	return t.messages[key]
}

// all returns the routes of a table, sorted by their keys.
func (t *routeTable) all() []*route {
	routes := slices.Collect(maps.Values(t.messages))
	for _, r := range [...]*route{t.connect, t.disconnect, t.fallback, t.join, t.leave} {
		if r != nil {
			routes = append(routes, r)
		}
	}
	slices.SortFunc(routes, func(a, b *route) int { return strings.Compare(a.RouteKey, b.RouteKey) })
	return routes
}

// add checks and compiles r, and puts it into the table. before is the route that it
// replaces, or nil. where says where the route was registered.
func (t *routeTable) add(r Route, where string, c *config, before *route) error {
	if err := t.check(&r, where, c); err != nil {
		return err
	}
	added, err := t.compile(r.clone(), where, before)
	if err != nil {
		return err
	}
	if err := added.wrap(c.middleware); err != nil {
		return err
	}
	if c.commanding != nil {
		added.commanding = c.commanding(added.handler)
		added.commandsTold.Store(true)
	}
	if slot := t.reserved(r.RouteKey); slot != nil {
		*slot = added
	} else {
		t.messages[r.RouteKey] = added
	}
	return nil
}

// check returns what is wrong with r, before it is compiled.
func (t *routeTable) check(r *Route, where string, c *config) error {
	key := r.RouteKey
	slot, taken := t.reserved(key), t.find(key)
	switch {
	case key == "":
		return fmt.Errorf("%w: the route key of %s is empty: write the value that selects the route, or $default", ErrInvalidOption, where)
	case len([]rune(key)) > maxRouteKey:
		return fmt.Errorf("%w: route key %q has more than %d characters: shorten it", ErrInvalidOption, key, maxRouteKey)
	case slot == nil && strings.HasPrefix(key, "$"):
		return fmt.Errorf("%w: route key %q: only $connect, $disconnect and $default begin with $, and $join and $leave", ErrInvalidOption, key)
	case isNil(r.Integration):
		return fmt.Errorf("%w: route %q: the integration is nil: set it, for example to &gateway.MockIntegration{}", ErrInvalidOption, key)
	case isLifecycle(key) && needsMessage(r.Integration):
		return fmt.Errorf("%w: route %q: its events have no body that gateway.JSON could decode: use HandleFunc", ErrInvalidOption, key)
	case taken != nil:
		return fmt.Errorf("%w: route %q is registered already, at %s: remove one of the two", ErrInvalidOption, key, taken.where)
	}
	if err := r.checkAdmission(c, t.apiKey); err != nil {
		return err
	}
	return validate(fmt.Sprintf("route %q", key), r.Integration)
}

// compile makes the route that add puts into the table, without its middleware. r is its
// own.
func (t *routeTable) compile(r Route, where string, before *route) (*route, error) {
	added := &route{Route: r, handler: r.Integration, where: where, stageVariables: t.stageVariables, selected: t.selected}
	if before != nil {
		added.bucket = before.bucket
	}
	added.bucket = added.bucket.Keep(r.Throttle.rate())
	if err := added.compileValidation(); err != nil {
		return nil, err
	}
	if p, ok := asPreparer(r.Integration); ok {
		var err error
		if added.handler, err = p.prepare(&r); err != nil {
			return nil, invalid(fmt.Sprintf("route %q", r.RouteKey), err)
		}
	}
	added.doubts = doubtsOf(&r, added.handler, t.stageVariables)
	return added, nil
}

// wrap puts the middleware around the integration of the route: the first is outermost.
func (r *route) wrap(middleware []Middleware) error {
	for n := len(middleware) - 1; n >= 0; n-- {
		if r.handler = middleware[n](r.handler); isNil(r.handler) {
			return fmt.Errorf("%w: route %q: middleware %d of WithMiddleware returned a nil Integration: return next to leave the route as it is", ErrInvalidOption, r.RouteKey, n)
		}
	}
	return nil
}

// checkAdmission returns what is wrong with the conditions that the route sets for a
// client.
func (r *Route) checkAdmission(c *config, apiKey *selection.Expression) error {
	connect := r.RouteKey == RouteKeyConnect
	switch {
	case r.Authorizer != nil && isNil(r.Authorizer):
		return fmt.Errorf("%w: route %q: the Authorizer is a nil %T: set it, or leave Route.Authorizer nil to let every client in", ErrInvalidOption, r.RouteKey, r.Authorizer)
	case r.Authorizer != nil && !connect:
		return fmt.Errorf("%w: route %q: only $connect can have an Authorizer: move it there", ErrInvalidOption, r.RouteKey)
	case r.APIKeyRequired && !connect:
		return fmt.Errorf("%w: route %q: only $connect can require a key: set it there; messages have no API key", ErrInvalidOption, r.RouteKey)
	case r.APIKeyRequired && c.usageStore == nil:
		return fmt.Errorf("%w: route %q requires an API key, and there are none: pass WithUsageStore to New", ErrInvalidOption, r.RouteKey)
	case r.APIKeyRequired && r.Authorizer == nil && apiKey.UsesAuthorizerKey():
		return fmt.Errorf("%w: route %q takes its API key from the authorizer, and there is none: set Route.Authorizer", ErrInvalidOption, r.RouteKey)
	}
	where := fmt.Sprintf("route %q", r.RouteKey)
	if err := validate(where, r.Authorizer); err != nil {
		return err
	}
	return r.Throttle.check(where)
}

// reserved returns the field for the route of a reserved key, or nil for another key.
func (t *routeTable) reserved(key string) **route {
	switch key {
	case RouteKeyConnect:
		return &t.connect
	case RouteKeyDisconnect:
		return &t.disconnect
	case RouteKeyDefault:
		return &t.fallback
	case RouteKeyJoin:
		return &t.join
	case RouteKeyLeave:
		return &t.leave
	}
	return nil
}

// callerOutside returns file:line of the call of Handle or HandleFunc.
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

// doubtOfKey returns the doubt about a route key of t, or "". A key like "connect" is no
// mistake if the table has a $connect route, too.
func (t *routeTable) doubtOfKey(key string) string {
	trimmed := strings.TrimSpace(key)
	for _, reserved := range [...]string{RouteKeyConnect, RouteKeyDisconnect, RouteKeyDefault} {
		if key != reserved && strings.EqualFold(strings.TrimPrefix(trimmed, "$"), reserved[1:]) && t.find(reserved) == nil {
			return fmt.Sprintf("route key %q is a route for messages%s", key, nearest.Question(reserved))
		}
	}
	if key != trimmed {
		return fmt.Sprintf("route key %q has a blank at its beginning or end%s", key, nearest.Question(trimmed))
	}
	return ""
}

// maxDoubts is how many doubts are logged at a time. Somebody who reads that many knows that
// something is wrong with the deployment as a whole.
const maxDoubts = 20

// logDoubts logs the doubts about routes of t that have just been deployed.
func (g *Gateway) logDoubts(t *routeTable, routes ...*route) {
	n := 0
	logIfFew := func(log func(routeKey, doubt string), routeKey, doubt string) {
		if n++; n <= maxDoubts {
			log(routeKey, doubt)
		}
	}
	for _, r := range routes {
		if r == nil {
			continue
		}
		if doubt := t.doubtOfKey(r.RouteKey); doubt != "" {
			logIfFew(g.logKeyDoubt, r.RouteKey, doubt)
		}
		for _, doubt := range r.doubts {
			logIfFew(g.logDoubt, r.RouteKey, doubt)
		}
	}
	if n > maxDoubts {
		g.logMoreDoubts(n - maxDoubts)
	}
}
