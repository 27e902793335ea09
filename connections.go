package gateway

import (
	"errors"
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
	// LastActiveAt is the time of the last message that came from the client or was
	// accepted for it. Before the first message it is ConnectedAt.
	LastActiveAt time.Time
	Identity     Identity
	// PrincipalID is who the client is, as the [Authorizer] said; "" when it did not
	// say, or when there is none. Who signed the upgrade request, for IAM
	// authorization, is in Identity.Caller.
	PrincipalID string
	// Authorizer is what the [Authorizer] returned when the client connected, as in
	// the Request.Authorizer of its messages: all strings, with principalId if PrincipalID
	// is not "". It is nil if there is no Authorizer, and after IAM authorization. It is
	// shared: it must not be changed.
	Authorizer map[string]any
	// State is what [Gateway.SetState] has set last; nil if there is none. It is shared: it
	// must not be changed.
	State []byte
	// Groups are the groups that the connection is in, in the order in which it has joined
	// them: see [Gateway.Join]. For [Observer.ConnectionClosed] they are those that it was in
	// when its end began. It is nil if there are none. It is shared: it must not be changed.
	Groups []string
}

// Identity says who connected.
type Identity struct {
	// SourceIP is the address of the client's socket, without the port. Behind a proxy
	// that is the proxy, unless [WithTrustedProxies] names it: then it is the address that
	// the proxy has told.
	SourceIP  string
	UserAgent string  // header of the upgrade request; "" if it had none
	Caller    *Caller // who signed the upgrade request; nil without IAM authorization
	APIKeyID  string  // ID of the client's API key; "" if $connect requires none
}

// connection is the gateway's side of one client. These goroutines serve it:
//
//   - the reader, at most one: see serve. It also calls the integrations, as long as they
//     return at once: see worker. If the socket can be polled, there is a reader only
//     while it has something to read.
//   - up to Quotas.InFlight workers, while integrations take longer.
//   - one that writes what waits in the outbox, while the socket takes no more.
//   - one for the teardown, from the first cause of closing on.
type connection struct {
	g           *Gateway
	id          string
	ws          *wsconn.Conn
	ctx         connectionContext // parent of the contexts of integrations
	sourceIP    string
	userAgent   string
	caller      *Caller
	authorizer  map[string]any // Request.Authorizer after CONNECT
	keyUse      *keyUse        // nil: the client has no API key
	tail        connid.Tail    // of the ID
	late        bool           // about the timer: tick came late and was postponed; mu guards it
	domainName  string
	connectedAt int64                  // when the upgrade came, in Unix nanoseconds
	connected   clock.Instant          // the same on the gateway's clock
	opened      clock.Latest           // when the 101 was written: later, because $connect runs before
	lastActive  clock.Latest           // when the last message came or was accepted for the client
	lastHeard   clock.Latest           // when the last frame, or a part of one, came from the client
	pinged      clock.Latest           // when the gateway sent its last ping
	progress    atomic.Uint32          // what ws.Progress was when tick last looked
	life        atomic.Uint32          // a state; only moveLocked changes it
	extras      atomic.Pointer[extras] // nil: the backend uses only what the service has
	held        atomic.Bool            // about the reader, in any state: it waits for room for a message or a reply
	unrested    atomic.Bool            // about the reader, in any state: it has read something since it last rested
	out         outbox.Outbox

	mu      sync.Mutex // guards the fields below
	timer   timer
	inbox   *inbox.Inbox // messages that wait for a worker; nil: there was none
	closing *closing     // nil until the end of the connection begins
	working int32        // number of workers, the reader included while it calls an integration
	unsent  atomic.Int32 // what ws.Unsent was at the gateway's last ping; mu does not guard it
}

// read is the reader of a connection that is not polled. It is also the reader of one
// whose former reader is busy with an integration. It ends with the connection, or when
// another goroutine becomes the reader.
func (c *connection) read() {
	var spare *worker
	defer func() { spare.End() }()
	c.serve(&spare)
}

// ready is the reader of a connection that is polled. It runs on a goroutine of the
// pool, which serves other connections, too.
func (c *connection) ready(keep *poll.Keep) {
	spare, _ := (*keep).(*worker)
	*keep = nil
	defer func() { // also if a callback ends this goroutine: then the pool calls End on it
		if spare != nil {
			*keep = spare
		}
	}()
	c.serve(&spare)
}

// serve waits for messages and serves them until the connection ends. It returns earlier
// if another goroutine has become the reader, or if the connection is polled and nothing
// has come. spare is the worker of this goroutine, if it has one.
func (c *connection) serve(spare **worker) {
	for {
		err := c.ws.Wait()
		if err == nil && c.serveInput(spare) {
			continue
		}
		switch {
		case errors.Is(err, wsconn.ErrParked): // the pool calls ready again when something comes
		case errors.Is(err, wsconn.ErrInterrupted):
			c.g.running.Go(c.read) // the reader rests: a new goroutine has a small stack
		case err != nil:
			c.readerEnded(err)
		}
		return
	}
}

// serveInput reads the messages that have arrived. If no other integration of the
// connection runs, it serves them itself. It reports whether its goroutine is still the
// reader.
func (c *connection) serveInput(spare **worker) bool {
	var w *worker // set while this goroutine serves messages
	defer func() {
		if w != nil { // an integration or another callback has ended this goroutine
			defer w.End() // in a defer: an observer may end this goroutine again
			w.replaceAfterGoexit()
		}
	}()
	for {
		data, binary, err := c.ws.Read(c)
		if err != nil {
			if w != nil {
				*spare = w.release()
				w = nil
			}
			c.readerEnded(err)
			return false
		}
		message := inbox.Message{Data: data, Binary: binary}
		now := time.Now()
		c.heard(c.g.clock.At(now))
		answered := c.g.auto != nil && c.answersItself(message, now, w)
		if w == nil && !answered {
			w, now = c.receive(message, now, spare)
		}
		if w != nil {
			c.lastActive.Advance(c.g.clock.At(now))
			if !answered && !w.run(message, now) {
				w.End()
				w = nil
				return false
			}
			if !c.ws.BufferedMessage() || !c.state().accepts() {
				*spare = w.release()
				w = nil
			}
		}
		if c.ws.Waiting() {
			return true
		}
	}
}

// answersItself answers a message if it is one of [WithAutoResponse]. It is called by the
// reader, whose worker is w, if it has one.
func (c *connection) answersItself(message inbox.Message, now time.Time, w *worker) (answered bool) {
	if message.Binary || len(message.Data) > c.g.auto.longest {
		return false
	}
	answer, answered := c.g.auto.answers[string(message.Data)]
	if !answered {
		return false
	}
	returned := false
	defer func() {
		if !returned && w == nil { // an observer has ended this goroutine; a worker would start the next reader itself
			c.g.running.Go(c.read)
		}
	}()
	if c.state().accepts() {
		c.lastActive.Advance(c.g.clock.At(now))
		c.autoRespond(message, answer, now)
	}
	returned = true
	return true
}

// receive finds a place for a message: the reader's own worker, a new worker, or the
// inbox. It waits while the inbox is full. If the place is the reader's own worker, receive
// returns the worker, and now or, after a wait, the time of its end. A connection that
// accepts nothing any more drops the message.
func (c *connection) receive(message inbox.Message, now time.Time, spare **worker) (*worker, time.Time) {
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

// Ping implements [wsconn.Control]: it answers a ping of the client. If the client does
// not read, only its newest ping is answered.
func (c *connection) Ping(payload []byte) {
	c.heard(c.g.clock.Now())
	if c.g.quotas.PingsResetIdle {
		c.touch()
	}
	c.out.Pong(payload)
}

// Pong implements [wsconn.Control]: it records that the client is there.
func (c *connection) Pong() {
	c.heard(c.g.clock.Now())
	if c.g.quotas.PongsResetIdle {
		c.touch()
	}
}
