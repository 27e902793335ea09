// Package outbox sends everything that is written to one client: it takes bytes and
// brings them to the socket. Messages and control frames wait in a bounded queue.
// Whoever adds to an empty queue writes to the socket itself as long as the socket
// takes the bytes at once, and leaves the rest to a goroutine that may wait. At most
// one goroutine writes at a time. Replies can be held back for a moment, so that many
// of them go out in one write.
package outbox

import (
	"sync"

	"example.com/gateway/internal/wsconn"
)

// Peer is the client's socket, and the connection that owns the outbox.
type Peer interface {
	// TryWrite writes as much of b as the socket takes at once.
	TryWrite(b []byte) (written int, err error)
	// Write writes all of b. It may wait.
	Write(b []byte) error
	// Go runs f, which may call Write, on a goroutine that the owner waits for.
	Go(f func())
	// Limits returns the bounds of the outbox, which never change.
	Limits() *Limits
	// WriteFailed is called after the socket has failed. It must call [Outbox.Abort].
	WriteFailed(err error)
}

// Outbox holds what must be written to one client. [Outbox.Open] makes it ready. All
// methods are safe for concurrent use.
type Outbox struct{ queue }

// Open makes a new outbox ready. The outbox writes nothing before [Outbox.Release].
func (o *Outbox) Open(peer Peer) {
	o.peer = peer
	o.hold()
}

// Release lets the outbox write.
func (o *Outbox) Release() { o.drain() }

// TextFrame encodes a text message. The result can be sent to any number of clients.
func TextFrame(data []byte) []byte {
	return wsconn.AppendText(make([]byte, 0, wsconn.TextSize(len(data))), data)
}

// BinaryFrame encodes a binary message. The result can be sent to any number of clients.
func BinaryFrame(data []byte) []byte {
	return wsconn.AppendBinary(make([]byte, 0, wsconn.TextSize(len(data))), data)
}

// Shared is a message for many clients. Each of its two forms, plain and compressed, is
// encoded once, when the first client needs it. One goroutine at a time may use it.
type Shared struct {
	data          []byte
	binary        bool
	plain, packed []byte
	packing       bool // packed has been made, or cannot be shorter than plain
}

// Share returns a message for many clients, text or binary. data must not change as long as
// it is used.
func Share(data []byte, binary bool) *Shared { return &Shared{data: data, binary: binary} }

// Binary reports whether the message is binary.
func (s *Shared) Binary() bool { return s.binary }

// Frames returns the message for a client with whom d was agreed on; d may be nil.
func (s *Shared) Frames(d *wsconn.Deflate) []byte {
	if d != nil && d.Compresses(s.data, s.binary) {
		if !s.packing {
			s.packed, s.packing = d.Frames(s.data, s.binary), true
		}
		if s.packed != nil {
			return s.packed
		}
	}
	switch {
	case s.plain != nil:
	case s.binary:
		s.plain = BinaryFrame(s.data)
	default:
		s.plain = TextFrame(s.data)
	}
	return s.plain
}

// Post sends or queues a message. It does not wait. If it returns an error, [ErrFull] or
// [ErrClosed], no part of the message is sent. frame is the message as it is sent, such as
// the result of [TextFrame] for data. nil means data as a text message.
func (o *Outbox) Post(data, frame []byte) error {
	if o.sendNow(data, frame) {
		return nil
	}
	if frame == nil {
		frame = TextFrame(data)
	}
	drain, err := o.push(frame)
	if drain {
		o.drain()
	}
	return err
}

// Cork queues a reply and holds it back until the next Flush, Post, control frame or
// Cork with flush. If the reply cannot be held back, Cork does nothing and returns
// false. Then the caller must call Post, which writes the replies that are held back
// first. With flush, Cork writes the reply at once, together with the replies that
// are held back. If there are none, it does nothing and returns false. frame is as for
// [Outbox.Post].
func (o *Outbox) Cork(reply, frame []byte, flush bool) bool {
	encode := func(dst []byte) []byte {
		if frame != nil {
			return append(dst, frame...)
		}
		return wsconn.AppendText(dst, reply)
	}
	corked, drain := o.cork(sizeOf(reply, frame), encode, flush)
	if drain {
		o.drain()
	}
	return corked
}

// Flush makes sure that everything that is held back or queued is being written.
func (o *Outbox) Flush() {
	if o.claim() {
		o.drain()
	}
}

// PostWait is like [Outbox.Post] for a frame, but waits for room instead of failing
// with [ErrFull]. Before it waits, it makes sure that everything that was held back
// is written or being written.
func (o *Outbox) PostWait(frame []byte) error {
	for {
		pushed, drain, err := o.pushWait(frame)
		if drain {
			o.drain()
		}
		if pushed || err != nil {
			return err
		}
	}
}

// Pong sends a Pong frame before all messages. If several are waiting, only the
// newest is sent (RFC 6455, 5.5.3).
func (o *Outbox) Pong(payload []byte) { o.control(pong, wsconn.AppendPong(nil, payload)) }

// Ping sends a Ping frame before all messages. If several are waiting, only the
// newest is sent.
func (o *Outbox) Ping() { o.control(ping, wsconn.AppendPing(nil, nil)) }

func (o *Outbox) control(kind int, frame []byte) {
	if o.urgent(kind, frame) {
		o.drain()
	}
}

// Close refuses all later messages and sends closeFrame after everything that is
// queued.
func (o *Outbox) Close(closeFrame []byte) {
	if o.close(closeFrame) {
		o.drain()
	}
}

// Writing reports whether something is being written.
func (o *Outbox) Writing() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.draining
}

// Abort closes the outbox and drops what it holds, except what is being written.
func (o *Outbox) Abort() { o.abort() }

// Drained returns a channel that is closed when the closed outbox has nothing left to
// write and no goroutine writes. Call it only after Close or Abort.
func (o *Outbox) Drained() <-chan struct{} { return o.drained() }

// sizeOf returns how many bytes a message has on the wire, or a little more.
func sizeOf(data, frame []byte) int {
	if frame != nil {
		return len(frame)
	}
	return wsconn.TextSize(len(data))
}

// sendNow writes a message directly if the queue is empty, without allocating. It
// does not wait.
func (o *Outbox) sendNow(data, frame []byte) bool {
	if !o.claimFor(sizeOf(data, frame)) {
		return false
	}
	buf, _ := writeBuffers.Get().(*[]byte)
	switch {
	case frame != nil:
	case wsconn.TextSize(len(data)) > writeBytes:
		frame = TextFrame(data)
	default:
		frame = wsconn.AppendText((*buf)[:0], data)
	}
	o.write(buf, frame)
	return true
}

const (
	// writeBytes is the size of the buffer that joins small frames into one write.
	writeBytes = 16 << 10
	// writesInline is how many writes a goroutine that came to post makes, for itself
	// and for others, before it leaves the rest to another goroutine.
	writesInline = 16
)

//nolint:gochecknoglobals // a pool is useful only if it is shared
var writeBuffers = sync.Pool{New: func() any {
	b := make([]byte, 0, writeBytes)
	return &b
}}

// drain writes what is queued. The caller must be the drainer.
func (o *Outbox) drain() {
	buf, _ := writeBuffers.Get().(*[]byte)
	if b, more := o.next(*buf); more {
		o.write(buf, b)
		return
	}
	writeBuffers.Put(buf)
}

// write writes b, which may lie in buf, and then what is queued. The caller must be
// the drainer. write never waits: if the socket does not take everything at once, a
// goroutine writes the rest.
func (o *Outbox) write(buf *[]byte, b []byte) {
	for n := 1; ; n++ {
		written, err := o.peer.TryWrite(b)
		if err != nil {
			o.writeFailed(err)
			return
		}
		if rest := b[written:]; len(rest) > 0 || n == writesInline {
			o.peer.Go(func() { o.drainWaiting(*buf, rest) }) // ends when the queue is empty or aborted
			return
		}
		var more bool
		if b, more = o.next(*buf); !more {
			writeBuffers.Put(buf)
			return
		}
	}
}

// drainWaiting is like write, but waits for the socket.
func (o *Outbox) drainWaiting(buf, b []byte) {
	for more := true; more; b, more = o.next(buf) {
		if err := o.peer.Write(b); err != nil {
			o.writeFailed(err)
			return
		}
	}
	writeBuffers.Put(&buf)
}

// writeFailed tells the owner, which aborts the queue, and gives up the role of the
// drainer.
func (o *Outbox) writeFailed(err error) {
	o.peer.WriteFailed(err)
	o.next(nil)
}
