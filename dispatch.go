package gateway

import (
	"context"
	"errors"
	"log/slog"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"example.com/gateway/internal/clock"
	"example.com/gateway/internal/connid"
	"example.com/gateway/internal/deadline"
)

// worker runs the integrations of a connection's messages, one after the other,
// on the goroutine that calls run: the reader's, or one of its own.
//
// The reader runs an integration itself because most return at once, and a
// hand-over to another goroutine costs more than they do. When one does not, the
// gateway's watch lets another goroutine take the reading over, so that pings,
// closes and further messages are seen; from then on a timer ends the wait at the
// integration's timeout.
//
// A goroutine that reads keeps its worker and uses it again, also for another
// connection. It loses the worker when another goroutine takes the reading over.
type worker struct {
	c       *connection
	started *atomic.Int64 // of the call, while its goroutine is the reader: an instant of the clock, 0: none; nil unless it is watched
	watch   *watch        // likewise
	place   int           // where that has it
	taking  sync.Mutex    // held by whoever makes started 0 for the goroutine, until all is done; before c.mu

	// c.mu guards the fields below. While the worker's goroutine is the reader, it uses
	// them without the lock. Whoever sets started to 0 under c.mu ends that.
	timeout *time.Timer
	reads   bool          // its goroutine is the connection's reader
	call    *call         // under way
	gaveUp  bool          // its call was given up: another worker is in its place
	corked  clock.Instant // when the first reply was held back that waits for those to come; 0: none
}

const (
	// takeOverAfter is how long an integration may keep the reader from reading
	// before the watch lets another goroutine read.
	takeOverAfter = time.Millisecond
	// corkFor is how old a reply that is held back may be when the next message
	// begins. If that takes long, the watch lets the reply out.
	corkFor = time.Millisecond / 2
)

// call is one message with its integration: its context, its request and its IDs
// lie in one allocation.
type call struct {
	deadline.Context // ends at the integration's timeout
	route            *route
	req              Request // the integration's, until it returns: nobody else may look
	ids              connid.IDs
	start            time.Time
}

// told returns a request for the log and the observers of a call whose integration
// still has its own. It has no Body, which the integration may be changing.
func (call *call) told(c *connection) *Request {
	req := new(Request)
	vars := call.route.stageVariables
	if call.route == unrouted {
		vars = c.g.routes.Load().stageVariables
	}
	c.fill(req, vars, call.route, EventMessage, call.start)
	req.RequestID, req.MessageID = call.ids.Strings()
	return req
}

// run serves message and then, unless its goroutine has to read, those of the
// inbox. It reports whether its goroutine is still the reader, which then goes on
// to run or to end.
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

// end ends the reader's work. It returns w, to be used again.
func (w *worker) end() *worker {
	w.flush()
	c := w.c
	c.mu.Lock()
	c.workerEndedLocked()
	c.mu.Unlock()
	w.c = nil
	return w
}

// flush lets replies out that were held back.
func (w *worker) flush() {
	if w.corked != 0 {
		w.corked = 0
		w.c.out.Flush()
	}
}

// End is called when w, if it is not nil, will not be used again.
func (w *worker) End() {
	if w != nil && w.started != nil {
		w.watch.remove(w)
	}
}

// serve takes one message through the service's steps: a route, the throttles,
// the model, the integration, the answer. It reports false when the integration
// came too late: the worker has been replaced.
func (w *worker) serve(message []byte, now time.Time) bool {
	c := w.c
	if w.corked != 0 && c.g.clock.At(now).Since(w.corked) >= corkFor {
		w.flush()
	}
	t := c.g.routes.Load()
	r := t.match(message)
	if r == nil {
		r = unrouted
	}
	call := &call{route: r, start: now}
	c.fill(&call.req, t.stageVariables, r, EventMessage, now)
	call.req.RequestID, call.req.MessageID = call.ids.Make(c.tail)
	call.req.Body = message
	var until time.Time // none
	if timeout := c.g.quotas.IntegrationTimeout; timeout > 0 {
		until = now.Add(timeout)
	}
	call.Init(&c.ctx, until)
	w.begin(call)
	out := c.admit(t, call)
	switch {
	case out.err != nil:
	case c.keyUse == nil && w.started != nil, call.Err() == nil: // a reader that counted nothing has just begun
		out = invoke(call, r, &call.req)
	default: // its time was over while the usage store counted, or before this goroutine ran
		out = invocation{err: integrationError(r.RouteKey, call.Err(), errors.Is(call.Err(), context.DeadlineExceeded))}
	}
	inTime := w.finish(call)
	call.Cancel()
	if !inTime {
		c.g.cameLate(call, call.told(c), out.err)
		return false
	}
	if !w.reads || out.err != nil || c.g.observers.any() { // else it has taken next to no time
		now = time.Now()
	}
	w.answer(call, &call.req, out, now)
	return true
}

// unrouted stands in for the route of a message that matches none.
//
//nolint:gochecknoglobals // never changes
var unrouted = &route{}

// admit says whether a message reaches its integration.
func (c *connection) admit(t *routeTable, call *call) (out invocation) {
	out.rejected = true // if there is an error
	defer func() {
		if p := recover(); p != nil { // of a Model or a UsageStore
			out.err = &panicError{p, debug.Stack()}
		}
	}()
	out.err = c.g.throttle(t, call.route, c.keyUse, call.start)
	if out.err == nil {
		out.err = c.keyUse.count(call, c.g.usagePlans, call.start)
	}
	switch {
	case out.err != nil:
	case call.route == unrouted: // it counts like any other message: see the throttles
		out.err = errNoRoute
	default:
		out.err = call.route.validate(call.req.Body)
	}
	return out
}

// begin notes the call under way. A reader's needs no lock: whoever takes it over
// has to change started first.
func (w *worker) begin(call *call) {
	if w.reads {
		w.call = call
		w.started.Store(int64(w.c.g.clock.At(call.start)))
		w.c.g.watch.wake()
		return
	}
	w.c.mu.Lock()
	defer w.c.mu.Unlock()
	w.call = call
	w.setTimeoutLocked(call.start)
}

// finish ends call, unless it has been abandoned.
func (w *worker) finish(call *call) bool {
	if w.started != nil && w.started.CompareAndSwap(int64(w.c.g.clock.At(call.start)), 0) { // nobody has taken over
		w.call = nil
		return true
	}
	if w.started != nil {
		w.taking.Lock()   // until whoever has taken over is done
		w.taking.Unlock() //nolint:staticcheck // an empty section: to wait
	}
	w.c.mu.Lock()
	defer w.c.mu.Unlock()
	if w.call != call {
		return false
	}
	w.call = nil
	if w.timeout != nil {
		w.timeout.Stop()
	}
	return true
}

func (w *worker) setTimeoutLocked(now time.Time) {
	switch until := w.call.Until(); {
	case until.IsZero():
	case w.timeout == nil:
		w.timeout = time.AfterFunc(until.Sub(now), w.expire)
	default:
		w.timeout.Reset(until.Sub(now))
	}
}

// takeOver lets another goroutine read, if the call under way is that of started
// still. From then on the worker stays with its connection.
func (w *worker) takeOver(started int64) {
	w.taking.Lock()
	defer w.taking.Unlock()
	if w.started == nil || !w.started.CompareAndSwap(started, 0) { // it is over
		return
	}
	c := w.c // which cannot change until we are done: see finish
	c.mu.Lock()
	if !w.reads { // it was given up
		c.mu.Unlock()
		return
	}
	w.reads = false
	c.g.running.Go(c.read)
	w.setTimeoutLocked(time.Now())
	c.mu.Unlock()
	c.out.Flush() // replies that were held back
}

// expire is what the timeout does. It goes by the clock: a timer that was stopped
// late may call it for nothing.
func (w *worker) expire() {
	w.c.mu.Lock()
	if w.reads || w.call == nil || w.call.Until().IsZero() {
		w.c.mu.Unlock()
		return
	}
	if now := time.Now(); now.Before(w.call.Until()) {
		w.setTimeoutLocked(now)
		w.c.mu.Unlock()
		return
	}
	call := w.giveUpLocked() // under the same lock as the check, so that the next call cannot be taken by mistake
	w.c.mu.Unlock()
	w.c.replace(call, context.DeadlineExceeded)
}

// giveUpLocked takes the call under way, if there is one, from the worker, whose
// goroutine may never come back from the integration.
func (w *worker) giveUpLocked() *call {
	call := w.call
	w.call, w.gaveUp = nil, true
	if w.started != nil {
		w.started.Store(0)
	}
	if w.reads {
		w.reads = false
		w.c.g.running.Go(w.c.read)
	}
	return call
}

// replace answers a call that was given up, with err, if there is one, and lets
// another worker go on in the place of the one that had it.
func (c *connection) replace(call *call, err error) {
	defer func() { // in a defer: an observer may end this goroutine
		c.mu.Lock()
		defer c.mu.Unlock()
		if !c.inbox.Empty() {
			c.startWorkerLocked(c.inbox.Take())
		}
		c.workerEndedLocked()
	}()
	c.out.Flush()
	if call == nil {
		return
	}
	out := invocation{err: integrationError(call.route.RouteKey, err, errors.Is(err, context.DeadlineExceeded))}
	(&worker{c: c}).answer(call, call.told(c), out, time.Now())
}

// exit is called when the goroutine of a worker ends without having returned: an
// integration, an observer or another callback has called runtime.Goexit. Whatever
// the worker was doing, another one goes on in its place.
func (w *worker) exit() {
	w.c.mu.Lock()
	if w.gaveUp { // it has been replaced
		w.c.mu.Unlock()
		return
	}
	call := w.giveUpLocked()
	w.c.mu.Unlock()
	if call != nil {
		call.Cancel()
	}
	w.c.replace(call, errGoexit)
}

// startWorkerLocked runs a worker on a goroutine of its own, which ends with the
// inbox; the teardown waits for it.
func (c *connection) startWorkerLocked(message []byte) {
	c.working++
	w := &worker{c: c}
	c.g.running.Go(func() {
		returned := false
		defer func() {
			if !returned {
				w.exit()
			}
		}()
		w.run(message, time.Now())
		returned = true
	})
}

func (c *connection) workerEndedLocked() {
	c.working--
	c.workersDoneLocked()
}

// answer tells the observers and the log of the outcome of a call, and answers the
// client. req is the call's for them to see.
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
		c.g.integrationDone(call, req, out, now.Sub(call.start))
	}
}

// respond sends the client what the outcome of a call asks for.
func (w *worker) respond(call *call, out invocation, now time.Time) {
	body := out.body()
	limit := w.c.g.quotas.MessageBytes
	switch {
	case out.err != nil:
		w.replyError(call, out.err, now)
	case !call.route.RouteResponse || len(body) == 0:
	case limit > 0 && len(body) > limit:
		w.replyError(call, errReplySize, now)
		w.c.g.log.LogAttrs(call, w.c.g.failureLevel(now), "reply refused", append(w.c.callAttrs(call), slog.Any("error", errReplySize))...)
	default:
		w.reply(call, body, now)
	}
}

// callAttrs are what the log says of a message. They are the gateway's own: the
// integration may have changed its Request.
func (c *connection) callAttrs(call *call) []slog.Attr {
	requestID, _ := call.ids.Strings()
	return c.g.requestAttrs(c.id, call.route.RouteKey, requestID)
}

// replyError sends an error frame, which goes out on one-way routes too.
func (w *worker) replyError(call *call, err error, now time.Time) {
	requestID, _ := call.ids.Strings()
	w.reply(call, appendErrorJSON(nil, wireErrorOf(err), w.c.id, requestID), now)
}

// reply answers a message.
func (w *worker) reply(ctx context.Context, body []byte, now time.Time) {
	w.c.lastActive.Advance(w.c.g.clock.At(now))
	err := w.send(body, now)
	if err != nil {
		err = ErrGone // the only error left: a reply waits for room
	}
	w.c.g.posted(ctx, w.c.id, len(body), err)
}

// send sends a reply. If the next message is there already, and this goroutine takes
// it next, the reply is held back, so that many replies go out in one write. A reply
// is held back for about a millisecond at most: see corkFor and takeOver.
func (w *worker) send(body []byte, now time.Time) error {
	c := w.c
	more := w.reads && c.ws.BufferedMessage()
	if more || w.corked != 0 {
		if c.out.Cork(body, !more) {
			switch {
			case !more:
				w.corked = 0
			case w.corked == 0:
				w.corked = c.g.clock.At(now)
			}
			return nil
		}
		w.corked = 0 // the post sends what was held back, too
	}
	return c.postReply(body, w.reads)
}
