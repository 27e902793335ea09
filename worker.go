package gateway

import (
	"context"
	"errors"
	"time"

	"example.com/gateway/internal/inbox"
	"example.com/gateway/internal/watch"
)

// worker runs the integrations of a connection's messages, one after the other: see
// run. It says which goroutine does so, and for how long a call may last.
//
// Most integrations return at once, so the reader runs them itself: a hand-over to
// another goroutine would cost more than they do. If one does not return soon, the
// gateway's watch calls TakeOver. It lets another goroutine read from then on, so that
// pings, Close frames and further messages are seen, and a timer ends the wait at the
// integration's timeout.
//
// A goroutine that reads keeps its worker and uses it again, also for another
// connection. It loses the worker when another goroutine takes over the reading.
type worker struct {
	replies             // of the connection that the worker belongs to
	watched watch.Entry // while the worker belongs to a goroutine that reads

	// c.mu guards the fields below, and reads of replies. While the worker's goroutine is the reader, it uses
	// them without the lock: nobody else does, until TakeOver or giveUpLocked has made
	// the watch forget the call.
	timeout *time.Timer
	call    *call // under way
	gaveUp  bool  // its call was given up: another worker is in its place
}

// run serves message. If the goroutine need not read, it then also serves the inbox. run
// reports whether its goroutine is still the connection's reader. If so, the reader goes
// on, and calls run or release next.
func (w *worker) run(message inbox.Message, now time.Time) (reads bool) {
	c := w.c
	for w.serve(message, now) {
		if w.reads { // nobody else changes it between two calls
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

// serve serves one message. It reports false if the integration came too late: another
// worker has taken this one's place, and has answered.
func (w *worker) serve(message inbox.Message, now time.Time) bool {
	c := w.c
	w.flushOld(now)
	t, call := c.newCall(message, now)
	w.beginCall(call)
	out := c.dispatch(t, call, &w.watched)
	inTime := w.endCall(call)
	call.Cancel()
	if !inTime {
		c.g.logLate(call, call.safeRequest(c), out.err)
		return false
	}
	if !w.reads || out.err != nil || c.g.observers.any() { // otherwise now is still correct to about a millisecond
		now = time.Now()
	}
	w.answer(call, &call.noted, out, now)
	return true
}

// startWorkerLocked runs a worker on a goroutine of its own. The goroutine ends when the
// inbox is empty. The teardown waits for it.
func (c *connection) startWorkerLocked(message inbox.Message) {
	c.working++
	w := &worker{replies: replies{c: c}}
	c.g.running.Go(func() {
		returned := false
		defer func() {
			if !returned {
				w.replaceAfterGoexit()
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

// release ends the work of the reader's worker, and returns the worker, to be used again.
func (w *worker) release() *worker {
	w.flush()
	c := w.c
	c.mu.Lock()
	c.workerEndedLocked()
	c.mu.Unlock()
	w.c = nil
	return w
}

// End is called when w will not be used again. w may be nil.
func (w *worker) End() {
	if w != nil {
		w.watched.Remove()
	}
}

// beginCall notes that call begins. A reader needs no lock for that: see worker.
func (w *worker) beginCall(call *call) {
	if w.reads {
		w.call = call
		w.watched.Begin(w.c.g.clock.At(call.Start()))
		return
	}
	w.c.mu.Lock()
	defer w.c.mu.Unlock()
	w.call = call
	w.setTimeoutLocked(call.Start())
}

// endCall notes that call has ended. It reports false if the call was given up.
func (w *worker) endCall(call *call) bool {
	if w.watched.End(w.c.g.clock.At(call.Start())) {
		w.call = nil
		return true
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

// TakeOver implements [watch.Worker]: it lets another goroutine read. From then on the
// worker stays with its connection.
func (w *worker) TakeOver() {
	c := w.c // does not change until TakeOver has returned: see endCall
	c.mu.Lock()
	if !w.reads { // the call was given up
		c.mu.Unlock()
		return
	}
	w.reads = false
	c.g.running.Go(c.read) // a new goroutine, the next reader: the one call that goes up, see connections.go
	w.setTimeoutLocked(time.Now())
	c.mu.Unlock()
	c.out.Flush() // replies that were held back
}

// expire is called by the timer of the timeout. It checks the time, because a timer
// that was stopped a moment too late calls it all the same.
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

// giveUpLocked takes the call under way, if there is one, away from the worker. The
// worker's goroutine may never return from the integration.
func (w *worker) giveUpLocked() *call {
	call := w.call
	w.call, w.gaveUp = nil, true
	w.watched.Drop()
	if w.reads {
		w.reads = false
		w.c.g.running.Go(w.c.read) // as in TakeOver
	}
	return call
}

// replace sends the client the error err for call, which was given up, unless call is nil.
// Then it lets another worker take the place of the one that had the call.
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
	(&replies{c: c}).answer(call, call.safeRequest(c).noted, out, time.Now())
}

// replaceAfterGoexit is called when the goroutine of a worker ends without having
// returned: an integration, an observer or another callback has called runtime.Goexit.
// Another worker takes the worker's place, whatever it was doing.
func (w *worker) replaceAfterGoexit() {
	w.c.mu.Lock()
	if w.gaveUp { // another worker is in its place already
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
