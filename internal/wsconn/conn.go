package wsconn

import (
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"example.com/gateway/internal/deflate"
	"example.com/gateway/internal/poll"
)

// Limits bounds what a client may send. Zero means no limit.
type Limits struct {
	FrameBytes   int // payload of one data frame, as it is on the wire
	MessageBytes int // one message, after it has been inflated

	Binary  bool     // the client may send binary messages
	Deflate *Deflate // nil: the client must not compress
}

// CloseError says why no more messages can be read.
type CloseError struct {
	Code   int    // of the Close frame that was received, or that must be sent
	Reason string // of the same frame
	Remote bool   // the client sent a Close frame; false: it broke a rule
	Detail string // the rule that was broken, for a log

	final bool // the client's Close frame was read, so nothing follows
}

// Error implements error.
func (e *CloseError) Error() string {
	switch {
	case e.Remote:
		return "client sent a close frame"
	case e.Detail != "":
		return e.Detail
	}
	return e.Reason
}

func protocolError(detail string) *CloseError {
	return &CloseError{Code: CloseProtocolError, Reason: "Protocol error", Detail: detail}
}

func invalidUTF8() *CloseError {
	return &CloseError{Code: CloseInvalidUTF8, Reason: "Invalid UTF-8"}
}

// Control handles the Ping and Pong frames that [Conn.Read] reads. Its methods run on
// the reading goroutine and must not block. A payload is valid until the method
// returns.
type Control interface {
	Ping(payload []byte)
	Pong()
}

// Conn is the server's end of a connection. One goroutine at a time may read
// (Wait, Read, Park, BufferedMessage, Discard) and one may write (Write, TryWrite,
// CloseWrite); the other methods are safe at any time.
type Conn struct {
	polled poll.Socket // set by Poll; until then nc is set
	nc     *netConn
	limits *Limits

	input // belongs to the reader

	partial  *partial      // fragments of the current message; nil: none
	progress atomic.Uint32 // see Progress
	stuck    atomic.Bool   // a write has timed out

	dlMu   sync.Mutex  // guards expiry, and the fields of nc about deadlines
	expiry *time.Timer // the read deadline of a polled socket; nil: none
}

// partial is a message of which some fragments have been read.
type partial struct {
	payload  []byte
	binary   bool
	deflated bool
}

// Poll lets pool wait for the client. From now on Wait returns [ErrParked] if nothing
// has arrived, and a goroutine of the pool calls ready when something arrives. The
// pool calls hungUp, if it is not nil, when the connection is reset, even if nobody
// reads: see [poll.Socket.OnHangUp]. If Poll returns an error, the socket cannot be
// polled, and nothing has changed. Poll must be called before any other method. See
// [poll.Pool.Adopt].
func (c *Conn) Poll(pool *poll.Pool, ready func(*poll.Keep), hungUp func()) error {
	c.polled.OnHangUp(hungUp)
	if err := pool.Adopt(&c.polled, c.nc.Conn, ready); err != nil {
		return err
	}
	c.nc = nil
	return nil
}

// Deflate says how messages to the client are compressed. It is nil if they are not.
func (c *Conn) Deflate() *Deflate { return c.limits.Deflate }

// Progress returns a number that changes whenever bytes of a message or a frame
// arrive, except its first bytes.
func (c *Conn) Progress() uint32 { return c.progress.Load() }

// Wait waits until there is something for Read. Its error is [ErrParked] if nothing
// has arrived on a polled socket: then the caller must not use c any more, as the next
// reader may already run. It is [ErrInterrupted] after [Conn.Interrupt], else the error
// of the socket.
//
// Wait uses little stack. An idle connection that is not polled costs little more than
// the stack of its goroutine.
func (c *Conn) Wait() error {
	if c.r < c.w {
		return nil
	}
	if c.nc == nil {
		return c.waitPolled()
	}
	n, err := c.readOnce(nil)
	c.w += n
	if n == 0 && c.interruptedBy(err) {
		return ErrInterrupted
	}
	return err
}

// Waiting reports whether Wait would wait.
func (c *Conn) Waiting() bool { return c.r == c.w }

// Read returns the payload of the next message, and whether it is binary. The caller owns
// it. The error is a *[CloseError] if the client sent a Close frame or broke a rule, else
// the error of the socket. After an error only Discard may read.
func (c *Conn) Read(ctl Control) (message []byte, binary bool, err error) {
	for {
		h, err := c.nextHeader()
		if err != nil {
			return nil, false, err
		}
		if h.control() {
			if err := c.readControl(h, ctl); err != nil {
				return nil, false, err
			}
			continue
		}
		if violation := c.admit(h); violation != nil {
			return nil, false, violation
		}
		binary := h.op == opBinary || c.partial != nil && c.partial.binary
		message, err := c.readData(h)
		if err != nil || message != nil {
			return message, binary, err
		}
	}
}

// BufferedMessage reports whether Read would return a message without waiting,
// because the rest of the message, one whole frame, has already been read from the
// socket.
func (c *Conn) BufferedMessage() bool {
	h, violation := c.parseHeader()
	return violation == nil && h.size > 0 && !h.control() && h.fin && uint64(len(c.window())-h.size) >= h.length
}

// Discard reads and drops what the client still sends after our Close frame, until
// the client's own Close frame, the end of the stream, or an error such as the read
// deadline. after is the error that ended Read.
func (c *Conn) Discard(after error) {
	c.partial = nil
	var violation *CloseError
	last := errors.As(after, &violation) && violation.final
	for {
		// Read the last frame's payload as well: if bytes are left in the socket,
		// Close becomes a reset, and the reset can overtake our Close frame.
		if c.skip() != nil || last {
			return
		}
		h, err := c.nextHeader()
		if errors.As(err, &violation) { // no valid frames from here on
			c.discardAll()
			return
		}
		if err != nil {
			return
		}
		last = h.op == opClose
	}
}

// nextHeader reads the header of a frame and removes it from the input. A header that
// breaks a rule stays in the input.
func (c *Conn) nextHeader() (header, error) {
	for {
		h, violation := c.parseHeader()
		if violation != nil {
			return h, violation
		}
		if h.size > 0 {
			c.advance(h.size)
			c.unread = h.length
			return h, nil
		}
		if err := c.fill(); err != nil {
			return h, err
		}
	}
}

// parseHeader reads the header at the start of the window.
func (c *Conn) parseHeader() (header, *CloseError) {
	return parseHeader(c.window(), c.limits.Deflate != nil)
}

func (c *Conn) readControl(h header, ctl Control) error {
	for uint64(len(c.window())) < h.length { // it is at most maxControl, so the buffer has room
		if err := c.fill(); err != nil {
			return unexpected(err)
		}
	}
	payload := c.window()[:h.length] // valid until the next fill
	mask(payload, h.mask)
	c.advance(len(payload))
	c.unread = 0
	switch h.op {
	case opPing:
		ctl.Ping(payload)
	case opPong:
		ctl.Pong()
	default:
		e := parseClose(payload)
		e.final = true
		return e
	}
	return nil
}

// admit checks a data frame before its payload is read.
func (c *Conn) admit(h header) *CloseError {
	have, deflated := 0, h.deflated
	if c.partial != nil {
		have, deflated = len(c.partial.payload), c.partial.deflated
	}
	message := c.limits.MessageBytes
	if deflated {
		message = deflate.WireBytes(message)
	}
	switch {
	case h.op == opBinary && !c.limits.Binary:
		return &CloseError{Code: CloseUnsupported, Reason: "Binary is not supported"}
	case h.op != opContinuation && c.partial != nil:
		return protocolError("new message within a fragmented one")
	case h.op == opContinuation && c.partial == nil:
		return protocolError("continuation without a message")
	case exceeds(h.length, 0, c.limits.FrameBytes):
		return &CloseError{Code: CloseTooBig, Reason: "Message too big", Detail: "frame above the quota"}
	case exceeds(h.length, have, message):
		return &CloseError{Code: CloseTooBig, Reason: "Message too big", Detail: "message above the quota"}
	}
	return nil
}

func exceeds(length uint64, have, limit int) bool {
	return limit > 0 && length > uint64(max(limit-have, 0))
}

// readData reads a data frame. It returns a nil message until the message is
// complete.
func (c *Conn) readData(h header) ([]byte, error) {
	if h.fin && c.partial == nil {
		message, err := c.readPayload(make([]byte, 0, c.room(h.length, 0)), h)
		return c.finish(message, h.op == opBinary, h.deflated, err)
	}
	if c.partial == nil {
		c.partial = &partial{[]byte{}, h.op == opBinary, h.deflated}
	}
	message, err := c.readPayload(c.partial.payload, h)
	if err != nil || !h.fin {
		c.partial.payload = message
		return nil, err
	}
	whole := c.partial
	c.partial = nil
	return c.finish(message, whole.binary, whole.deflated, nil)
}

func (c *Conn) finish(message []byte, binary, deflated bool, err error) ([]byte, error) {
	if err == nil && deflated {
		message, err = c.inflate(message)
	}
	if err != nil {
		return nil, err
	}
	if !binary && !utf8.Valid(message) {
		return nil, invalidUTF8()
	}
	return message, nil
}

// firstPayload bounds how much memory the header of a frame alone can make us
// allocate. For a larger payload, the buffer grows as the bytes arrive.
const firstPayload = 4 << 10

// readPayload appends the payload of h to dst.
func (c *Conn) readPayload(dst []byte, h header) ([]byte, error) {
	start := len(dst)
	for left := h.length; left > 0; {
		if len(dst) == cap(dst) {
			dst = slices.Grow(dst, c.room(left, len(dst)))
		}
		n := int(min(left, uint64(cap(dst)-len(dst))))
		dst = dst[:len(dst)+n]
		if err := c.readFull(dst[len(dst)-n:]); err != nil {
			return dst, err
		}
		left -= uint64(n)
	}
	mask(dst[start:], h.mask)
	return dst, nil
}

// room returns how many bytes to make room for, when the client has announced left
// more bytes and read bytes have been read. It is the largest of firstPayload, the
// bytes that have already arrived, and three times the bytes read, but never more
// than left. So a client can make us hold at most four times what it has sent, and a
// large frame is copied only a few times.
func (c *Conn) room(left uint64, read int) int {
	return int(min(left, uint64(max(firstPayload, len(c.window()), 3*read))))
}
