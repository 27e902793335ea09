package gateway

import (
	"context"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"example.com/gateway/internal/clock"
	"example.com/gateway/internal/outbox"
	"example.com/gateway/internal/watch"
	"example.com/gateway/internal/wsconn"
)

// This file sends to a client: the replies to its messages, and posts. The bytes go
// through internal/outbox.

// replies sends the replies of one worker.
type replies struct {
	c      *connection
	reads  bool          // the worker's goroutine is the connection's reader: see worker
	corked clock.Instant // when the oldest reply that is held back was held back; 0: none is
}

// corkFor is how old a reply that is held back may be when the next message begins. If
// that message takes long, the watch sends the reply.
const corkFor = watch.After / 2

// outgoing is a message to a client.
type outgoing struct {
	data   []byte
	binary bool
}

// length returns the length of the message that the client gets.
func (m outgoing) length() int {
	if m.binary {
		return len(m.data)
	}
	return wsconn.TextLength(m.data)
}

// reply sends the answer to a message.
func (r *replies) reply(call *call, m outgoing, now time.Time) {
	r.c.lastActive.Advance(r.c.g.clock.At(now))
	err := r.send(m, now)
	if err != nil {
		err = ErrGone // no other error is possible: a reply waits for room
		if by := r.c.lateReply(); by != "" {
			defer r.c.logReplyLost(call, by, now) // in a defer: an observer may end this goroutine
		}
	}
	r.c.g.posted(call, r.c.id, m, err)
}

// replyError sends an error frame, on one-way routes, too.
func (r *replies) replyError(call *call, err error, now time.Time) {
	requestID, _ := call.ids.Strings()
	r.reply(call, outgoing{data: appendErrorJSON(nil, answerOf(err), fieldsToTell(err), r.c.id, requestID)}, now)
}

// replyTooLarge sends an error frame in place of a reply that is too large. err is the
// error of that reply for the observers.
func (r *replies) replyTooLarge(call *call, m outgoing, err error, now time.Time) {
	defer r.c.g.posted(call, r.c.id, m, err) // in a defer, as the error frame: the log handler may end this goroutine
	defer r.replyError(call, errReplySize, now)
	r.c.logNotSent(call, errReplySize, now)
}

// send sends a reply. If the next message has already arrived and this goroutine takes
// it next, the reply is held back, so that one write sends many replies. No reply is
// held back for much longer than a millisecond: see corkFor and TakeOver.
func (r *replies) send(m outgoing, now time.Time) error {
	c := r.c
	frames := c.frames(m)
	more := r.reads && c.ws.BufferedMessage()
	if more || r.corked != 0 {
		if c.out.Cork(m.data, frames, !more) {
			switch {
			case !more:
				r.corked = 0
			case r.corked == 0:
				r.corked = c.g.clock.At(now)
			}
			return nil
		}
		r.corked = 0 // the post also sends what is held back
	}
	return c.postReply(m.data, frames, r.reads)
}

// flushOld sends the replies that have been held back for long enough.
func (r *replies) flushOld(now time.Time) {
	if r.corked != 0 && r.c.g.clock.At(now).Since(r.corked) >= corkFor {
		r.flush()
	}
}

// flush sends the replies that are held back.
func (r *replies) flush() {
	if r.corked != 0 {
		r.corked = 0
		r.c.out.Flush()
	}
}

// postReply is post for the answer to a message. It waits for room: so a client that sends
// but does not read is slowed down, and loses no reply. frame is what frames has made of
// body. reader says that the caller is the reader of the connection.
func (c *connection) postReply(body, frame []byte, reader bool) error {
	err := c.out.Post(body, frame)
	if !errors.Is(err, outbox.ErrFull) {
		return err
	}
	if frame == nil {
		frame = outbox.TextFrame(body)
	}
	if reader && c.g.quotas.WriteTimeout > 0 { // WriteTimeout ends the connection if the client takes nothing
		c.notReading(func() { err = c.out.PostWait(frame) })
	} else {
		err = c.out.PostWait(frame)
	}
	c.touch() // it may have waited
	return err
}

// notReading waits for room, as the reader. Meanwhile tick does not count the client as
// silent, because nobody reads what it sends.
func (c *connection) notReading(wait func()) {
	c.held.Store(true)
	if c.ws.HungUp() { // hungUp may have come too early to see held
		c.g.running.Go(c.hungUp)
	}
	wait()
	c.lastHeard.Advance(c.g.clock.Now())
	c.held.Store(false)
}

// hungUp ends the connection if its client has reset it while the reader waits for room.
// The reader itself would notice only after it had read everything that came before. The
// poller calls hungUp, which does not wait.
func (c *connection) hungUp() {
	if c.held.Load() {
		c.g.running.Go(func() { c.cut(brokenOff(errReset)) }) // cut returns at once; running is above zero, because it still counts this connection
	}
}

var errReset = errors.New("the client reset the connection")

// frames returns the frames of a message if it goes out compressed or is binary, else nil.
func (c *connection) frames(m outgoing) []byte {
	if c.ws.Deflate() == nil && !m.binary { // small, so that the compiler writes it into its callers
		return nil
	}
	return c.encode(m)
}

func (c *connection) encode(m outgoing) []byte {
	if d := c.ws.Deflate(); d != nil && d.Compresses(m.data, m.binary) {
		if packed := d.Frames(m.data, m.binary); packed != nil {
			return packed
		}
	}
	if m.binary {
		return outbox.BinaryFrame(m.data)
	}
	return nil
}

// post sends a message to the client, or queues it. It does not wait. shared is nil, or
// the same message for many clients; a message without it is text.
func (c *connection) post(data []byte, shared *outbox.Shared, now time.Time) error {
	var frames []byte
	if shared != nil {
		frames = shared.Frames(c.ws.Deflate())
	} else {
		frames = c.frames(outgoing{data: data})
	}
	switch err := c.out.Post(data, frames); {
	case errors.Is(err, outbox.ErrFull):
		return errSlowClient
	case err != nil:
		return ErrGone
	}
	c.lastActive.Advance(c.g.clock.At(now))
	return nil
}

var errSlowClient = fmt.Errorf("%w: the send buffer of the client is full", ErrLimitExceeded)

// posted tells the observers what became of a message to a client: a post, a reply or an
// error frame.
func (g *Gateway) posted(ctx context.Context, connectionID string, m outgoing, err error) {
	switch {
	case !g.observers.any():
	case err == nil:
		g.observers.messageSent(ctx, connectionID, m.length())
	default:
		g.observers.postFailed(ctx, connectionID, m.length(), err)
	}
}

// receipts are what became of a message to many, for the observers. They are told when
// everything has been posted, because an observer may end the goroutine.
type receipts struct {
	g    *Gateway // nil: there is no observer
	m    outgoing
	list []receipt
}

type receipt struct {
	connectionID string
	err          error
}

func (g *Gateway) newReceipts(m outgoing) (r receipts) {
	if g.observers.any() {
		r = receipts{g: g, m: m}
	}
	return r
}

func (r *receipts) add(connectionID string, err error) {
	if r.g != nil {
		r.list = append(r.list, receipt{connectionID, err})
	}
}

// tell tells the observers of all, also if one of them ends this goroutine.
func (r *receipts) tell(ctx context.Context) {
	if len(r.list) == 0 {
		return
	}
	defer r.tell(ctx)
	for len(r.list) > 0 {
		one := r.list[0]
		r.list = r.list[1:]
		r.g.posted(ctx, one.connectionID, r.m, one.err)
	}
}

// checkSize returns an [ErrPayloadTooLarge] if m is a message to a client that is
// above its quota. In a text, bytes that are not valid UTF-8 count as what the client gets
// for them.
func (g *Gateway) checkSize(m outgoing) error {
	limit := g.quotas.MessageBytes
	if limit == 0 || len(m.data) <= limit/utf8.RuneLen(utf8.RuneError) { // it fits, whatever its bytes are
		return nil
	}
	if n := m.length(); n > limit {
		return fmt.Errorf("%w: %d bytes, quota %d", ErrPayloadTooLarge, n, limit)
	}
	return nil
}

// clientWriter is what the outbox of a connection knows of it.
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

// patience returns how long a client may take nothing of what is written to it. After the
// Close frame has been queued it is closeTimeout at most, whatever the quota says.
func (w *clientWriter) patience() time.Duration {
	limit := w.g.quotas.WriteTimeout
	if !(*connection)(w).state().accepts() && (limit == 0 || limit > closeTimeout) {
		limit = closeTimeout
	}
	return limit
}
