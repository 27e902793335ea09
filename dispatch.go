package gateway

import (
	"context"
	"errors"
	"runtime/debug"
	"time"

	"example.com/gateway/internal/connid"
	"example.com/gateway/internal/deadline"
)

// This file takes one message through its steps, from top to bottom:
//
//	match → admit → invoke → answer
//
// Nowhere else are they put in order. The reader has got the message from the client
// (connections.go). Which goroutine takes the steps, and how long it may take, is the
// worker's business (worker.go).

// run serves message. Unless its goroutine has to read, it then serves those in the
// inbox, too. It reports whether its goroutine is still the connection's reader. If so,
// the reader goes on, and calls run or end next.
func (w *worker) run(message []byte, now time.Time) (reads bool) {
	c := w.c
	for w.serve(message, now) {
		if w.reads { // as nobody changes between calls
			return true
		}
		c.mu.Lock()
		if c.inbox.Empty() {
			c.workerEndedLocked()
			c.mu.Unlock()
			return false
		}
		message = c.inbox.Take()
		c.mu.Unlock()
		now = time.Now()
	}
	return false
}

// call is one message and the call of its integration. Context, request and IDs lie in
// one allocation.
type call struct {
	deadline.Context // from the arrival of the message to the integration's timeout
	route            *route
	req              Request // the integration's own until it returns: nobody else may look at it
	ids              connid.IDs
	record           record
}

// serve takes one message through its steps. It reports false if the integration came
// too late: another worker has taken this one's place, and has answered.
func (w *worker) serve(message []byte, now time.Time) bool {
	c := w.c
	if w.corked != 0 && c.g.clock.At(now).Since(w.corked) >= corkFor {
		w.flush()
	}
	t := c.g.routes.Load()
	r, unmatched := t.match(message)
	call := c.newCall(t, r, message, now)
	if unmatched != nil && c.g.observers.any() {
		call.keep(unmatched)
	}
	w.begin(call)
	out := c.admit(t, call)
	switch {
	case out.err != nil:
	case c.keyUse == nil && w.watched.Watched(), call.Err() == nil: // a reader that asked no usage store has just begun
		out = invoke(call, call.route, &call.req)
	default: // its time was over before this goroutine ran, or while the usage store counted
		out = invocation{err: integrationError(call.route.RouteKey, call.Err(), errors.Is(call.Err(), context.DeadlineExceeded))}
	}
	inTime := w.finish(call)
	call.Cancel()
	if !inTime {
		c.g.cameLate(call, call.told(c), out.err)
		return false
	}
	if !w.reads || out.err != nil || c.g.observers.any() { // else next to no time has passed
		now = time.Now()
	}
	w.answer(call, &call.req, out, now)
	return true
}

// newCall makes the call of a message for the route r.
func (c *connection) newCall(t *routeTable, r *route, message []byte, now time.Time) *call {
	call := &call{route: r}
	call.Init(&c.ctx, now, c.g.quotas.IntegrationTimeout)
	c.fill(&call.req, t.stageVariables, r, EventMessage, now)
	call.req.RequestID, call.req.MessageID = call.ids.Make(c.tail)
	call.req.Body, call.req.record = message, &call.record
	return call
}

// keep keeps the value of the route selection expression for the observers. It is a
// copy, because the integration may change the message.
func (call *call) keep(value []byte) {
	kept := string(value)
	call.record.unmatched = &kept
}

// fill sets all fields of req that are the same for every event of the connection.
func (c *connection) fill(req *Request, stageVariables map[string]string, r *route, event EventType, now time.Time) {
	req.RouteKey, req.EventType = r.RouteKey, event
	req.ConnectionID = c.id
	req.Identity, req.Authorizer, req.keyUse = c.identity, c.authorizer, c.keyUse
	req.APIID, req.Stage, req.DomainName, req.StageVariables = c.g.apiID, c.g.stage, c.domainName, stageVariables
	req.ConnectedAt, req.RequestTime = time.Unix(0, c.connectedAt), now
}

// told returns a request for the log and the observers while the integration still has
// its own. It has no Body, because the integration may be changing that.
func (call *call) told(c *connection) *Request {
	req := new(Request)
	vars := call.route.stageVariables
	if call.route == unrouted {
		vars = c.g.routes.Load().stageVariables
	}
	c.fill(req, vars, call.route, EventMessage, call.Start())
	req.RequestID, req.MessageID = call.ids.Strings()
	req.record = &record{unmatched: call.record.unmatched}
	return req
}

// match returns the route of a message: the one whose key is the value of the route
// selection expression, else $default, else unrouted. No message reaches $connect or
// $disconnect, whatever it says: they are not among t.messages.
//
// unmatched is the value if it is no route's key, and nil if it is one, or the message
// is not JSON. It may share memory with body.
func (t *routeTable) match(body []byte) (r *route, unmatched []byte) {
	if key, ok := t.selection.Route(body, nil); ok {
		if r := t.messages[string(key)]; r != nil {
			return r, nil
		}
		if unmatched = key; key == nil {
			unmatched = []byte{}
		}
	}
	if t.fallback == nil {
		return unrouted, unmatched
	}
	return t.fallback, unmatched
}

// unrouted stands for the route of a message that matches none.
//
//nolint:gochecknoglobals // never changes
var unrouted = &route{}

// admit decides whether a message reaches its integration: throttles and quota, then
// the route itself, then the model.
func (c *connection) admit(t *routeTable, call *call) (out invocation) {
	out.rejected = true // matters only if there is an error
	defer func() {
		if p := recover(); p != nil { // of a Model or a UsageStore
			out.err = &panicError{p, debug.Stack()}
		}
	}()
	out.err = c.g.throttle(t, call.route, c.keyUse, call.Start())
	if out.err == nil {
		out.err = c.keyUse.count(call, call.Start())
	}
	switch {
	case out.err != nil:
	case call.route == unrouted: // only now: the throttles count such a message, too
		out.err = errNoRoute
	default:
		out.err = call.route.validate(call.req.Body)
	}
	return out
}

// invocation is the outcome of one call of an integration.
type invocation struct {
	resp     *Response // nil: as the zero value
	err      error     // nil or *IntegrationError; any error if rejected
	rejected bool      // the request was answered before its integration was called
	gaveUp   bool      // the integration has not returned, and still has its request
}

func (out *invocation) body() []byte {
	if out.resp == nil {
		return nil
	}
	return out.resp.Body
}

// invoke calls the integration of r, recovers its panic, and turns what went wrong into
// an *IntegrationError. It does not return if Invoke ends the goroutine.
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

// answer tells the observers and the log of the outcome of a call, and answers the
// client. req is what they may see of the call.
func (w *worker) answer(call *call, req *Request, out invocation, now time.Time) {
	c := w.c
	if out.err == nil && !c.g.observers.any() {
		w.respond(call, out, now)
		return
	}
	defer w.respond(call, out, now) // in a defer: an observer may end this goroutine
	if out.rejected && out.err != nil {
		c.rejected(call, out.err)
	} else {
		c.g.integrationDone(call, req, out, now.Sub(call.Start()))
	}
}

// rejected tells the observers and the log of a message that was answered before its
// integration was called.
func (c *connection) rejected(call *call, err error) {
	call.req.recorded().fail(err)
	answer := answerOf(err)
	c.logRejected(call, answer, err)
	c.g.observers.messageRejected(call, &call.req, answer.status, err)
}

// integrationDone tells the observers, and the log if the integration failed. It serves
// every type of event.
func (g *Gateway) integrationDone(ctx context.Context, req *Request, out invocation, took time.Duration) {
	req.recorded().settle(out, took)
	if out.err != nil {
		g.logFailure(ctx, "integration failed", req, out.err)
	}
	g.observers.integrationDone(ctx, req, out.resp, took, out.err)
}

// respond sends the client what the outcome of a call asks for.
func (w *worker) respond(call *call, out invocation, now time.Time) {
	body := out.body()
	switch {
	case out.err != nil:
		w.replyError(call, out.err, now)
	case len(body) == 0:
	case !call.route.RouteResponse:
		w.c.g.logBodyDropped(call, call.route)
	default:
		if err := w.c.g.checkSize(body); err != nil {
			w.replyTooLarge(call, body, err, now)
			return
		}
		w.reply(call, body, now)
	}
}

// replyTooLarge sends an error frame in place of a reply that is too large. err is the
// error of that reply for the observers.
func (w *worker) replyTooLarge(call *call, body []byte, err error, now time.Time) {
	w.replyError(call, errReplySize, now)
	w.c.logNotSent(call, errReplySize, now)
	w.c.g.posted(call, w.c.id, body, err)
}

// replyError sends an error frame, on one-way routes, too.
func (w *worker) replyError(call *call, err error, now time.Time) {
	requestID, _ := call.ids.Strings()
	w.reply(call, appendErrorJSON(nil, answerOf(err), w.c.id, requestID), now)
}

// reply sends the answer to a message.
func (w *worker) reply(call *call, body []byte, now time.Time) {
	w.c.lastActive.Advance(w.c.g.clock.At(now))
	err := w.send(body, now)
	if err != nil {
		err = ErrGone // no other error is possible: a reply waits for room
		if by := w.c.lateReply(); by != "" {
			defer w.c.logReplyLost(call, by, now) // in a defer: an observer may end this goroutine
		}
	}
	w.c.g.posted(call, w.c.id, body, err)
}
