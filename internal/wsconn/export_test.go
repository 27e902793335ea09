package wsconn

import (
	"net"
	"syscall"
	"time"
)

// NewConn makes a Conn without a handshake.
func NewConn(nc net.Conn, limits Limits) *Conn { return newConn(nc, &limits) }

// Preload gives a Conn the bytes that arrived with its handshake.
func (c *Conn) Preload(early []byte) { c.preload(early) }

// InputBuffer returns the size of the buffer that the reader holds.
func (c *Conn) InputBuffer() int {
	if c.buf == nil {
		return 0
	}
	return len(*c.buf)
}

// OnWait makes the reading goroutine call waiting whenever it is about to wait for
// the poller.
func (c *Conn) OnWait(waiting func()) { c.nc.raw = spy{c.nc.raw, waiting} }

type spy struct {
	syscall.RawConn
	waiting func()
}

func (s spy) Read(f func(uintptr) bool) error {
	return s.RawConn.Read(func(fd uintptr) bool {
		done := f(fd)
		if !done {
			s.waiting()
		}
		return done
	})
}

// Sizes for tests.
const (
	InputBytes      = inputBytes
	PlainInputBytes = plainInputBytes
	FragmentBytes   = fragmentBytes
	FirstPayload    = firstPayload
)

// Mask calls mask.
func Mask(b []byte, key [4]byte) { mask(b, key) }

// AwaitTaken calls awaitTaken.
func AwaitTaken(unsent func() int, done <-chan struct{}, patience, limit time.Duration) bool {
	return awaitTaken(unsent, done, patience, limit)
}
