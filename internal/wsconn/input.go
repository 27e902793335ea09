package wsconn

import (
	"errors"
	"io"
	"sync"

	"example.com/gateway/internal/poll"
)

// input holds the bytes that have arrived and are not read yet: its window. It has a
// buffer from the pool only while the window is not empty or a read is in progress.
type input struct {
	buf    *[]byte
	r, w   int    // the window is buf[r:w]
	unread uint64 // payload bytes of the current frame that have not been read yet
}

const inputBytes = 8 << 10

//nolint:gochecknoglobals // a pool is useful only if it is shared
var inputs = sync.Pool{New: func() any {
	b := make([]byte, inputBytes)
	return &b
}}

// plainInputBytes is the size of the buffer for a socket that cannot call us when
// bytes arrive. Its connection has to hold a buffer while it waits.
const plainInputBytes = 1 << 10

// preload puts bytes that were read earlier into the window.
func (c *Conn) preload(early []byte) {
	b := make([]byte, max(len(early), plainInputBytes)) // not from the pool: dropBuffer drops it when it is empty
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

// fill waits until there are more bytes in the window. The buffer has room for them,
// because the window holds less than a header or less than the payload of a control
// frame.
func (c *Conn) fill() error {
	if c.buf != nil && c.r > 0 {
		c.w = copy(*c.buf, (*c.buf)[c.r:c.w])
		c.r = 0
	}
	n, err := c.readSome(nil)
	c.w += n
	return err
}

// readFull fills p with payload, first from the window, then from the socket.
func (c *Conn) readFull(p []byte) error {
	for {
		n := copy(p, c.window())
		c.advance(n)
		c.unread -= uint64(n)
		if p = p[n:]; len(p) == 0 {
			return nil
		}
		if len(p) < inputBytes/2 { // read ahead: the next frame may have arrived as well
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

// skip drops the rest of the current frame.
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

// readSome reads once: into p or, if p is nil, into the buffer behind the window.
func (c *Conn) readSome(p []byte) (int, error) {
	for {
		n, err := c.readOnce(p)
		c.progress.Add(1)
		if n > 0 || !c.interruptedBy(err) { // ignore an interrupt in the middle of a frame
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

// takeBuffer makes sure that the input has a buffer, and returns the free part of it.
func (c *Conn) takeBuffer() []byte {
	if c.buf == nil {
		c.buf, _ = inputs.Get().(*[]byte)
	}
	return (*c.buf)[c.w:]
}

// dropBuffer returns the buffer to the pool if it is empty.
func (c *Conn) dropBuffer() {
	if c.buf == nil || c.r != c.w {
		return
	}
	if len(*c.buf) == inputBytes { // else it came from preload
		inputs.Put(c.buf)
	}
	c.buf, c.r, c.w = nil, 0, 0
}
