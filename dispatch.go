package gateway

import (
	"context"
	"errors"
	"time"

	"example.com/gateway/internal/command"
	"example.com/gateway/internal/inbox"
	"example.com/gateway/internal/watch"
)

// This file takes one message through its steps, from top to bottom:
//
//	match → admit → invoke → answer
//
// No other file orders these steps. The reader in connections.go gets the message from the
// client. The worker in worker.go calls newCall, dispatch and answer, one after the other.
// It decides which goroutine takes the steps, and how long they may take.

// newCall begins with the first step, match, and makes the call of a message that came at
// that time.
func (c *connection) newCall(message inbox.Message, now time.Time) (*routeTable, *call) {
	t := c.g.routes.Load()
	r, unmatched := t.match(message)
	call := c.callOf(t, r, message, now)
	if unmatched != nil && c.g.observers.any() {
		call.keep(unmatched)
	}
	return t, call
}

// dispatch takes a call through the next two steps, admit and invoke. The last one is
// answer. watched is the entry of the worker in the gateway's watch.
func (c *connection) dispatch(t *routeTable, call *call, watched *watch.Entry) invocation {
	out := c.admit(t, call)
	switch {
	case out.err != nil:
		return out
	case c.keyUse == nil && watched.Watched(), call.Err() == nil: // a reader starts the call at once, so only a usage store can have used up its time
		return invoke(call, call.route, &call.req)
	}
	// Its time was over before this goroutine ran, or while the usage store counted.
	return invocation{err: integrationError(call.route.RouteKey, call.Err(), errors.Is(call.Err(), context.DeadlineExceeded))}
}

// match returns the route of a message: the one whose key is the value of the route
// selection expression, else $default, else unrouted. A binary message has no such value,
// whatever its bytes are. No message reaches $connect, $disconnect, $join or $leave, whatever
// it says: they are not among t.messages.
//
// unmatched is the value if it is no route's key, and nil if it is one, or the message
// is not JSON. It may share memory with the message.
func (t *routeTable) match(message inbox.Message) (r *route, unmatched []byte) {
	if message.Binary {
		return t.routeOfRest(), nil
	}
	if key, ok := t.selection.Route(message.Data, nil); ok {
		if r := t.messages[string(key)]; r != nil {
			return r, nil
		}
		if unmatched = key; key == nil {
			unmatched = []byte{}
		}
	}
	return t.routeOfRest(), unmatched
}

// routeOfRest returns the route of messages that no key selects.
func (t *routeTable) routeOfRest() *route {
	if t.fallback == nil {
		return unrouted
	}
	return t.fallback
}

// autoResponses are the messages that are answered before the first step, and their answers:
// see [WithAutoResponse].
type autoResponses struct {
	answers map[string][]byte // by the text of the message
	longest int               // length of the longest text
}

// autoRespond answers a message without an integration, or with an error frame if it is above
// a throttle.
func (c *connection) autoRespond(message inbox.Message, answer []byte, now time.Time) {
	t := c.g.routes.Load()
	if err := c.g.throttle(t, unrouted, c.keyUse, now); err != nil {
		call := c.callOf(t, unrouted, message, now)
		defer call.Cancel() // in a defer: an observer may end this goroutine
		r := &replies{c: c, reads: true}
		defer r.flush() // nobody else knows that r holds something back
		r.answer(call, &call.noted, invocation{err: err, rejected: true}, now)
		return
	}
	if len(answer) == 0 {
		return
	}
	err := c.postReply(answer, nil, true)
	if err != nil {
		err = ErrGone // no other error is possible: a reply waits for room
	}
	c.g.posted(&c.ctx, c.id, outgoing{data: answer}, err)
}

// answer tells the observers and the log of the outcome of a call, and answers the
// client. n is what they may see of the call.
func (r *replies) answer(call *call, n *noted, out invocation, now time.Time) {
	c := r.c
	if out.err == nil && !c.g.observers.any() {
		r.respond(call, out, now)
		return
	}
	defer r.respond(call, out, now) // in a defer: an observer may end this goroutine
	if out.rejected && out.err != nil {
		c.rejected(call, out.err)
	} else {
		c.g.integrationDone(call, n, out, now.Sub(call.Start()))
	}
}

// rejected tells the observers and the log of a message that was answered before its
// integration was called.
func (c *connection) rejected(call *call, err error) {
	call.record.fail(err)
	answer := answerOf(err)
	defer c.g.observers.messageRejected(call, &call.req, answer.status, err) // in a defer: the log handler may end this goroutine
	c.logRejected(call, answer, err)
}

// respond sends the client what the outcome of a call asks for.
func (r *replies) respond(call *call, out invocation, now time.Time) {
	switch {
	case out.err != nil:
		r.replyError(call, out.err, now)
	case out.commands != nil:
		r.respondAs(call, out.commands, r.c.g.toSend(out.resp), now)
	default:
		r.respondTo(call, r.c.g.toSend(out.resp), now)
	}
}

// respondAs does what the commands of the answer ask for: first membership and state, then
// the post, or the reply if nothing is posted, and the close last.
func (r *replies) respondAs(call *call, asked *command.Commands, m outgoing, now time.Time) {
	c := r.c
	done := c.change(asked)
	defer c.closeAs(asked) // in a defer: an observer may end this goroutine
	if len(asked.Post) == 0 {
		r.respondTo(call, m, now)
		return
	}
	requestID, _ := call.ids.Strings() // the integration may have changed its Request
	e := commandedEvent{eventType: EventMessage, routeKey: call.route.RouteKey, connectionID: c.id, requestID: requestID}
	if !done {
		c.g.logNotDone(&c.ctx, &e)
		return
	}
	c.g.postAnswer(&c.ctx, &e, asked, m)
}

// respondTo sends the client the body of an answer.
func (r *replies) respondTo(call *call, m outgoing, now time.Time) {
	switch {
	case len(m.data) == 0:
	case !call.route.RouteResponse:
		r.c.g.logBodyDropped(call, call.route)
	default:
		if err := r.c.g.checkSize(m); err != nil {
			r.replyTooLarge(call, m, err, now)
			return
		}
		r.reply(call, m, now)
	}
}
