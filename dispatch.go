package gateway

import (
	"context"
	"errors"
	"time"
)

// This file takes one message through its steps, from top to bottom:
//
//	match → admit → invoke → answer
//
// No other file orders these steps. The reader in connections.go gets the message from the
// client. The worker in worker.go decides which goroutine takes the steps, and how long
// they may take.

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
