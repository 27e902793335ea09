package gateway

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"example.com/gateway/internal/clock"
	"example.com/gateway/internal/connid"
	"example.com/gateway/internal/inbox"
	"example.com/gateway/internal/outbox"
	"example.com/gateway/internal/poll"
	"example.com/gateway/internal/wsconn"
)

// Connection describes an open connection.
type Connection struct {
	ID          string
	ConnectedAt time.Time
	// LastActiveAt is the time of the last message from the client or accepted for
	// it; ConnectedAt before the first.
	LastActiveAt time.Time
	Identity     Identity
	// PrincipalID is who the client is, as the [Authorizer] said; "" when it did not
	// say, or when there is none. Who signed the upgrade request, for IAM
	// authorization, is in Identity.Caller.
	PrincipalID string
	// Authorizer is what the [Authorizer] returned when the client connected, as in
	// the Request.Authorizer of its messages: all strings, principalId among them. nil:
	// there was no Authorizer. It is shared: it must not be changed.
	Authorizer map[string]any
}

// Identity says who connected.
type Identity struct {
	SourceIP  string  // address of the peer's socket, without port
	UserAgent string  // of the upgrade request; "" when it had none
	Caller    *Caller // who signed the upgrade request; nil without IAM authorization
	APIKeyID  string  // of the API key; "" where $connect requires none
}

// connection is the gateway's side of one client. These goroutines serve it:
//
//   - the reader, at most one: see serve. It runs integrations too, as long as
//     they return at once; see worker. While nothing comes there is none, where
//     the socket can be polled.
//   - up to InFlight workers while integrations take longer.
//   - one that writes what waits in the outbox while the socket takes no more.
//   - one for the teardown, begun by the first cause of closing.
type connection struct {
	g           *Gateway
	id          string
	ws          *wsconn.Conn
	ctx         connectionContext // parent of the integrations' contexts
	identity    Identity
	authorizer  map[string]any // Request.Authorizer after CONNECT
	keyUse      *keyUse        // nil: the client has no API key
	tail        connid.Tail    // of the ID
	late        bool           // about the timer: tick was postponed because it came late; mu guards it
	domainName  string
	connectedAt int64         // of the upgrade, Unix nanoseconds
	connected   clock.Instant // likewise
	opened      clock.Latest  // of the 101, which $connect may have held back
	lastActive  clock.Latest  // of the last message either way
	lastHeard   clock.Latest  // of the last frame from the client, or of bytes of one
	pinged      clock.Latest  // of our last ping
	progress    atomic.Uint32 // of ws, when last looked at
	life        atomic.Uint32 // a state; changed by moveLocked only
	held        atomic.Bool   // about the reader, in any state: it waits for room, for a message or its reply
	unrested    atomic.Bool   // about the reader, in any state: it has read something since it last rested
	out         outbox.Outbox

	mu      sync.Mutex // guards the fields below
	timer   timer
	inbox   *inbox.Inbox // messages that wait for a worker; nil: there was none
	closing *closing     // nil until the state ends the connection
	working int32        // workers, the reader among them while it runs an integration
	unsent  atomic.Int32 // of ws, at our last ping; mu does not guard it
}

// start begins the connection's life once its 101 has been written, or could
// not be.
func (c *connection) start(handshake error) {
	if handshake != nil {
		c.end(writeFailed(handshake))
	}
	c.out.Release()
	now := c.g.clock.Now()
	c.opened.Advance(now)
	c.lastHeard.Advance(now)
	c.mu.Lock()
	if c.moveLocked(stateOpen) {
		c.setTimerLocked(now)
	}
	c.mu.Unlock()
	if !c.ws.Park() {
		c.g.running.Go(c.read)
	}
}

func (c *connection) snapshot() Connection {
	principal, _ := c.authorizer[principalID].(string)
	return Connection{
		ID: c.id, ConnectedAt: time.Unix(0, c.connectedAt), Identity: c.identity,
		PrincipalID: principal, Authorizer: c.authorizer,
		LastActiveAt: time.Unix(0, c.connectedAt).Add(c.lastActive.Load().Since(c.connected)),
	}
}

// read is the reader of a connection that is not polled, or of one that another
// goroutine has taken over: until the connection ends, or somebody else reads.
func (c *connection) read() {
	var spare *worker
	defer func() { spare.End() }()
	c.serve(&spare)
}

// ready is the reader of a connection that is polled, on a goroutine that it shares
// with others.
func (c *connection) ready(keep *poll.Keep) {
	spare, _ := (*keep).(*worker)
	*keep = nil
	defer func() { // also when a callback ends this goroutine: then the pool ends what is kept
		if spare != nil {
			*keep = spare
		}
	}()
	c.serve(&spare)
}

// serve waits for messages until the connection ends, and serves them. It returns
// early when, meanwhile, another goroutine took the reading over, and when there is
// nothing to do on a connection that is polled. spare is the goroutine's worker,
// if it has one.
func (c *connection) serve(spare **worker) {
	for {
		err := c.ws.Wait()
		if err == nil && c.serveInput(spare) {
			continue
		}
		switch {
		case errors.Is(err, wsconn.ErrParked): // whoever is called next is the reader
		case errors.Is(err, wsconn.ErrInterrupted):
			c.g.running.Go(c.read) // to rest, on a stack that is small
		case err != nil:
			c.readerEnded(err)
		}
		return
	}
}

// serveInput reads the messages that have arrived, and runs each one's
// integration itself if no other runs. It reports whether its goroutine is still
// the reader.
func (c *connection) serveInput(spare **worker) bool {
	var w *worker // set while this goroutine is at work, from one message to the next
	defer func() {
		if w != nil { // an integration or another callback has ended this goroutine
			defer w.End() // in a defer: an observer may end this goroutine again
			w.exit()
		}
	}()
	for {
		message, err := c.ws.Read(c)
		if err != nil {
			if w != nil {
				*spare = w.end()
				w = nil
			}
			c.readerEnded(err)
			return false
		}
		now := time.Now()
		c.heard(c.g.clock.At(now))
		if w == nil {
			w, now = c.receive(message, now, spare)
		}
		if w != nil {
			c.lastActive.Advance(c.g.clock.At(now))
			if !w.run(message, now) {
				w.End()
				w = nil
				return false
			}
			if !c.ws.BufferedMessage() || !c.state().accepts() {
				*spare = w.end()
				w = nil
			}
		}
		if c.ws.Waiting() {
			return true
		}
	}
}

// receive finds a place for a message: with the reader's own worker, which is then
// returned, with the time, since it may have waited; with a new one; in the inbox.
// Once the connection is gone, messages are dropped. While it closes politely they
// are not: until its Close frame is queued, the client cannot know that it closes.
func (c *connection) receive(message []byte, now time.Time, spare **worker) (*worker, time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	inFlight := c.g.quotas.InFlight
	for c.state().accepts() {
		switch {
		case c.working == 0:
			c.working++
			w := *spare
			if *spare = nil; w == nil {
				w = new(worker)
				c.g.watch.Add(&w.watched, w)
			}
			w.c, w.reads = c, true
			return w, now
		case c.inbox.Empty() && (inFlight == 0 || int(c.working) < inFlight):
			c.touch()
			c.startWorkerLocked(message)
			return nil, now
		}
		if c.inbox == nil {
			c.inbox = inbox.New(&c.mu)
		}
		if c.inbox.Add(message) {
			c.touch()
			return nil, now
		}
		c.notReading(c.inbox.Wait)
		now = time.Now()
	}
	return nil, now
}

// notReading waits for room, as the reader: a client that nobody reads cannot
// show that it lives.
func (c *connection) notReading(wait func()) {
	c.held.Store(true)
	if c.ws.HungUp() { // hungUp may have come too early to see held
		c.g.running.Go(c.hungUp)
	}
	wait()
	c.lastHeard.Advance(c.g.clock.Now())
	c.held.Store(false)
}

// hungUp ends a connection whose client has gone while the reader waits for room: it
// would find out only after everything that it has to read before. It is called by
// the poller when the client resets the connection, and does not wait.
func (c *connection) hungUp() {
	if c.held.Load() {
		c.g.running.Go(func() { c.cut(brokenOff(errReset)) }) // ends at once; the connection still counts
	}
}

var errReset = errors.New("the client reset the connection")

// touch notes activity.
func (c *connection) touch() { c.lastActive.Advance(c.g.clock.Now()) }

// Ping answers a client's ping. Only the newest is answered when the client
// does not read.
func (c *connection) Ping(payload []byte) {
	c.Pong()
	if c.g.quotas.PingsResetIdle {
		c.touch()
	}
	c.out.Pong(payload)
}

// Pong notes that the client lives.
func (c *connection) Pong() { c.heard(c.g.clock.Now()) }

var errSlowClient = fmt.Errorf("%w: the send buffer of the client is full", ErrLimitExceeded)

// post sends a message to the client, or queues it. It does not wait. frame is what
// [outbox.TextFrame] made of data, or nil.
func (c *connection) post(data, frame []byte, now time.Time) error {
	switch err := c.out.Post(data, frame); {
	case errors.Is(err, outbox.ErrFull):
		return errSlowClient
	case err != nil:
		return ErrGone
	}
	c.lastActive.Advance(c.g.clock.At(now))
	return nil
}

// postReply is post for the answer to a message. It waits for room, so that a client
// that sends but does not read is held back, and not answered in part. reader says
// that the caller is the connection's reader.
func (c *connection) postReply(body []byte, reader bool) error {
	err := c.out.Post(body, nil)
	if !errors.Is(err, outbox.ErrFull) {
		return err
	}
	frame := outbox.TextFrame(body)
	if reader && c.g.quotas.WriteTimeout > 0 { // that ends the connection of a client that takes nothing
		c.notReading(func() { err = c.out.PostWait(frame) })
	} else {
		err = c.out.PostWait(frame)
	}
	c.touch() // it may have waited
	return err
}

// clientWriter is the connection as its outbox sees it.
type clientWriter connection

var _ outbox.Peer = (*clientWriter)(nil)

// TryWrite implements [outbox.Peer].
func (w *clientWriter) TryWrite(b []byte) (int, error) { return w.ws.TryWrite(b) }

// Write implements [outbox.Peer].
func (w *clientWriter) Write(b []byte) error { return w.ws.Write(b, w.patience) }

// Go implements [outbox.Peer]. The teardown waits until the outbox is drained.
func (w *clientWriter) Go(f func()) { w.g.running.Go(f) }

// Limits implements [outbox.Peer].
func (w *clientWriter) Limits() *outbox.Limits { return &w.g.sendLimits }

// WriteFailed implements [outbox.Peer].
func (w *clientWriter) WriteFailed(err error) { (*connection)(w).cut(writeFailed(err)) }

// patience is how long a client may take nothing of what is written to it. Once the
// connection closes, nobody waits long for it, whatever the quota says.
func (w *clientWriter) patience() time.Duration {
	limit := w.g.quotas.WriteTimeout
	if !(*connection)(w).state().accepts() && (limit == 0 || limit > closeTimeout) {
		limit = closeTimeout
	}
	return limit
}

// fill makes req, which is new, an event of the connection. The IDs are left out.
func (c *connection) fill(req *Request, stageVariables map[string]string, r *route, event EventType, now time.Time) {
	req.RouteKey, req.EventType = r.RouteKey, event
	req.ConnectionID = c.id
	req.Identity, req.Authorizer, req.keyUse = c.identity, c.authorizer, c.keyUse
	req.APIID, req.Stage, req.DomainName, req.StageVariables = c.g.apiID, c.g.stage, c.domainName, stageVariables
	req.ConnectedAt, req.RequestTime = time.Unix(0, c.connectedAt), now
}

// connectionContext is the parent of the contexts of a connection's integrations. It
// has the values of the upgrade request; it is cancelled by the gateway alone, never
// with that request.
type connectionContext struct {
	context.Context //nolint:containedctx // this is a context: the gateway's root
	request         context.Context
}

// Value asks the gateway's context first. That has no values but what the standard
// library keeps there about the cancellation, and the request's must not stand in
// for it: [context.Cause] would report the end of the request, and each child of the
// context would need a goroutine to watch its parent.
func (c *connectionContext) Value(key any) any {
	if v := c.Context.Value(key); v != nil {
		return v
	}
	return c.request.Value(key)
}
