package wsconn

import (
	"errors"
	"io"
	"sync"

	"example.com/gateway/internal/poll"
)

// input is the reader's window on the bytes that have arrived. It holds a
// pooled buffer only while the window is not empty or a read is under way.
type input struct {
	buf    *[]byte
	r, w   int    // the window is buf[r:w]
	unread uint64 // payload bytes of the frame under way that are not taken yet
}

const inputBytes = 8 << 10

//nolint:gochecknoglobals // a pool is shared to be of use
var inputs = sync.Pool{New: func() any {
	b := make([]byte, inputBytes)
	return &b
}}

// plainInputBytes is the buffer of a connection that has to hold one while it
// waits, since its socket cannot wake a callback.
const plainInputBytes = 1 << 10

// preload puts bytes that were read before into the window.
func (c *Conn) preload(early []byte) {
	b := make([]byte, max(len(early), plainInputBytes)) // not the pool's: dropped when empty
	c.buf, c.w = &b, copy(b, early)
}

func (c *Conn) window() []byte {
	if c.buf == nil {
		return nil
	}
	return (*c.buf)[c.r:c.w]
}

func (c *Conn) advance(n int) {
	if c.r += n; c.r == c.w {
		c.r, c.w = 0, 0
	}
}

// fill waits until the window has more bytes. There is room, since it holds less
// than a header or a control frame's payload.
func (c *Conn) fill() error {
	if c.buf != nil && c.r > 0 {
		c.w = copy(*c.buf, (*c.buf)[c.r:c.w])
		c.r = 0
	}
	n, err := c.readSome(nil)
	c.w += n
	return err
}

// readFull fills p with payload, from the window and then from the socket.
func (c *Conn) readFull(p []byte) error {
	for {
		n := copy(p, c.window())
		c.advance(n)
		c.unread -= uint64(n)
		if p = p[n:]; len(p) == 0 {
			return nil
		}
		if len(p) < inputBytes/2 { // read ahead: the next frame may have come along
			if err := c.fill(); err != nil {
				return unexpected(err)
			}
			continue
		}
		n, err := c.readSome(p)
		c.unread -= uint64(n)
		if err != nil {
			return unexpected(err)
		}
		p = p[n:]
	}
}

func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// skip forgets the rest of the frame under way.
func (c *Conn) skip() error {
	for {
		have := min(c.unread, uint64(len(c.window())))
		c.advance(int(have))
		if c.unread -= have; c.unread == 0 {
			return nil
		}
		if err := c.fill(); err != nil {
			return err
		}
	}
}

func (c *Conn) discardAll() {
	for {
		c.advance(len(c.window()))
		if err := c.fill(); err != nil {
			return
		}
	}
}

// readSome reads once, into p or, where p is nil, behind the window.
func (c *Conn) readSome(p []byte) (int, error) {
	for {
		n, err := c.readOnce(p)
		c.progress.Add(1)
		if n > 0 || !c.interruptedBy(err) { // not now: a frame is under way
			return n, err
		}
	}
}

func (c *Conn) readOnce(p []byte) (int, error) {
	switch {
	case c.nc == nil:
		for {
			n, err := c.readPolled(p)
			if !errors.Is(err, poll.ErrAgain) {
				return n, err
			}
			c.polled.Await()
		}
	case c.nc.raw == nil:
		return c.readPlain(p)
	}
	nc := c.nc
	if nc.readFD == nil {
		nc.readFD = c.readReady
	}
	nc.into, nc.readN, nc.rerr = p, 0, nil
	err := nc.raw.Read(nc.readFD)
	nc.into = nil
	if err == nil {
		err = nc.rerr
	}
	if err != nil {
		c.dropBuffer() // the callback may not have run, e.g. after the deadline
	}
	return nc.readN, err
}

func (c *Conn) readPlain(p []byte) (int, error) {
	if p == nil {
		if c.buf == nil || c.w == 0 && len(*c.buf) != plainInputBytes {
			b := make([]byte, plainInputBytes)
			c.buf = &b
		}
		p = (*c.buf)[c.w:]
	}
	n, err := c.nc.Read(p)
	if n > 0 {
		return n, nil
	}
	return 0, err
}

// takeBuffer gives the input a buffer and returns the free part of it.
func (c *Conn) takeBuffer() []byte {
	if c.buf == nil {
		c.buf, _ = inputs.Get().(*[]byte)
	}
	return (*c.buf)[c.w:]
}

// dropBuffer gives an empty buffer back.
func (c *Conn) dropBuffer() {
	if c.buf == nil || c.r != c.w {
		return
	}
	if len(*c.buf) == inputBytes { // else it is that of preload
		inputs.Put(c.buf)
	}
	c.buf, c.r, c.w = nil, 0, 0
}
