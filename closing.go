package gateway

import (
	"errors"
	"os"
	"time"

	"example.com/gateway/internal/wsconn"
)

// This file takes a connection from the first cause of its end to its $disconnect:
//
//	begin → teardown: replies → queue → Close frame → socket → $disconnect
//
// What the states mean is in state.go.

// cause says why a connection ends and how. The code and the reason are for the Close
// frame and for $disconnect.
type cause struct {
	code   int
	reason string
	how    manner
	err    error  // what went wrong, for the log; nil if nothing did
	by     string // what of the gateway closes it politely, for the log
	drops  bool   // the backend closes it: messages that wait are not served
}

// manner says how a connection ends.
type manner uint8

const (
	orderly        manner = iota // what is queued is sent, and the Close frame last
	polite                       // orderly, after the messages that have arrived are answered
	byClient                     // orderly: the Close frame answers that of the client, and ends everything
	abrupt                       // nothing is sent any more, not even a Close frame
	abruptAsUnread               // abrupt, because the client has not read in time: see reportInstead
)

// isAbrupt reports whether nothing can be sent any more.
func (m manner) isAbrupt() bool { return m >= abrupt }

// What closes a connection politely.
const (
	byShutdown = "a shutdown"
	byIdle     = "Quotas.IdleTimeout"
	byDuration = "Quotas.ConnectionDuration"
)

// goingAway is the cause if a shutdown, the idle timeout or the maximum duration ends a
// connection.
func goingAway(by string) cause {
	return cause{code: wsconn.CloseGoingAway, reason: "Going away", how: polite, by: by}
}

// brokenOff is the cause if the client is gone without a Close frame.
func brokenOff(err error) cause {
	return cause{code: wsconn.CloseAbnormal, reason: "Connection closed abnormally", how: abrupt, err: err}
}

// unread is the cause if the client has not taken in time what was sent to it.
func unread() cause {
	return cause{code: wsconn.CloseAbnormal, reason: "Client did not read in time", how: abruptAsUnread, err: errUnread}
}

var errUnread = errors.New("the client did not take in time what was sent to it: it took nothing for Quotas.WriteTimeout, " +
	"or, while its connection was being closed, nothing for 5 s or not everything within 30 s")

// writeFailed is the cause if a write to the client has failed with err.
func writeFailed(err error) cause {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return unread()
	}
	return brokenOff(err)
}

const (
	// closeTimeout limits each wait of a connection that closes: until running
	// integrations have answered, until the client takes something of what was sent to it,
	// and until it answers the gateway's Close frame.
	closeTimeout = 5 * time.Second
	// drainTimeout limits how long a connection that closes waits for a client that takes
	// only a little at a time: first of what is queued, then of what the kernel holds.
	drainTimeout = 30 * time.Second
)

// readerEnded is called by the reader as its last act. If no other goroutine has
// begun to close the connection, the reader closes it itself.
func (c *connection) readerEnded(err error) {
	var ce *wsconn.CloseError
	cs := brokenOff(err)
	switch {
	case !errors.As(err, &ce):
	case !ce.Remote:
		c.end(cause{code: ce.Code, reason: ce.Reason, err: err})
		c.ws.Discard(err)
	case ce.Code == wsconn.CloseNoStatus:
		cs = cause{code: ce.Code, reason: "Client-side close frame status not set", how: byClient}
	default:
		cs = cause{code: ce.Code, reason: ce.Reason, how: byClient}
	}
	cl := c.begin(cs)
	c.mu.Lock()
	close(c.closing.readerDone)
	c.mu.Unlock()
	if cl != nil {
		c.teardown(cl)
	}
}

// close closes the connection for DeleteConnection, CloseAll or Gateway-Close. No message
// that waits is served any more. It returns false if the connection accepts nothing any more. If a polite close has begun, close does not begin
// another: the first cause still counts, but the teardown waits for no more replies.
func (c *connection) close(cs cause) bool {
	cs.drops = true
	_, closes := c.tryEnd(cs)
	if !closes {
		c.mu.Lock()
		c.inbox.Drop()
		closes = c.moveLocked(stateClosing)
		cl := c.closing
		c.mu.Unlock()
		if closes {
			if !cs.how.isAbrupt() {
				c.out.Close(cl.frame())
			}
			cl.stopWaiting()
		}
	}
	if closes && cs.how.isAbrupt() {
		c.out.Abort()
		c.ws.Close()
	}
	return closes
}

// cut ends the connection without a Close frame. If the connection closes already, it
// does not wait any longer for the client.
func (c *connection) cut(cs cause) {
	unread := cs.how == abruptAsUnread
	if unread {
		c.ws.GiveUp()
	} else {
		cs.how = abrupt
	}
	if _, first := c.tryEnd(cs); !first && unread {
		c.reportInstead(cs)
	}
	c.out.Abort()
	c.ws.Close()
}

// reportInstead makes cs the cause that $disconnect gets, although it is not the first
// one: the client has never seen the Close frame for the first. If the first cause is a
// Close frame of the client, nothing changes.
func (c *connection) reportInstead(cs cause) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state() < stateGone && c.closing.how != byClient {
		c.closing.reported = cs
	}
}

// end closes the connection for a cause. If it closes already, nothing changes: the first
// cause counts. end returns at once. The returned channel is closed after $disconnect has
// run.
func (c *connection) end(cs cause) <-chan struct{} {
	done, _ := c.tryEnd(cs)
	return done
}

// tryEnd is end. It also reports whether the cause is the first.
func (c *connection) tryEnd(cs cause) (done <-chan struct{}, first bool) {
	if cl := c.begin(cs); cl != nil {
		c.g.running.Go(func() { c.teardown(cl) })
		return cl.done, true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closing.done, false
}

// begin begins to close the connection. The caller has to call teardown with the result.
// If the connection closes already, the result is nil.
func (c *connection) begin(cs cause) *closing {
	c.mu.Lock()
	if c.state().ends() {
		c.mu.Unlock()
		return nil
	}
	cl := &closing{
		cause:       cs,
		reported:    cs,
		readerDone:  make(chan struct{}),
		idle:        make(chan struct{}, 1),
		workersDone: make(chan struct{}),
		done:        make(chan struct{}),
	}
	c.closing = cl
	if cs.drops {
		c.inbox.Drop()
	}
	if cs.how == polite {
		c.moveLocked(stateClosingPolitely)
	} else {
		c.moveLocked(stateClosing)
	}
	c.mu.Unlock()

	switch {
	case cs.how.isAbrupt():
		c.out.Abort()
	case cs.how != polite:
		c.out.Close(cl.frame())
	}
	return cl
}

// frame returns the Close frame.
func (cs *cause) frame() []byte { return wsconn.AppendClose(nil, cs.code, cs.reason) }

// teardown ends the connection, one step after the other: if the close is polite, it
// waits for replies; it sends what is queued, and the Close frame last; it waits for the
// client's Close frame; it closes the socket; it waits for running integrations; it runs
// $disconnect.
func (c *connection) teardown(cl *closing) {
	defer c.disconnected(cl) // in a defer, as all that follows a callback: a callback may end this goroutine
	if cl.how == polite {
		c.awaitReplies(cl)
		c.out.Close(cl.frame())
	}
	if !cl.how.isAbrupt() {
		c.ws.Hurry() // the client has less time now: see patience
		until := time.Now().Add(drainTimeout)
		c.awaitDrained(until)
		if cl.how != byClient {
			c.awaitPeer(cl, until)
		}
	}
	c.ws.Close()
	<-cl.readerDone
	<-c.out.Drained()
	<-cl.workersDone
	c.mu.Lock()
	c.moveLocked(stateGone) // cl.reported does not change any more
	c.mu.Unlock()
	defer c.logClosed(&cl.reported)
	defer c.g.observers.connectionClosed(&c.ctx, c.snapshot(), cl.reported.code, cl.reported.reason)
	var violation *wsconn.CloseError
	if errors.As(cl.err, &violation) && !violation.Remote {
		c.logViolation(violation)
	}
}

// disconnected is the last step of teardown. It runs $disconnect and releases everything
// that the connection holds.
func (c *connection) disconnected(cl *closing) {
	defer func() { // in a defer: an observer may end this goroutine
		c.g.connections.Remove(c.id) // only now, because a shutdown counts it until here
		close(cl.done)
		c.g.running.Done() // accept has counted it
	}()
	c.keyUse.release()
	c.g.sources.Remove(c.sourceIP)
	c.g.presence.Wait(c)
	c.disconnect(cl)
}

// awaitReplies waits until the integrations have answered all messages that have arrived,
// but not for longer than closeTimeout, and not if the client leaves or the connection is
// deleted.
func (c *connection) awaitReplies(cl *closing) {
	timeout := time.NewTimer(closeTimeout)
	defer timeout.Stop()
	for more, late := true, false; ; {
		c.mu.Lock()
		if c.working == 0 || !more || !c.state().accepts() {
			cl.late = late
			c.moveLocked(stateClosing)
			c.mu.Unlock()
			return
		}
		c.mu.Unlock()
		select {
		case <-cl.idle:
		case <-cl.readerDone:
			more = false
		case <-timeout.C:
			more, late = false, true
		}
	}
}

// awaitDrained waits until everything is written. If the client takes nothing, the write
// fails and ends the wait. If it takes very little, the wait ends at until.
func (c *connection) awaitDrained(until time.Time) {
	timeout := time.NewTimer(time.Until(until))
	defer timeout.Stop()
	select {
	case <-c.out.Drained():
	case <-timeout.C:
		c.cut(unread())
	}
}

// awaitPeer waits until the reader has found the client's Close frame, for closeTimeout. If
// the kernel still holds something for the client, the wait begins again whenever the client
// takes a part of it, and ends at until. If the client has broken the framing, its Close
// frame cannot be found: then the end of the gateway's stream tells the client to close the
// socket.
func (c *connection) awaitPeer(cl *closing, until time.Time) {
	if cl.code == wsconn.CloseProtocolError {
		c.ws.CloseWrite()
	}
	if !c.ws.AwaitTaken(cl.readerDone, closeTimeout, max(closeTimeout, time.Until(until))) {
		c.cut(unread()) // the client has not even taken the Close frame
		return
	}
	c.ws.SetReadDeadline(time.Now())
	<-cl.readerDone
}

// disconnect runs the $disconnect route, if there is one.
func (c *connection) disconnect(cl *closing) {
	t := c.g.routes.Load()
	if t.disconnect == nil {
		return
	}
	req := c.disconnectRequest(t, cl.reported.code, cl.reported.reason)
	c.g.invokeDisconnect(&c.ctx, t.disconnect, req)
}
