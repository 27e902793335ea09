package gateway

import (
	"time"

	"example.com/gateway/internal/clock"
	"example.com/gateway/internal/event"
)

// state says where a connection is in its life. It only moves forward, and only
// [connection.moveLocked] moves it. A connection may skip states: for example, one that
// breaks off moves from open to closing.
//
//	opening → open → closingPolitely → closing → gone
//
//	state            begins when                          messages from it  posts to it
//	opening          $connect has accepted it             not read yet      queued
//	open             the 101 has been written             served            sent
//	closingPolitely  Shutdown, the idle timeout or the    served            sent
//	                 maximum duration ends it
//	closing          the Close frame has been queued,     dropped           ErrGone
//	                 or none can be sent
//	gone             the socket is closed, and no         none              ErrGone
//	                 integration runs
//
// Messages that wait when closing begins were sent before. They are still served, unless the
// backend has closed the connection: see [connection.close].
//
// $disconnect runs in gone. In closingPolitely the messages that have arrived are still
// answered, because the client cannot know before the Close frame that the connection
// closes.
type state uint32

const (
	stateOpening state = iota
	stateOpen
	stateClosingPolitely
	stateClosing
	stateGone
)

// accepts reports whether messages are accepted from the client and posts for it.
func (s state) accepts() bool { return s < stateClosing }

// ends reports whether the end of the connection has begun. If so, connection.closing is
// set.
func (s state) ends() bool { return s >= stateClosingPolitely }

// state returns the present state, without a lock. If the caller's next step depends on
// it, the caller has to hold c.mu, so that the state cannot change in between.
func (c *connection) state() state { return state(c.life.Load()) }

// moveLocked moves the connection forward to a state. If the connection is there already,
// or further, it changes nothing and returns false. The caller sets c.closing before it
// moves the connection to a state that ends it.
func (c *connection) moveLocked(to state) bool {
	from := c.state()
	if to <= from {
		return false
	}
	c.life.Store(uint32(to))
	if to.ends() && !from.ends() {
		c.timer.stop()
	}
	if from.accepts() && !to.accepts() {
		c.workersDoneLocked()
		c.inbox.Wake()
		c.g.open.Add(-1)
		c.leaveAllLocked()
	}
	return true
}

// touch records that the connection is active now.
func (c *connection) touch() { c.lastActive.Advance(c.g.clock.Now()) }

// setState makes a change of what the connection remembers, if the connection is still
// open.
func (c *connection) setState(change *stateChange) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.state().accepts() {
		return ErrGone
	}
	return c.setStateLocked(change)
}

// principal returns who the client is, as the Authorizer said, or "".
func (c *connection) principal() string {
	principal, _ := c.authorizer[event.PrincipalID].(string)
	return principal
}

// snapshot describes the connection as it is now.
func (c *connection) snapshot() Connection {
	x := c.extras.Load()
	return Connection{
		ID: c.id, ConnectedAt: time.Unix(0, c.connectedAt), Identity: c.identity(),
		PrincipalID: c.principal(), Authorizer: c.authorizer,
		LastActiveAt: time.Unix(0, c.connectedAt).Add(c.lastActive.Load().Since(c.connected)),
		State:        x.stateOf(), Groups: x.groupsOf(),
	}
}

// If no integration runs, workersDoneLocked tells the teardown. If the connection accepts
// nothing any more, none will start.
func (c *connection) workersDoneLocked() {
	switch {
	case !c.state().ends() || c.working > 0:
	case !c.state().accepts():
		close(c.closing.workersDone)
	default:
		c.closing.stopWaiting()
	}
}

// timer calls tick when the next quota of time of a connection may be used up.
type timer struct {
	timer *time.Timer   // nil if it was never set
	due   clock.Instant // when it calls
}

func (t *timer) stop() {
	if t.timer != nil {
		t.timer.Stop()
	}
}

// closing is what a connection has in addition while it ends.
type closing struct {
	cause                     // the first one: it decides what the teardown does
	reported    cause         // what $disconnect gets: see reportInstead; connection.mu guards it until stateGone
	late        bool          // integrations had closeTimeout to answer, and some have not; connection.mu guards it
	readerDone  chan struct{} // closed when the reader has ended
	idle        chan struct{} // receives a value each time the last running integration ends while messages are still accepted
	workersDone chan struct{} // closed when no integration runs and none will start
	done        chan struct{} // closed when $disconnect has returned
}

// stopWaiting makes awaitReplies look at the connection again.
func (cl *closing) stopWaiting() {
	select {
	case cl.idle <- struct{}{}:
	default: // it holds a value already
	}
}

// lateReply returns what has closed the connection politely if a reply came too late
// because of that, and "" if a reply is lost for another reason: the client has left.
func (c *connection) lateReply() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closing == nil || !c.closing.late {
		return ""
	}
	return c.closing.by
}
