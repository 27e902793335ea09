package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"sync/atomic"
	"time"

	"example.com/gateway/internal/selection"
)

// Integration is the backend of a route.
//
// Invoke gets one event and returns what the service would get from a backend.
// It may run concurrently for different connections; for one connection, as
// Quotas.InFlight says. ctx carries the values of the upgrade request, not its
// cancellation; it ends at Quotas.IntegrationTimeout, and when [Gateway.Close] or
// an expired [Gateway.Shutdown] cuts the connections. req belongs to Invoke, its
// Body too.
//
// The returned Response is only read, until the client has its copy; its Body
// must not change for so long. nil means status 200 and no body. An error means
// that the integration failed: the client gets the service's fixed text, never
// the error's. So does a panic, which is logged with its stack. An Invoke that
// outlives its timeout goes on, with its context ended, but its answer is
// dropped.
//
//   - CONNECT: a StatusCode of 0 or 2xx accepts the connection, and of the
//     Header only Sec-WebSocket-Protocol reaches the client. Another from 300 to
//     599 refuses it, with the status, the Header and the Body. An error refuses
//     it with 502, a timeout with 504.
//   - MESSAGE: the Body goes back to the client as a text message, when the route
//     has a route response and the Body is not empty. StatusCode and Header are
//     ignored. An error or timeout becomes an error frame on any route.
//   - DISCONNECT: the result is ignored.
//
// An Integration may have a method Validate() error, which returns what is wrong
// with its fields. [Gateway.Handle] and [Gateway.Deploy] call it, so that the
// mistake shows when the route is set and not at the first event.
//
// (API Gateway: "Managing connected users and client apps: $connect and
// $disconnect routes"; "Setting up WebSocket API integration responses".)
type Integration interface {
	Invoke(ctx context.Context, req *Request) (*Response, error)
}

// IntegrationFunc is a func that is an [Integration].
type IntegrationFunc func(ctx context.Context, req *Request) (*Response, error)

// Invoke calls f.
func (f IntegrationFunc) Invoke(ctx context.Context, req *Request) (*Response, error) {
	return f(ctx, req)
}

// Middleware wraps an [Integration] in another. It runs once for each route,
// when routes are set.
type Middleware func(next Integration) Integration

// EventType says what an integration is invoked for.
type EventType string

// The three event types.
const (
	EventConnect    EventType = "CONNECT"
	EventMessage    EventType = "MESSAGE"
	EventDisconnect EventType = "DISCONNECT"
)

// Request is one event for an [Integration]. It holds what the service puts into
// the requestContext of its events. (API Gateway: "Set up a WebSocket API
// integration request".)
type Request struct {
	RouteKey     string // the route that was selected
	EventType    EventType
	ConnectionID string // 20 characters that end in "==": escape it in a URL
	RequestID    string // 16 characters, another for each event
	MessageID    string // MESSAGE only
	Body         []byte // MESSAGE only: the client's text, valid UTF-8, not nil
	// Upgrade is the client's upgrade request, CONNECT only: header, query,
	// cookies, TLS state. It is as the client sent it, X-Forwarded-For too, but a ";"
	// between the parameters of the query is a "&". It must not be used after Invoke
	// has returned.
	Upgrade  *http.Request
	Identity Identity
	// Authorizer is what the authorizer returned when the client connected: its
	// context and principalId, all strings; on CONNECT also integrationLatency, the
	// milliseconds it took, an int64. nil: there is no authorizer. It is shared: only
	// to be read.
	Authorizer map[string]any

	APIID, Stage, DomainName string
	StageVariables           map[string]string // shared: only to be read

	ConnectedAt, RequestTime time.Time
	DisconnectStatusCode     int    // DISCONNECT only: a WebSocket close code
	DisconnectReason         string // DISCONNECT only

	keyUse  *keyUse // nil: the client has no API key
	failure error   // that ended the request before its integration
}

// Response is what an [Integration] answers. The zero value means status 200 and
// no body.
type Response struct {
	StatusCode int
	Header     http.Header
	Body       []byte
}

// MockIntegration answers without a backend: type MOCK of the service. Its zero
// value answers 200 without a body, which accepts every connection. It is copied when
// its route is set.
type MockIntegration struct {
	// StatusCode and Body are the answer, unless there is a Transform.
	StatusCode int
	Body       []byte
	// Transform, if not nil, answers in their place: its request template has to
	// make JSON with a number statusCode, which selects the integration response.
	Transform *Transform
}

var _ Integration = (*MockIntegration)(nil)

// Invoke returns the answer. A route has a Transform compiled once; a direct call
// compiles it each time.
func (m *MockIntegration) Invoke(ctx context.Context, req *Request) (*Response, error) {
	if m.Transform != nil {
		return invokeOnce(ctx, m, req)
	}
	return &Response{StatusCode: m.StatusCode, Body: m.Body}, nil
}

func (m *MockIntegration) prepare(r *Route) (Integration, error) {
	if m.Transform == nil {
		return &MockIntegration{StatusCode: m.StatusCode, Body: m.Body}, nil // the caller may reuse m
	}
	return compileTransform(m.Transform, selection.MockIntegrationResponse, r, mockBackend)
}

// preparer is an integration that is compiled with its route.
type preparer interface {
	prepare(r *Route) (Integration, error)
}

// invokeOnce serves a direct call of a preparer's Invoke.
func invokeOnce(ctx context.Context, p preparer, req *Request) (*Response, error) {
	i, err := p.prepare(&Route{RouteKey: req.RouteKey, RouteResponse: true})
	if err != nil {
		return nil, err
	}
	return i.Invoke(ctx, req)
}

// invocation is the outcome of one Invoke.
type invocation struct {
	resp     *Response // nil: as the zero value
	err      error     // nil or *IntegrationError; any error of a request that was
	rejected bool      // answered before its integration was asked
	gaveUp   bool      // the integration has not returned, and still has its request
}

func (out *invocation) body() []byte {
	if out.resp == nil {
		return nil
	}
	return out.resp.Body
}

// panicError is what an integration panicked with.
type panicError struct {
	value any
	stack []byte
}

func (e *panicError) Error() string { return fmt.Sprintf("panic: %v", e.value) }

// StackTrace is what the log wants of any error that comes from a panic.
func (e *panicError) StackTrace() []byte { return e.stack }

// invoke runs the integration of r, catches its panic, and turns what went wrong
// into an *IntegrationError. It does not return when Invoke ends the goroutine.
func invoke(ctx context.Context, r *route, req *Request) (out invocation) {
	defer func() {
		if p := recover(); p != nil {
			out = invocation{err: integrationError(r.RouteKey, &panicError{p, debug.Stack()}, false)}
		}
	}()
	resp, err := r.handler.Invoke(ctx, req)
	if err != nil {
		return invocation{err: integrationError(r.RouteKey, err, errors.Is(ctx.Err(), context.DeadlineExceeded))}
	}
	return invocation{resp: resp}
}

// lifecycleEvent is a CONNECT or DISCONNECT on its way to an integration.
type lifecycleEvent interface {
	// told returns a request for the log and the observers of an integration that
	// still has its own.
	told() *Request
	// cameLate gets the outcome of an integration that returned after it was given up.
	cameLate(out invocation)
}

// lifecycleCall is the attempt to invoke an integration for such an event.
type lifecycleCall struct {
	g     *Gateway
	ctx   context.Context //nolint:containedctx // that of the event
	route *route
	req   *Request
	event lifecycleEvent
	start time.Time
}

// invokeWithin is invoke on a goroutine of its own, so that it returns in time even
// when the integration does not: for the two events whose caller must not hang,
// CONNECT and DISCONNECT.
func (g *Gateway) invokeWithin(ctx context.Context, r *route, req *Request, event lifecycleEvent) invocation {
	call := &lifecycleCall{g, ctx, r, req, event, time.Now()}
	out, err := within(ctx, g, call)
	if err != nil {
		out = invocation{err: integrationError(r.RouteKey, err, errors.Is(err, context.DeadlineExceeded)), gaveUp: true}
		g.contained(func() { call.tell(event.told(), out) })
	}
	return out
}

func (c *lifecycleCall) do(ctx context.Context) invocation { return invoke(ctx, c.route, c.req) }

func (c *lifecycleCall) ended() invocation {
	return invocation{err: integrationError(c.route.RouteKey, errGoexit, false)}
}

func (c *lifecycleCall) done(out invocation) { c.tell(c.req, out) }

func (c *lifecycleCall) late(out invocation) {
	c.g.cameLate(c.ctx, c.event.told(), out.err)
	c.event.cameLate(out)
}

func (c *lifecycleCall) tell(req *Request, out invocation) {
	c.g.integrationDone(c.ctx, req, out, time.Since(c.start))
}

// attempt is what within runs. Either done or late is called with what do returned,
// on the same goroutine.
type attempt[T any] interface {
	do(ctx context.Context) T
	ended() T // what counts when do ends its goroutine
	done(T)   // do returned in time
	late(T)   // do had been given up
}

// within returns what a.do returns. An error is that of ctx, which ends at the
// integrations' timeout: a.do is given up. A shutdown waits for it.
func within[T any](ctx context.Context, g *Gateway, a attempt[T]) (T, error) {
	ctx, cancel := withTimeout(ctx, g.quotas.IntegrationTimeout)
	done := make(chan T, 1)
	var over atomic.Bool // who sets it first decides: a.do returned, or was given up
	g.running.Go(func() {
		defer cancel()
		var out T
		returned := false
		defer func() {
			if !returned {
				out = a.ended()
			}
			if !over.CompareAndSwap(false, true) {
				a.late(out)
				return
			}
			defer func() { done <- out }() // in a defer: an observer may end this goroutine
			a.done(out)
		}()
		out = a.do(ctx)
		returned = true
	})
	select {
	case out := <-done:
		return out, nil
	case <-ctx.Done():
		if over.CompareAndSwap(false, true) {
			var none T
			return none, ctx.Err()
		}
		return <-done, nil // it was in time, only just
	}
}

// contained runs f, which calls the embedding program, on a goroutine of its own, so
// that one that ends its goroutine does not end the caller's.
func (g *Gateway) contained(f func()) {
	done := make(chan struct{})
	g.running.Go(func() {
		defer close(done)
		f()
	})
	<-done
}

func withTimeout(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	if d == 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, d)
}

// integrationDone tells the observers and, of a failure, the log.
func (g *Gateway) integrationDone(ctx context.Context, req *Request, out invocation, took time.Duration) {
	if out.err != nil {
		g.logFailure(ctx, "integration failed", req, out.err)
	}
	g.observers.integrationDone(ctx, req, out.resp, took, out.err)
}

// cameLate logs the panic of a callback that had been given up: it is what explains
// why that did not return in time. Other outcomes that come late are dropped.
func (g *Gateway) cameLate(ctx context.Context, req *Request, err error) {
	if _, ok := as[*panicError](err); ok {
		g.logFailure(ctx, "panic after the timeout", req, err)
	}
}

// stackOf returns the stack that an error of a panic brings along, ours or the
// embedding program's own, which may panic itself.
func stackOf(err error) []byte {
	defer func() { _ = recover() }()
	if p, ok := as[interface{ StackTrace() []byte }](err); ok {
		return p.StackTrace()
	}
	return nil
}

// logFailure logs a failure of the program's own code, with the stack of a panic.
func (g *Gateway) logFailure(ctx context.Context, text string, req *Request, err error) {
	if level := g.failureLevel(time.Now()); g.log.Enabled(ctx, level) {
		g.log.LogAttrs(ctx, level, text, g.failureAttrs(req, err)...) //nolint:sloglint // each caller has its own constant
	}
}

// failureAttrs are what the log says of a failure, with the stack of a panic.
func (g *Gateway) failureAttrs(req *Request, err error) []slog.Attr {
	attrs := append(g.requestAttrs(req.ConnectionID, req.RouteKey, req.RequestID), slog.Any("error", err))
	if stack := stackOf(err); len(stack) > 0 {
		attrs = append(attrs, slog.String("stack", string(stack)))
	}
	return attrs
}

func (g *Gateway) requestAttrs(connectionID, routeKey, requestID string) []slog.Attr {
	return []slog.Attr{
		slog.String("connection_id", connectionID), slog.String("route_key", routeKey),
		slog.String("request_id", requestID), slog.String("stage", g.stage),
	}
}
