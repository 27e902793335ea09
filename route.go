package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"example.com/gateway/internal/connid"
	"example.com/gateway/internal/deadline"
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
	// whether they are required: $connect only. A client that lacks a required one
	// gets 400.
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

// WithRequestModels sets Route.ModelSelectionExpression and Route.RequestModels.
func WithRequestModels(modelSelectionExpression string, models map[string]Model) RouteOption {
	return func(r *Route) { r.ModelSelectionExpression, r.RequestModels = modelSelectionExpression, models }
}

// Handle adds a route, for open connections too. Like [net/http.ServeMux.Handle]
// it panics on misuse: a key that is empty, taken or reserved, a nil integration.
// It is safe for concurrent use.
func (g *Gateway) Handle(routeKey string, i Integration, opts ...RouteOption) {
	r := Route{RouteKey: routeKey, Integration: i}
	for _, o := range opts {
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
	Routes                   []Route
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
	if d.StageVariables == nil {
		d.StageVariables = g.stageVariables
	}
	if d.DefaultThrottle == (Throttle{}) {
		d.DefaultThrottle = g.defaultThrottle
	}
	g.deploying.Lock()
	defer g.deploying.Unlock()
	t, err := g.newRouteTable(d)
	if err != nil {
		return err
	}
	g.routes.Store(t)
	g.log.Info("deployed", "stage", g.stage, "routes", len(d.Routes))
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
	selection      *selectionExpression
	stageVariables map[string]string
	connect        *route
	disconnect     *route
	fallback       *route // $default
	messages       map[string]*route
	limiter        *limiter // of the stage
}

// route is a Route with its middleware around the integration.
type route struct {
	Route
	handler   Integration
	limiter   *limiter
	required  []requiredParameter
	selection *selectionExpression // of the model; nil: no model is asked for
	where     string               // it was registered
}

// newRouteTable makes a deployment ready. Throttles that stay the same keep the
// buckets of the present table, if there is one.
func (g *Gateway) newRouteTable(d Deployment) (*routeTable, error) {
	selection, err := compileSelection(selectRoute, d.RouteSelectionExpression)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalidOption, err)
	}
	if err := d.DefaultThrottle.check("the default throttle"); err != nil {
		return nil, err
	}
	before := g.routes.Load()
	if before == nil {
		before = &routeTable{}
	}
	t := &routeTable{
		selection:      selection,
		stageVariables: maps.Clone(d.StageVariables),
		messages:       map[string]*route{},
		limiter:        before.limiter.keep(d.DefaultThrottle),
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
		return fmt.Errorf("%w: the route key is empty", ErrInvalidOption)
	case len([]rune(key)) > maxRouteKey:
		return fmt.Errorf("%w: route key %q has more than %d characters", ErrInvalidOption, key, maxRouteKey)
	case slot == nil && strings.HasPrefix(key, "$"):
		return fmt.Errorf("%w: route key %q: only $connect, $disconnect and $default begin with $", ErrInvalidOption, key)
	case isNil(r.Integration):
		return fmt.Errorf("%w: route %q has no integration", ErrInvalidOption, key)
	case taken != nil:
		return fmt.Errorf("%w: route %q is registered already, at %s", ErrInvalidOption, key, taken.where)
	}
	if err := r.checkAdmission(c); err != nil {
		return err
	}
	added := &route{Route: r, handler: r.Integration, where: where}
	if before != nil {
		added.limiter = before.limiter
	}
	added.limiter = added.limiter.keep(r.Throttle)
	if err := added.compileValidation(); err != nil {
		return err
	}
	if p, ok := r.Integration.(preparer); ok {
		var err error
		if added.handler, err = p.prepare(&r); err != nil {
			return fmt.Errorf("route %q: %w", key, err)
		}
	}
	for n := len(c.middleware) - 1; n >= 0; n-- {
		added.handler = c.middleware[n](added.handler)
	}
	if slot != nil {
		*slot = added
	} else {
		t.messages[key] = added
	}
	return nil
}

// checkAdmission checks what the route asks of a client.
func (r *Route) checkAdmission(c *config) error {
	connect := r.RouteKey == RouteKeyConnect
	switch {
	case r.Authorizer != nil && noAuthorizer(r.Authorizer):
		return fmt.Errorf("%w: route %q: the Authorizer is a nil func", ErrInvalidOption, r.RouteKey)
	case r.Authorizer != nil && !connect:
		return fmt.Errorf("%w: route %q has an Authorizer: authorization is restricted to $connect", ErrInvalidOption, r.RouteKey)
	case r.APIKeyRequired && !connect:
		return fmt.Errorf("%w: route %q requires an API key: only $connect can, a message brings none", ErrInvalidOption, r.RouteKey)
	case r.APIKeyRequired && c.usagePlans == nil:
		return fmt.Errorf("%w: route %q requires an API key, and there are none: pass WithUsagePlans to New", ErrInvalidOption, r.RouteKey)
	case r.APIKeyRequired && r.Authorizer == nil && c.apiKeySelection.pieces[0].variable == varUsageIdentifier:
		return fmt.Errorf("%w: route %q takes its API key from the authorizer, and there is none: set Route.Authorizer", ErrInvalidOption, r.RouteKey)
	}
	if a, ok := r.Authorizer.(checker); ok {
		if err := a.check(); err != nil {
			return fmt.Errorf("route %q: %w", r.RouteKey, err)
		}
	}
	return r.Throttle.check(fmt.Sprintf("route %q", r.RouteKey))
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

// match returns the route of a message, or nil: the route whose key the
// selection expression gives, else $default. A message never reaches $connect or
// $disconnect, which are no keys of t.messages, whatever it says.
func (t *routeTable) match(body []byte) *route {
	var scratch [maxRouteKey]byte
	if key, ok := t.selection.route(body, scratch[:0]); ok {
		if r := t.messages[string(key)]; r != nil {
			return r
		}
	}
	return t.fallback
}

func isNil(i Integration) bool {
	f, ok := i.(IntegrationFunc)
	return i == nil || ok && f == nil
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

// worker runs the integrations of a connection's messages, one after the other,
// on the goroutine that calls run: the reader's, or one of its own.
//
// The reader runs an integration itself because most return at once, and a
// hand-over to another goroutine costs more than they do. When one does not, the
// guard lets another goroutine take the reading over, so that pings, closes and
// further messages are seen, and ends the wait at the integration's timeout.
type worker struct {
	c *connection

	// c.mu guards the fields below.
	guard *time.Timer
	reads bool  // its goroutine is the connection's reader
	call  *call // under way
}

// takeOverAfter is how long an integration may keep the reader from reading, and
// a corked reply from going out.
const takeOverAfter = time.Millisecond

// call is one message with its integration: its context, its request and its IDs
// lie in one allocation.
type call struct {
	deadline.Context
	table *routeTable
	route *route
	req   Request
	ids   connid.IDs
	start time.Time
	until time.Time // zero: no timeout
}

// run serves message and then, unless its goroutine has to read, those of the
// inbox. It reports whether its goroutine is still the reader.
func (w *worker) run(message []byte, now time.Time) (reads bool) {
	c := w.c
	for w.serve(message, now) {
		c.mu.Lock()
		if w.reads || len(c.inbox) == 0 {
			reads = w.reads
			c.workerEndedLocked()
			c.mu.Unlock()
			return reads
		}
		message = c.takeLocked()
		c.mu.Unlock()
		now = time.Now()
	}
	return false
}

// serve takes one message through the service's steps: a route, the throttles,
// the model, the integration, the answer. It reports false when the integration
// came too late: the worker has been replaced.
func (w *worker) serve(message []byte, now time.Time) bool {
	c := w.c
	t := c.g.routes.Load()
	r := t.match(message)
	if r == nil {
		r = unrouted
	}
	call := &call{table: t, route: r, start: now}
	c.fill(&call.req, t, r, EventMessage, now)
	call.req.RequestID, call.req.MessageID = call.ids.Make(c.id)
	call.req.Body = message
	if timeout := c.g.quotas.IntegrationTimeout; timeout > 0 {
		call.until = now.Add(timeout)
	}
	call.Init(c.ctx, call.until)
	w.begin(call)
	out := c.admit(call)
	if out.err == nil {
		out = invoke(call, r, &call.req)
	}
	inTime := w.finish(call)
	call.Cancel()
	if inTime {
		c.answer(call, out, w.cork())
	}
	return inTime
}

// unrouted stands in for the route of a message that matches none.
//
//nolint:gochecknoglobals // never changes
var unrouted = &route{}

// admit says whether a message reaches its integration.
func (c *connection) admit(call *call) (out invocation) {
	out.rejected = true // if there is an error
	defer func() {
		if p := recover(); p != nil { // of a Model or a UsageStore
			out.err = &panicError{p, debug.Stack()}
		}
	}()
	if call.route == unrouted {
		out.err = errNoRoute
		return out
	}
	out.err = c.g.throttle(call.table, call.route, c.client, call.start)
	if out.err == nil {
		out.err = c.client.count(call, c.g.usagePlans, call.start)
	}
	if out.err == nil {
		out.err = call.route.validate(call.req.Body)
	}
	return out
}

// cork reports whether the answer may wait, since the next message is there
// already and this goroutine takes it next. Only the worker's goroutine asks, and
// between calls nobody takes the reading from it.
func (w *worker) cork() bool { return w.reads && w.c.ws.Buffered() }

func (w *worker) begin(call *call) {
	w.c.mu.Lock()
	defer w.c.mu.Unlock()
	w.call = call
	wait, ok := w.untilCheckLocked(call.start)
	switch {
	case !ok:
	case w.guard == nil:
		w.guard = time.AfterFunc(wait, w.check)
	default:
		w.guard.Reset(wait)
	}
}

// finish ends call, unless it has been abandoned.
func (w *worker) finish(call *call) bool {
	w.c.mu.Lock()
	defer w.c.mu.Unlock()
	if w.call != call {
		return false
	}
	w.call = nil
	if w.guard != nil {
		w.guard.Stop()
	}
	return true
}

// untilCheckLocked returns how long nothing has to be done about the call.
func (w *worker) untilCheckLocked(now time.Time) (time.Duration, bool) {
	switch {
	case w.reads:
		return w.call.start.Add(takeOverAfter).Sub(now), true
	case !w.call.until.IsZero():
		return w.call.until.Sub(now), true
	}
	return 0, false
}

// check is what the guard does. It goes by the clock, not by why it was woken: a
// timer that was stopped late may call it for nothing.
func (w *worker) check() {
	c := w.c
	c.mu.Lock()
	if w.call == nil {
		c.mu.Unlock()
		return
	}
	now := time.Now()
	if w.reads && now.Sub(w.call.start) >= takeOverAfter {
		w.reads = false
		c.g.running.Go(c.serve)
	}
	wait, ok := w.untilCheckLocked(now)
	expired := ok && wait <= 0
	if ok && !expired {
		w.guard.Reset(wait)
	}
	c.mu.Unlock()
	c.flush() // replies that were corked
	if expired {
		w.abandon(context.DeadlineExceeded)
	}
}

// abandon answers the call under way with err and replaces the worker: its
// goroutine may not come back from the integration.
func (w *worker) abandon(err error) {
	c := w.c
	c.mu.Lock()
	call := w.call
	if call == nil {
		c.mu.Unlock()
		return
	}
	w.call = nil
	if w.reads {
		w.reads = false
		c.g.running.Go(c.serve)
	}
	if c.inline == w {
		c.inline = nil
	}
	c.mu.Unlock()

	c.answer(call, invocation{err: integrationError(call.route.RouteKey, err, errors.Is(err, context.DeadlineExceeded))}, false)

	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.inbox) > 0 {
		c.startWorkerLocked(c.takeLocked())
	}
	c.workerEndedLocked()
}

// startWorkerLocked runs a worker on a goroutine of its own, which ends with the
// inbox; the teardown waits for it.
func (c *connection) startWorkerLocked(message []byte) {
	c.working++
	w := &worker{c: c}
	c.g.running.Go(func() {
		defer w.abandon(errGoexit) // does nothing unless the integration ended this goroutine
		w.run(message, time.Now())
	})
}

// takeLocked takes the first message out of the inbox.
func (c *connection) takeLocked() []byte {
	message := c.inbox[0]
	c.inbox[0] = nil
	if c.inbox = c.inbox[1:]; len(c.inbox) == 0 {
		c.inbox = nil
	}
	c.waiting -= len(message)
	if c.room != nil {
		c.room.Signal()
	}
	return message
}

func (c *connection) workerEndedLocked() {
	c.working--
	c.workersDoneLocked()
}

// workersDoneLocked tells the teardown when no worker is left: from then on there
// is none.
func (c *connection) workersDoneLocked() {
	if c.closing != nil && c.working == 0 {
		close(c.closing.workersDone)
	}
}

// answer does what the outcome of a call asks for.
func (c *connection) answer(call *call, out invocation, cork bool) {
	if out.rejected && out.err != nil {
		c.rejected(call, out.err)
	} else {
		c.g.integrationDone(call, &call.req, out, time.Since(call.start))
	}
	body := out.body()
	limit := c.g.quotas.MessageBytes
	switch {
	case out.err != nil:
		c.replyError(call, out.err, call.req.RequestID, cork)
	case !call.route.RouteResponse || len(body) == 0:
	case limit > 0 && len(body) > limit:
		c.g.log.LogAttrs(call, slog.LevelError, "reply refused", append(c.g.requestAttrs(&call.req), slog.Any("error", errReplySize))...)
		c.replyError(call, errReplySize, call.req.RequestID, cork)
	default:
		c.reply(call, body, cork)
	}
}

// replyError sends an error frame, which goes out on one-way routes too.
func (c *connection) replyError(ctx context.Context, err error, requestID string, cork bool) {
	c.reply(ctx, appendErrorJSON(nil, wireErrorOf(err), c.id, requestID), cork)
}
