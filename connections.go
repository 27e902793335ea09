package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"example.com/gateway/internal/connid"
	"example.com/gateway/internal/poll"
	"example.com/gateway/internal/sendq"
	"example.com/gateway/internal/wsconn"
)

// Connection is what is known of an open connection.
type Connection struct {
	ID          string
	ConnectedAt time.Time
	// LastActiveAt is the time of the last message from the client or accepted for
	// it; ConnectedAt before the first.
	LastActiveAt time.Time
	Identity     Identity
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
//   - one that drains the send queue while the socket takes no more.
//   - one for the teardown, begun by the first cause of closing.
type connection struct {
	g           *Gateway
	id          string
	ws          *wsconn.Conn
	ctx         connectionContext // parent of the integrations' contexts
	identity    Identity
	authorizer  map[string]any // Request.Authorizer after CONNECT
	client      *client        // of the API key
	tail        connid.Tail    // of the ID
	domainName  string
	connectedAt int64         // Unix nanoseconds
	opened      atomic.Int64  // Unix nanoseconds of the 101, which $connect may have held back
	lastActive  atomic.Int64  // likewise of the last message either way
	lastHeard   atomic.Int64  // likewise of the last frame from the client, or of bytes of one
	progress    atomic.Uint32 // of ws, when last looked at
	held        atomic.Bool   // the reader waits for room: for a message, or its reply
	unrested    atomic.Bool   // something was read since the reader last rested
	ending      atomic.Bool   // closing is set
	out         sendq.Queue

	mu      sync.Mutex // guards the fields below
	timer   *time.Timer
	inbox   *inbox // of messages that wait for a worker; nil: there was none
	working int32  // workers, the reader among them while it runs an integration
	gone    bool   // closing, and nothing more is accepted for the client
	closing *closing
}

// inbox holds the messages of a client for as long as its integrations are slower
// than it.
type inbox struct {
	messages [][]byte
	bytes    int       // of those
	room     sync.Cond // for one more, or the connection closes
}

func (c *connection) inboxLocked() *inbox {
	if c.inbox == nil {
		c.inbox = &inbox{room: sync.Cond{L: &c.mu}}
	}
	return c.inbox
}

func (b *inbox) empty() bool { return b == nil || len(b.messages) == 0 }

// Bounds of an inbox, for the time that integrations are slower than the client.
// A full inbox stops reading, so that TCP holds the client back.
const (
	inboxMessages = 16
	inboxBytes    = 128 << 10
)

// cause says why a connection ends: what $disconnect and the client are told.
type cause struct {
	code   int
	reason string
	remote bool  // the client sent a Close frame: the answer to it ends all
	broken bool  // no Close frame can be sent any more
	polite bool  // running integrations may still answer before the Close frame
	err    error // that of the reader, if it was the reader who ended it
}

func goingAway() cause {
	return cause{code: wsconn.CloseGoingAway, reason: "Going away", polite: true}
}

func brokenOff(err error) cause {
	return cause{code: wsconn.CloseAbnormal, reason: "Connection closed abnormally", broken: true, err: err}
}

// closing is the state of a connection from its first cause of closing on.
type closing struct {
	cause
	readerDone  chan struct{} // the reader has ended
	workersDone chan struct{} // no integration runs, nor will
	done        chan struct{} // $disconnect has returned
}

func newConnection(u *upgrade, ws *wsconn.Conn) *connection {
	c := &connection{
		g: u.g, id: u.connectionID, tail: connid.TailOf(u.connectionID), ws: ws, ctx: u.parent,
		identity: u.identity(), authorizer: u.admission.authorizer, client: u.admission.client,
		domainName: u.domainName(), connectedAt: u.now.UnixNano(),
	}
	c.out.Limit(&u.g.sendLimits)
	c.out.Hold() // until the 101 is out
	c.lastActive.Store(u.now.UnixNano())
	c.lastHeard.Store(u.now.UnixNano())
	return c
}

// start begins the connection's life once its 101 has been written, or could
// not be.
func (c *connection) start(handshake error) {
	if handshake != nil {
		c.end(brokenOff(handshake))
	}
	c.drain() // ends the Hold
	now := time.Now()
	c.opened.Store(now.UnixNano())
	c.lastHeard.Store(now.UnixNano())
	c.mu.Lock()
	if c.closing == nil {
		c.setTimerLocked(now)
	}
	c.mu.Unlock()
	if !c.ws.Park() {
		c.g.running.Go(c.read)
	}
}

func (c *connection) snapshot() Connection {
	return Connection{
		ID: c.id, ConnectedAt: time.Unix(0, c.connectedAt), Identity: c.identity,
		LastActiveAt: time.Unix(0, c.lastActive.Load()),
	}
}

func (c *connection) isGone() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.gone
}

// delete closes the connection for DeleteConnection. It reports false when it is
// gone. One that closes politely is closing: that will do.
func (c *connection) delete() bool {
	c.mu.Lock()
	closingPolitely := c.closing != nil && !c.gone
	c.mu.Unlock()
	_, first := c.tryEnd(cause{code: wsconn.CloseNormal, reason: "Connection Closed Normally"})
	return first || closingPolitely
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
	c.serve(&spare)
	if spare != nil {
		*keep = spare
	}
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
		if w != nil { // the integration has ended this goroutine
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
		c.heard(now)
		if w == nil {
			w, now = c.receive(message, now, spare)
		}
		if w != nil {
			c.lastActive.Store(now.UnixNano())
			if !w.run(message, now) {
				w.End()
				w = nil
				return false
			}
			if !c.ws.BufferedMessage() || c.ending.Load() {
				*spare = w.end()
				w = nil
			}
		}
		if c.ws.Waiting() {
			return true
		}
	}
}

// receive finds a place for a message: with the reader's own worker, which is
// then returned, with the time, since it may have waited; with a new one; in the
// inbox. Once the connection closes, messages are forgotten, unless it closes
// politely and others still run.
func (c *connection) receive(message []byte, now time.Time, spare **worker) (*worker, time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	inFlight := c.g.quotas.InFlight
	for c.closing == nil || !c.gone && c.working > 0 {
		switch {
		case c.working == 0:
			c.working++
			w := *spare
			if *spare = nil; w == nil {
				w = new(worker)
				c.g.watch.add(w)
			}
			w.c, w.reads = c, true
			return w, now
		case c.inbox.empty() && (inFlight == 0 || int(c.working) < inFlight):
			c.touch()
			c.startWorkerLocked(message)
			return nil, now
		}
		b := c.inboxLocked()
		if b.empty() || len(b.messages) < inboxMessages && b.bytes+len(message) <= inboxBytes {
			c.touch()
			b.messages = append(b.messages, message)
			b.bytes += len(message)
			return nil, now
		}
		c.notReading(b.room.Wait)
		now = time.Now()
	}
	return nil, now
}

// notReading waits for room, as the reader: a client that nobody reads cannot
// show that it lives.
func (c *connection) notReading(wait func()) {
	c.held.Store(true)
	wait()
	c.lastHeard.Store(time.Now().UnixNano())
	c.held.Store(false)
}

// touch notes activity.
func (c *connection) touch() { c.lastActive.Store(time.Now().UnixNano()) }

// readerEnded is called by the reader as its last act. Where it is the first to
// know that the connection ends, it takes it down, too.
func (c *connection) readerEnded(err error) {
	var ce *wsconn.CloseError
	cs := brokenOff(err)
	switch {
	case !errors.As(err, &ce):
	case !ce.Remote:
		c.g.log.Warn("client broke a rule of the protocol", "connection_id", c.id, "status", ce.Code, "error", ce.Error())
		c.end(cause{code: ce.Code, reason: ce.Reason, err: err})
		c.ws.Discard(err)
	case ce.Code == wsconn.CloseNoStatus:
		cs = cause{code: ce.Code, reason: "Client-side close frame status not set", remote: true}
	default:
		cs = cause{code: ce.Code, reason: ce.Reason, remote: true}
	}
	cl, drain := c.begin(cs)
	c.mu.Lock()
	close(c.closing.readerDone)
	c.mu.Unlock()
	if cl != nil {
		c.teardown(cl, drain)
	}
}

// Ping answers a client's ping. Only the newest is answered when the client
// does not read.
func (c *connection) Ping(payload []byte) {
	c.Pong()
	if c.g.quotas.PingsResetIdle {
		c.touch()
	}
	if c.out.Urgent(sendq.Pong, wsconn.AppendPong(nil, payload)) {
		c.drain()
	}
}

// Pong notes that the client lives.
func (c *connection) Pong() { c.heard(time.Now()) }

// heard notes that a frame came, and that the reader has to rest afterwards.
func (c *connection) heard(now time.Time) {
	c.lastHeard.Store(now.UnixNano())
	if c.unrested.Load() || c.ws.Polled() {
		return
	}
	c.unrested.Store(true)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closing == nil {
		c.setTimerLocked(now)
	}
}

// setTimerLocked has the connection looked at when the next thing is due.
func (c *connection) setTimerLocked(now time.Time) {
	switch next, ok := c.nextTick(now); {
	case !ok:
	case c.timer == nil:
		c.timer = time.AfterFunc(next.Sub(now), c.tick)
	default:
		c.timer.Reset(next.Sub(now))
	}
}

// restAfter is how long nothing comes before a reader rests. Work makes the stack
// of its goroutine grow, and it would keep all of that for as long as it waits:
// a new goroutine waits in its place. One that is polled has nothing to give up.
const restAfter = 2 * time.Second

// rest gives up what an idle connection does not need.
func (c *connection) rest() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closing != nil || c.working > 0 || !c.unrested.CompareAndSwap(true, false) {
		return
	}
	c.ws.Interrupt()
}

var errSlowClient = fmt.Errorf("%w: the send buffer of the client is full", ErrLimitExceeded)

// textFrame encodes a message, for any number of clients.
func textFrame(data []byte) []byte {
	return wsconn.AppendText(make([]byte, 0, wsconn.TextSize(len(data))), data)
}

// post sends a message to the client, or queues it. frame is data's, unless it is
// nil.
func (c *connection) post(data, frame []byte, now time.Time) error {
	if !c.sendNow(data, frame) {
		if frame == nil {
			frame = textFrame(data)
		}
		drain, err := c.out.Push(frame)
		switch {
		case errors.Is(err, sendq.ErrFull):
			return errSlowClient
		case err != nil:
			return ErrGone
		}
		if drain {
			c.drain()
		}
	}
	c.lastActive.Store(now.UnixNano())
	return nil
}

// sendNow sends a message past the queue, if that is empty, without memory of its
// own. It does not wait.
func (c *connection) sendNow(data, frame []byte) bool {
	if !c.out.ClaimFor(wsconn.TextSize(len(data))) {
		return false
	}
	buf, _ := writeBuffers.Get().(*[]byte)
	switch {
	case frame != nil:
	case wsconn.TextSize(len(data)) > writeBytes:
		frame = textFrame(data)
	default:
		frame = wsconn.AppendText((*buf)[:0], data)
	}
	c.write(buf, frame)
	return true
}

// flush makes sure that what is queued is being written.
func (c *connection) flush() {
	if c.out.Claim() {
		c.drain()
	}
}

// pushReply queues the answer to a message. It waits for room, so that a client
// that sends but does not read is held back, not answered in part.
func (c *connection) pushReply(body []byte, reader bool) error {
	frame := textFrame(body)
	drain, err := c.out.Push(frame)
	switch {
	case !errors.Is(err, sendq.ErrFull):
	case reader && c.g.quotas.WriteTimeout > 0: // which ends the connection of a client that takes nothing
		c.notReading(func() { drain, err = c.out.PushWait(frame) })
	default:
		drain, err = c.out.PushWait(frame)
	}
	c.touch() // it may have waited
	if drain {
		c.drain()
	}
	return err
}

const (
	writeBytes = 16 << 10
	// writesInline is how many writes a goroutine that came to post does for
	// others before it goes back to its own work.
	writesInline = 16
)

//nolint:gochecknoglobals // a pool is shared to be of use
var writeBuffers = sync.Pool{New: func() any {
	b := make([]byte, 0, writeBytes)
	return &b
}}

// drain writes what is queued, as the holder of the drainer's role.
func (c *connection) drain() {
	buf, _ := writeBuffers.Get().(*[]byte)
	if b, more := c.out.Next(*buf); more {
		c.write(buf, b)
		return
	}
	writeBuffers.Put(buf)
}

// write writes b, which may lie in buf, and then what is queued, as the holder of
// the drainer's role. It never waits: what the socket does not take at once is left
// to a goroutine.
func (c *connection) write(buf *[]byte, b []byte) {
	for n := 1; ; n++ {
		written, err := c.ws.TryWrite(b)
		if err != nil {
			c.writeFailed(err)
			return
		}
		if rest := b[written:]; len(rest) > 0 || n == writesInline {
			c.g.running.Go(func() { c.drainWaiting(*buf, rest) }) // ends with the role; teardown waits for that
			return
		}
		var more bool
		if b, more = c.out.Next(*buf); !more {
			writeBuffers.Put(buf)
			return
		}
	}
}

func (c *connection) drainWaiting(buf, b []byte) {
	for more := true; more; b, more = c.out.Next(buf) {
		if err := c.ws.Write(b, c.g.quotas.WriteTimeout); err != nil {
			c.writeFailed(err)
			return
		}
	}
	writeBuffers.Put(&buf)
}

// writeFailed gives the drainer's role back after the socket failed.
func (c *connection) writeFailed(err error) {
	c.cut(brokenOff(err))
	c.out.Next(nil)
}

// cut ends the connection without a Close frame, or breaks off its closing.
func (c *connection) cut(cs cause) {
	cs.broken = true
	c.end(cs)
	c.out.Abort()
	c.ws.Close()
}

// end closes the connection for a cause, unless it closes already. The first
// cause counts. It never waits; what it returns is closed when all is over.
func (c *connection) end(cs cause) <-chan struct{} {
	done, _ := c.tryEnd(cs)
	return done
}

// tryEnd is end; it reports whether the cause was the first.
func (c *connection) tryEnd(cs cause) (done <-chan struct{}, first bool) {
	cl, drain := c.begin(cs)
	if cl != nil {
		c.g.running.Go(func() { c.teardown(cl, drain) })
		return cl.done, true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closing.done, false
}

// begin begins to close the connection: the caller has to see to the teardown. It
// returns nil when the connection closes already.
func (c *connection) begin(cs cause) (cl *closing, drain bool) {
	c.mu.Lock()
	if c.closing != nil {
		c.mu.Unlock()
		return nil, false
	}
	cl = &closing{
		cause:       cs,
		readerDone:  make(chan struct{}),
		workersDone: make(chan struct{}),
		done:        make(chan struct{}),
	}
	c.closing = cl
	c.ending.Store(true)
	c.gone = cs.broken || !cs.polite
	c.workersDoneLocked()
	if c.timer != nil {
		c.timer.Stop()
	}
	if c.inbox != nil {
		c.inbox.room.Broadcast()
	}
	c.mu.Unlock()

	switch {
	case cs.broken:
		c.out.Abort()
	case !cs.polite:
		drain = c.out.Close(cl.frame())
	}
	return cl, drain
}

// frame returns the Close frame, which goes behind all that is queued.
func (cs *cause) frame() []byte { return wsconn.AppendClose(nil, cs.code, cs.reason) }

// closeTimeout is how long the client has to answer our Close frame, and running
// integrations to answer before a polite one.
const closeTimeout = 5 * time.Second

// teardown ends a connection in order: what is queued goes out, the Close frame
// last; the client's Close frame comes in; the socket is closed; running
// integrations return; $disconnect runs.
func (c *connection) teardown(cl *closing, drain bool) {
	defer c.g.running.Done() // that of accept
	if cl.polite && !cl.broken {
		c.awaitReplies(cl)
		drain = c.out.Close(cl.frame())
	}
	if drain {
		c.drain()
	}
	if !cl.broken {
		<-c.out.Drained() // each write has its timeout
		if !cl.remote {
			c.awaitPeer(cl)
		}
	}
	c.ws.Close()
	<-cl.readerDone
	<-c.out.Drained()
	<-cl.workersDone
	c.g.observers.connectionClosed(&c.ctx, c.snapshot(), cl.code, cl.reason)
	c.g.log.LogAttrs(&c.ctx, slog.LevelDebug, "connection closed",
		slog.String("connection_id", c.id), slog.Int("status", cl.code), slog.Any("error", cl.err))
	c.client.release()
	c.g.sources.remove(c.identity.SourceIP)
	c.disconnect(cl)
	c.g.connections.Remove(c.id) // long gone for all but a shutdown, which counts it until here
	close(cl.done)
}

// awaitReplies waits for running integrations, unless they take long or the
// client goes by itself.
func (c *connection) awaitReplies(cl *closing) {
	timeout := time.NewTimer(closeTimeout)
	defer timeout.Stop()
	select {
	case <-cl.workersDone:
	case <-cl.readerDone:
	case <-timeout.C:
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.gone = true
	if c.inbox != nil {
		c.inbox.room.Broadcast()
	}
}

// awaitPeer waits for the reader to meet the client's Close frame. After a
// violation that broke the framing nothing can be met: then the end of our
// stream tells the client to go.
func (c *connection) awaitPeer(cl *closing) {
	if cl.code == wsconn.CloseProtocolError {
		c.ws.CloseWrite()
	}
	c.ws.SetReadDeadline(time.Now().Add(closeTimeout))
	<-cl.readerDone
}

// disconnect runs the $disconnect route, if there is one.
func (c *connection) disconnect(cl *closing) {
	t := c.g.routes.Load()
	if t.disconnect == nil {
		return
	}
	var ctx context.Context = &c.ctx
	if ctx.Err() != nil { // cut: the integrations' context has ended
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), cutGrace)
		defer cancel()
	}
	req := &Request{RequestID: connid.NewRequest(), DisconnectStatusCode: cl.code, DisconnectReason: cl.reason}
	c.fill(req, t, t.disconnect, EventDisconnect, time.Now())
	c.g.invokeWithin(ctx, t.disconnect, req)
}

// fill makes req, which is new, an event of the connection. The IDs are left out.
func (c *connection) fill(req *Request, t *routeTable, r *route, event EventType, now time.Time) {
	req.RouteKey, req.EventType = r.RouteKey, event
	req.ConnectionID = c.id
	req.Identity, req.Authorizer, req.client = c.identity, c.authorizer, c.client
	req.APIID, req.Stage, req.DomainName, req.StageVariables = c.g.apiID, c.g.stage, c.domainName, t.stageVariables
	req.ConnectedAt, req.RequestTime = time.Unix(0, c.connectedAt), now
}

// tick looks whether a quota of time is used up, sends a ping when one is due,
// and sets the timer for the next look.
func (c *connection) tick() {
	now := time.Now()
	if p := c.ws.Progress(); p != c.progress.Swap(p) || c.held.Load() { // a frame that takes its time, or it is ours
		c.lastHeard.Store(now.UnixNano())
	}
	q := &c.g.quotas
	age, silent := since(now, &c.opened), since(now, &c.lastHeard)
	idle := min(age, since(now, &c.lastActive))
	if c.unrested.Load() && silent >= restAfter {
		c.rest()
	}
	switch {
	case q.ConnectionDuration > 0 && age >= q.ConnectionDuration, q.IdleTimeout > 0 && idle >= q.IdleTimeout:
		c.end(goingAway())
		return
	case q.PingInterval > 0 && silent >= 2*q.PingInterval:
		c.cut(brokenOff(errSilent))
		return
	case q.PingInterval > 0 && silent >= q.PingInterval:
		if c.out.Urgent(sendq.Ping, wsconn.AppendPing(nil, nil)) {
			c.drain()
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closing == nil {
		c.setTimerLocked(now)
	}
}

var errSilent = errors.New("the client answered no ping")

// nextTick returns when the next quota of time can be used up.
func (c *connection) nextTick(now time.Time) (next time.Time, ok bool) {
	earliest := func(t time.Time) {
		if !ok || t.Before(next) {
			next, ok = t, true
		}
	}
	q := &c.g.quotas
	if q.ConnectionDuration > 0 {
		earliest(time.Unix(0, c.opened.Load()).Add(q.ConnectionDuration))
	}
	if q.IdleTimeout > 0 {
		earliest(time.Unix(0, max(c.opened.Load(), c.lastActive.Load())).Add(q.IdleTimeout))
	}
	if c.unrested.Load() {
		due := time.Unix(0, c.lastHeard.Load()).Add(restAfter)
		if !due.After(now) { // an integration runs
			due = now.Add(restAfter)
		}
		earliest(due)
	}
	if q.PingInterval > 0 {
		due := time.Unix(0, c.lastHeard.Load()).Add(q.PingInterval)
		if !due.After(now) {
			due = due.Add(q.PingInterval)
		}
		earliest(due)
	}
	return next, ok
}

func since(now time.Time, t *atomic.Int64) time.Duration {
	return time.Duration(now.UnixNano() - t.Load())
}

// connectionContext is the parent of the contexts of a connection's
// integrations: the values of the upgrade request, the end of the gateway.
type connectionContext struct {
	context.Context //nolint:containedctx // this is a context: the gateway's root
	request         context.Context
}

// Value looks at the request first; what only the root has, its own
// cancellation, the request hides not.
func (c *connectionContext) Value(key any) any {
	if v := c.request.Value(key); v != nil {
		return v
	}
	return c.Context.Value(key)
}
