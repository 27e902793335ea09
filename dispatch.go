package gateway

import (
	"context"
	"errors"
	"log/slog"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"example.com/gateway/internal/connid"
	"example.com/gateway/internal/deadline"
	"example.com/gateway/internal/wsconn"
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
// The reader's worker is its goroutine's, which keeps it for what it reads next,
// maybe on another connection, unless it was taken over.
type worker struct {
	c       *connection
	started *atomic.Int64 // of the call, while its goroutine is the reader: Unix nanoseconds, 0: none; nil unless it is watched
	watch   *watch        // likewise
	place   int           // where that has it
	taking  sync.Mutex    // held by whoever makes started 0 for the goroutine, until all is done; before c.mu

	// c.mu guards the fields below. While its goroutine is the reader they are that
	// one's, until somebody else, during a call, makes started 0 under c.mu.
	timeout *time.Timer
	reads   bool  // its goroutine is the connection's reader
	call    *call // under way
	corked  bool  // replies of the reader may wait in the send queue for those to come
}

// takeOverAfter is how long an integration may keep the reader from reading, and
// a corked reply from going out, before the watch looks.
const takeOverAfter = time.Millisecond

// call is one message with its integration: its context, its request and its IDs
// lie in one allocation.
type call struct {
	deadline.Context // ends at the integration's timeout
	route            *route
	req              Request
	ids              connid.IDs
	start            time.Time
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
		if c.inbox.empty() {
			c.workerEndedLocked()
			c.mu.Unlock()
			return false
		}
		message = c.takeLocked()
		c.mu.Unlock()
		now = time.Now()
	}
	return false
}

// end ends the reader's work. It returns w, to be used again.
func (w *worker) end() *worker {
	if w.corked {
		w.corked = false
		w.c.flush()
	}
	c := w.c
	c.mu.Lock()
	c.workerEndedLocked()
	c.mu.Unlock()
	w.c = nil
	return w
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
	t := c.g.routes.Load()
	r := t.match(message)
	if r == nil {
		r = unrouted
	}
	call := &call{route: r, start: now}
	c.fill(&call.req, t, r, EventMessage, now)
	call.req.RequestID, call.req.MessageID = call.ids.Make(c.tail)
	call.req.Body = message
	var until time.Time // none
	if timeout := c.g.quotas.IntegrationTimeout; timeout > 0 {
		until = now.Add(timeout)
	}
	call.Init(&c.ctx, until)
	w.begin(call)
	out := c.admit(t, call)
	if out.err == nil {
		out = invoke(call, r, &call.req)
	}
	inTime := w.finish(call)
	call.Cancel()
	if inTime {
		if !w.reads || out.err != nil || len(c.g.observers) > 0 { // else it has taken next to no time
			now = time.Now()
		}
		w.answer(call, out, now)
	}
	return inTime
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
	if call.route == unrouted {
		out.err = errNoRoute
		return out
	}
	out.err = c.g.throttle(t, call.route, c.client, call.start)
	if out.err == nil {
		out.err = c.client.count(call, c.g.usagePlans, call.start)
	}
	if out.err == nil {
		out.err = call.route.validate(call.req.Body)
	}
	return out
}

// begin notes the call under way. A reader's needs no lock: whoever takes it over
// has to change started first.
func (w *worker) begin(call *call) {
	if w.reads {
		w.call = call
		w.started.Store(call.start.UnixNano())
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
	if w.started != nil && w.started.CompareAndSwap(call.start.UnixNano(), 0) { // nobody has taken over
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
	c.flush() // replies that were corked
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
	call := w.giveUpLocked() // in one with the look: the next call is none of ours
	w.c.mu.Unlock()
	w.c.replace(call, context.DeadlineExceeded)
}

// abandon gives up the call under way, if there is one, with err.
func (w *worker) abandon(err error) {
	w.c.mu.Lock()
	call := w.giveUpLocked()
	w.c.mu.Unlock()
	if call != nil {
		w.c.replace(call, err)
	}
}

// giveUpLocked takes the call under way from the worker, whose goroutine may not
// come back from the integration.
func (w *worker) giveUpLocked() *call {
	c, call := w.c, w.call
	if call == nil {
		return nil
	}
	w.call = nil
	if w.started != nil {
		w.started.Store(0)
	}
	if w.reads {
		w.reads = false
		c.g.running.Go(c.read)
	}
	return call
}

// replace answers a call that was given up, with err, and lets another worker go
// on in the place of the one that had it.
func (c *connection) replace(call *call, err error) {
	c.flush()
	out := invocation{err: integrationError(call.route.RouteKey, err, errors.Is(err, context.DeadlineExceeded))}
	(&worker{c: c}).answer(call, out, time.Now())
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.inbox.empty() {
		c.startWorkerLocked(c.takeLocked())
	}
	c.workerEndedLocked()
}

// exit is what a reader's goroutine calls at its end, when the integration ends it.
func (w *worker) exit() {
	w.abandon(errGoexit)
	w.End()
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
	b := c.inbox
	message := b.messages[0]
	b.messages[0] = nil
	if b.messages = b.messages[1:]; len(b.messages) == 0 {
		b.messages = nil
	}
	b.bytes -= len(message)
	b.room.Signal()
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
func (w *worker) answer(call *call, out invocation, now time.Time) {
	c := w.c
	if out.rejected && out.err != nil {
		c.rejected(call, out.err)
	} else {
		c.g.integrationDone(call, &call.req, out, now.Sub(call.start))
	}
	body := out.body()
	limit := c.g.quotas.MessageBytes
	switch {
	case out.err != nil:
		w.replyError(call, out.err, now)
	case !call.route.RouteResponse || len(body) == 0:
	case limit > 0 && len(body) > limit:
		w.replyTooLarge(call, now)
	default:
		w.reply(call, body, now)
	}
}

func (w *worker) replyTooLarge(call *call, now time.Time) {
	g := w.c.g
	g.log.LogAttrs(call, slog.LevelError, "reply refused", append(g.requestAttrs(&call.req), slog.Any("error", errReplySize))...)
	w.replyError(call, errReplySize, now)
}

// replyError sends an error frame, which goes out on one-way routes too.
func (w *worker) replyError(call *call, err error, now time.Time) {
	w.reply(call, appendErrorJSON(nil, wireErrorOf(err), w.c.id, call.req.RequestID), now)
}

// reply answers a message.
func (w *worker) reply(ctx context.Context, body []byte, now time.Time) {
	w.c.lastActive.Store(now.UnixNano())
	err := w.send(body)
	if err != nil {
		err = ErrGone // it is closed: for room the reply has waited
	}
	w.c.g.posted(ctx, w.c.id, len(body), err)
}

// send sends a reply. While the next message is there already, and this goroutine
// takes it next, the reply waits in the send queue, so that many go out in one
// write.
func (w *worker) send(body []byte) error {
	c := w.c
	more := w.reads && c.ws.BufferedMessage()
	if !more && !w.corked && c.sendNow(body, nil) {
		return nil
	}
	if more || w.corked {
		encode := func(dst []byte) []byte { return wsconn.AppendText(dst, body) }
		if corked, drain := c.out.Cork(wsconn.TextSize(len(body)), encode, !more); corked {
			w.corked = more
			if drain {
				c.drain()
			}
			return nil
		}
	}
	return c.pushReply(body, w.reads)
}
