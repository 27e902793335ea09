package gateway

import (
	"context"
	"errors"
	"runtime/debug"
	"time"

	"example.com/gateway/internal/bounded"
	"example.com/gateway/internal/command"
)

// This file calls the integrations of all events: invoke for a message, invokeWithin for
// CONNECT, invokeDisconnect for DISCONNECT.

// commanding calls an integration, and reads the commands of its answers.
type commanding interface {
	// answer also returns the commands that are still to be done, or nil.
	answer(ctx context.Context, req *Request) (*Response, *command.Commands, error)
}

// invoke calls the integration of r, recovers its panic, and turns what went wrong into
// an *IntegrationError. It does not return if Invoke ends the goroutine.
func invoke(ctx context.Context, r *route, req *Request) (out invocation) {
	defer func() {
		if p := recover(); p != nil {
			out = invocation{err: integrationError(r.RouteKey, &panicError{p, debug.Stack()}, false)}
		}
	}()
	var resp *Response
	var commands *command.Commands
	var err error
	if r.commanding != nil {
		resp, commands, err = r.commanding.answer(ctx, req)
	} else {
		resp, err = r.handler.Invoke(ctx, req)
	}
	if err != nil {
		return invocation{err: integrationError(r.RouteKey, err, errors.Is(ctx.Err(), context.DeadlineExceeded))}
	}
	if resp != nil && len(resp.Header) > 0 && !r.commandsTold.Load() {
		logIgnored(ctx, r, resp.Header)
	}
	return invocation{resp: resp, commands: commands}
}

// integrationDone tells the observers, and the log if the integration failed. It serves
// every type of event.
func (g *Gateway) integrationDone(ctx context.Context, n *noted, out invocation, took time.Duration) {
	n.record.settle(out, took)
	defer g.observers.integrationDone(ctx, &n.req, out.resp, took, out.err) // in a defer: the log handler may end this goroutine
	if out.err != nil {
		g.logIntegration(ctx, &n.req, out.err)
	}
}

// lifecycleEvent is a CONNECT or DISCONNECT on its way to an integration.
type lifecycleEvent interface {
	// safeRequest returns a new Request for the log and the observers, because the
	// integration that was given up may still change the first one.
	safeRequest() *Request
	// returnedLate is called if the integration returned after it was given up.
	returnedLate(out invocation)
}

// lifecycleCall is the call of an integration for such an event. It implements
// [bounded.Attempt].
type lifecycleCall struct {
	g     *Gateway
	ctx   context.Context //nolint:containedctx // that of the event
	route *route
	noted *noted // the request: the integration may put another Request in its place
	event lifecycleEvent
	start time.Time
}

// invokeWithin is like invoke, but it returns in time even if the integration does not. It is
// for CONNECT and DISCONNECT. It calls the integration on a goroutine of its own.
func (g *Gateway) invokeWithin(ctx context.Context, r *route, req *Request, event lifecycleEvent) invocation {
	call := &lifecycleCall{g, ctx, r, req.noted, event, time.Now()}
	out, err := bounded.Run(ctx, &g.running, g.quotas.IntegrationTimeout, call)
	if err != nil {
		out = invocation{err: integrationError(r.RouteKey, err, errors.Is(err, context.DeadlineExceeded)), gaveUp: true}
		bounded.Contain(&g.running, func() { call.tell(event.safeRequest().noted, out) })
	}
	return out
}

func (c *lifecycleCall) Do(ctx context.Context) invocation { return invoke(ctx, c.route, &c.noted.req) }

func (c *lifecycleCall) Ended() invocation {
	return invocation{err: integrationError(c.route.RouteKey, errGoexit, false)}
}

func (c *lifecycleCall) Done(out invocation) { c.tell(c.noted, out) }

func (c *lifecycleCall) Late(out invocation) {
	c.g.logLate(c.ctx, c.event.safeRequest(), out.err)
	c.event.returnedLate(out)
}

func (c *lifecycleCall) tell(n *noted, out invocation) {
	c.g.integrationDone(c.ctx, n, out, time.Since(c.start))
}

// disconnectEvent is a DISCONNECT: a copy of its request, as a [lifecycleEvent].
type disconnectEvent Request

func (e *disconnectEvent) safeRequest() *Request {
	return note((*Request)(e))
}

func (e *disconnectEvent) returnedLate(invocation) {}

// invokeDisconnect calls the integration of $disconnect, r. After the gateway has been
// cut, the integration has disconnectGrace. If it begins later than that, it has the same
// time, counted from its own beginning.
func (g *Gateway) invokeDisconnect(of *connectionContext, r *route, req *Request) {
	var ctx context.Context = &connectionContext{g.disconnects, of.request}
	if ctx.Err() != nil {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), disconnectGrace)
		defer cancel()
	}
	event := disconnectEvent(*req)
	if out := g.invokeWithin(ctx, r, req, &event); out.err == nil && len(out.body()) > 0 {
		g.logBodyDropped(ctx, r)
	}
}
