package gateway

import (
	"errors"
	"os"
	"time"

	"example.com/gateway/internal/connid"
	"example.com/gateway/internal/wsconn"
)

// cause says why a connection ends, and how: what $disconnect and the client are told.
type cause struct {
	code   int
	reason string
	remote bool  // the client sent a Close frame: our answer to it ends everything
	broken bool  // no Close frame can be sent any more
	polite bool  // messages that were received are still answered before the Close frame
	unread bool  // the client took too long to read: see retell
	err    error // what went wrong, for the log; nil: nothing
}

// goingAway is the cause of Shutdown, of the idle timeout and of the maximum duration.
func goingAway() cause {
	return cause{code: wsconn.CloseGoingAway, reason: "Going away", polite: true}
}

// deleted is the cause of DeleteConnection.
func deleted() cause {
	return cause{code: wsconn.CloseNormal, reason: "Connection Closed Normally"}
}

// brokenOff is the cause when the client's side of the socket is gone.
func brokenOff(err error) cause {
	return cause{code: wsconn.CloseAbnormal, reason: "Connection closed abnormally", broken: true, err: err}
}

// unread is the cause when the client has not taken in time what was sent to it.
func unread() cause {
	return cause{code: wsconn.CloseAbnormal, reason: "Client did not read in time", broken: true, unread: true, err: errUnread}
}

var errUnread = errors.New("the client did not take what was sent to it for Quotas.WriteTimeout, or for 5 s after the gateway had begun to close the connection")

// writeFailed is the cause when a write to the client has failed.
func writeFailed(err error) cause {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return unread()
	}
	return brokenOff(err)
}

// closing is what a connection needs from its first cause of closing on.
type closing struct {
	cause                     // the first: it decides what is done
	told        cause         // what $disconnect is told: see retell; c.mu guards it until stateGone
	readerDone  chan struct{} // closed when the reader has ended
	idle        chan struct{} // has one when no integration runs, though one may start: see awaitReplies
	workersDone chan struct{} // closed when no integration runs and none will start
	done        chan struct{} // closed when $disconnect has returned
}

const (
	// closeTimeout bounds each wait of a connection that closes: for running
	// integrations to answer before a polite Close frame, for the client to take
	// something of what is queued, for its answer to our Close frame.
	closeTimeout = 5 * time.Second
	// drainTimeout bounds the time in which a connection that closes sends what is
	// queued, however little the client takes at a time.
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
		cs = cause{code: ce.Code, reason: "Client-side close frame status not set", remote: true}
	default:
		cs = cause{code: ce.Code, reason: ce.Reason, remote: true}
	}
	cl := c.begin(cs)
	c.mu.Lock()
	close(c.closing.readerDone)
	c.mu.Unlock()
	if cl != nil {
		c.teardown(cl)
	}
}

// delete closes the connection for DeleteConnection. It reports false when the
// connection is gone. One that closes politely closes already: that is enough.
func (c *connection) delete() bool {
	c.mu.Lock()
	closingPolitely := c.state() == stateClosingPolitely
	c.mu.Unlock()
	_, first := c.tryEnd(deleted())
	return first || closingPolitely
}

// cut ends the connection without a Close frame. If it closes already, what that
// still waits for is given up.
func (c *connection) cut(cs cause) {
	cs.broken = true
	if cs.unread {
		c.ws.GiveUp()
	}
	if _, first := c.tryEnd(cs); !first && cs.unread {
		c.retell(cs)
	}
	c.out.Abort()
	c.ws.Close()
}

// retell makes cs what $disconnect is told, although another cause was the first: the
// client never saw the Close frame for that one. A Close frame of the client itself
// still counts.
func (c *connection) retell(cs cause) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state() < stateGone && !c.closing.remote {
		c.closing.told = cs
	}
}

// end closes the connection for a cause, unless it closes already: the first cause
// counts. It returns at once. The returned channel is closed after $disconnect has
// run.
func (c *connection) end(cs cause) <-chan struct{} {
	done, _ := c.tryEnd(cs)
	return done
}

// tryEnd is end. It reports whether the cause was the first.
func (c *connection) tryEnd(cs cause) (done <-chan struct{}, first bool) {
	if cl := c.begin(cs); cl != nil {
		c.g.running.Go(func() { c.teardown(cl) })
		return cl.done, true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closing.done, false
}

// begin begins to close the connection: the caller has to call teardown then. It
// returns nil when the connection closes already.
func (c *connection) begin(cs cause) *closing {
	c.mu.Lock()
	if c.state().ends() {
		c.mu.Unlock()
		return nil
	}
	cl := &closing{
		cause:       cs,
		told:        cs,
		readerDone:  make(chan struct{}),
		idle:        make(chan struct{}, 1),
		workersDone: make(chan struct{}),
		done:        make(chan struct{}),
	}
	c.closing = cl
	if cs.polite && !cs.broken {
		c.moveLocked(stateClosingPolitely)
	} else {
		c.moveLocked(stateClosing)
	}
	c.mu.Unlock()

	switch {
	case cs.broken:
		c.out.Abort()
	case !cs.polite:
		c.out.Close(cl.frame())
	}
	return cl
}

// workersDoneLocked tells the teardown when no integration runs. Once the connection
// accepts nothing more, none will start.
func (c *connection) workersDoneLocked() {
	switch {
	case !c.state().ends() || c.working > 0:
	case !c.state().accepts():
		close(c.closing.workersDone)
	default:
		select {
		case c.closing.idle <- struct{}{}:
		default: // it has one
		}
	}
}

// frame returns the Close frame, which is sent after all that is queued.
func (cs *cause) frame() []byte { return wsconn.AppendClose(nil, cs.code, cs.reason) }

// teardown ends a connection in order: what is queued is sent, the Close frame last;
// the client's Close frame is awaited; the socket is closed; running integrations
// return; $disconnect runs.
func (c *connection) teardown(cl *closing) {
	defer c.disconnected(cl) // in a defer: an observer may end this goroutine
	if cl.polite && !cl.broken {
		c.awaitReplies(cl)
		c.out.Close(cl.frame())
	}
	if !cl.broken {
		c.awaitDrained()
		if !cl.remote {
			c.awaitPeer(cl)
		}
	}
	c.ws.Close()
	<-cl.readerDone
	<-c.out.Drained()
	<-cl.workersDone
	c.mu.Lock()
	c.moveLocked(stateGone) // from now on cl.told does not change
	c.mu.Unlock()
	var violation *wsconn.CloseError
	if errors.As(cl.err, &violation) && !violation.Remote {
		c.logViolation(violation)
	}
	c.g.observers.connectionClosed(&c.ctx, c.snapshot(), cl.told.code, cl.told.reason)
	c.logClosed(&cl.told)
}

// disconnected is the last step of teardown: it runs $disconnect and gives back
// everything that the connection held.
func (c *connection) disconnected(cl *closing) {
	defer func() { // in a defer: an observer may end this goroutine
		c.g.connections.Remove(c.id) // posts no longer reach it since it closes; a shutdown counts it until here
		close(cl.done)
		c.g.running.Done() // that of accept
	}()
	c.keyUse.release()
	c.g.sources.Remove(c.identity.SourceIP)
	c.disconnect(cl)
}

// awaitReplies waits until the integrations of all messages that were received have
// answered, unless they take long or the client goes by itself.
func (c *connection) awaitReplies(cl *closing) {
	timeout := time.NewTimer(closeTimeout)
	defer timeout.Stop()
	for more := true; ; {
		c.mu.Lock()
		if c.working == 0 || !more { // none has begun since idle was signalled
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
			more = false
		}
	}
}

// awaitDrained waits until all is written. A client that takes nothing is given up
// by the write itself; one that takes very little is given up here.
func (c *connection) awaitDrained() {
	timeout := time.NewTimer(drainTimeout)
	defer timeout.Stop()
	select {
	case <-c.out.Drained():
	case <-timeout.C:
		c.cut(unread())
	}
}

// awaitPeer waits for the reader to meet the client's Close frame. After a
// violation that broke the framing nothing can be met: then the end of our stream
// tells the client to go.
func (c *connection) awaitPeer(cl *closing) {
	if cl.code == wsconn.CloseProtocolError {
		c.ws.CloseWrite()
	}
	deadline := time.Now().Add(closeTimeout)
	c.ws.SetReadDeadline(deadline)
	<-cl.readerDone
	if !time.Now().Before(deadline) && c.ws.Unsent() > 0 { // not even our Close frame has reached the client
		c.cut(unread())
	}
}

// disconnect runs the $disconnect route, if there is one.
func (c *connection) disconnect(cl *closing) {
	t := c.g.routes.Load()
	if t.disconnect == nil {
		return
	}
	req := &Request{RequestID: connid.NewRequest(), DisconnectStatusCode: cl.told.code, DisconnectReason: cl.told.reason}
	c.fill(req, t.stageVariables, t.disconnect, EventDisconnect, time.Now())
	c.g.invokeDisconnect(&c.ctx, t.disconnect, req)
}
