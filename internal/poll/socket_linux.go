package poll

import (
	"io"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"time"
)

// Socket is a socket of a pool. One goroutine at a time may read (Read, Park,
// Await), one may write (Write, WriteAll); Close, Expire and CloseWrite are safe
// at any time.
type Socket struct {
	loop   *loop
	ready  func(*Keep)
	hungUp func()  // nil: nobody wants to know
	next   *Socket // in the loop's queue

	fd     int32
	place  int32
	users  atomic.Uint32 // calls that use fd, and closedBit
	state  atomic.Uint32 // of the reader
	stream bool          // less than was asked for means that no more is there
	empty  bool          // nothing is there to read, and nothing has been noticed since; the reader's

	broken  atomic.Bool // the connection was reset
	suspect atomic.Bool // the stream has ended, or failed, or has urgent data: what is left must be read to its end
	expired atomic.Bool
	full    atomic.Bool   // the writer waits
	bytes   chan struct{} // to wake the reader in Await; made by the first
	room    chan struct{} // to wake the writer in WriteAll; made by the first
}

// States of a reader.
const (
	reading  = iota // a reader runs
	noticed         // a reader runs, and since it began to read something has come
	parked          // no reader runs
	awaiting        // a reader waits in Await
)

const closedBit = 1 << 31

// Adopt makes s the socket of nc, which is closed: s, new, is all that is left of
// it. ready is called, on a goroutine of the pool, whenever s was parked and
// something has come; not before the first Park. What it finds in keep, and leaves
// there, is its goroutine's. After an error nc is as it was.
func (p *Pool) Adopt(s *Socket, nc net.Conn, ready func(*Keep)) error {
	var raw syscall.RawConn
	var err error
	switch nc := nc.(type) { // only these: a type that embeds one may want to see every byte
	case *net.TCPConn:
		raw, err = nc.SyscallConn()
	case *net.UnixConn:
		raw, err = nc.SyscallConn()
	default:
		return ErrUnsupported
	}
	if err != nil {
		return err
	}
	l, err := p.pick()
	if err != nil {
		return err
	}
	fd, err := duplicate(raw)
	if err != nil {
		return err
	}
	s.loop, s.ready, s.fd, s.stream = l, ready, int32(fd), isTCP(fd)
	if err := l.add(s); err != nil {
		_ = syscall.Close(fd)
		*s = Socket{hungUp: s.hungUp}
		return err
	}
	_ = nc.Close() // its descriptor; the socket lives on in ours
	return nil
}

// OnHangUp sets what is called when the connection is reset, even if nobody reads. A
// peer that has only closed may have sent something before, which is to be read. It
// runs under a lock of the pool: it must not block, nor call the pool or the socket.
// It is to be set before Adopt.
func (s *Socket) OnHangUp(f func()) { s.hungUp = f }

// HungUp reports whether the connection was reset.
func (s *Socket) HungUp() bool { return s.broken.Load() }

func duplicate(raw syscall.RawConn) (fd int, err error) {
	failed := raw.Control(func(own uintptr) {
		dup, _, errno := syscall.Syscall(syscall.SYS_FCNTL, own, syscall.F_DUPFD_CLOEXEC, 0)
		if fd = int(dup); errno != 0 {
			err = os.NewSyscallError("fcntl", errno)
		}
	})
	if failed != nil {
		return 0, failed
	}
	return fd, err
}

// isTCP tells plain TCP from all else, also from Multipath TCP, which hides behind
// the same type.
func isTCP(fd int) bool {
	const soProtocol = 0x26
	protocol, err := syscall.GetsockoptInt(fd, syscall.SOL_SOCKET, soProtocol)
	return err == nil && protocol == syscall.IPPROTO_TCP
}

// Adopted reports whether s is a socket of a pool.
func (s *Socket) Adopted() bool { return s.loop != nil }

// Read reads what is there into p, which is not empty. The error is [ErrAgain] when
// there is nothing, io.EOF at the stream's end, [os.ErrDeadlineExceeded] after
// Expire, [net.ErrClosed] after Close.
func (s *Socket) Read(p []byte) (int, error) {
	if s.expired.Load() {
		return 0, os.ErrDeadlineExceeded
	}
	if s.empty {
		return 0, ErrAgain
	}
	if !s.use() {
		return 0, net.ErrClosed
	}
	n, err := recv(s.fd, p)
	for err == syscall.EINTR {
		n, err = recv(s.fd, p)
	}
	s.unuse()
	switch {
	case err == syscall.EAGAIN:
		s.empty = true
		return 0, ErrAgain
	case err != 0:
		return 0, os.NewSyscallError("read", err)
	case n == 0:
		return 0, io.EOF
	}
	// Less than asked for: nothing is left, and what comes later is noticed (epoll(7),
	// question 9). But an end that came together with these bytes is not.
	s.empty = n < len(p) && s.stream && !s.suspect.Load()
	return n, nil
}

// Empty reports whether Read would return ErrAgain for sure.
func (s *Socket) Empty() bool { return s.empty }

// Park ends the reader's part where nothing is left to read: when it returns true, the next reader
// may run already. It returns false when something has come: read on.
func (s *Socket) Park() bool {
	s.empty = false // for the next reader, who is told of something
	if s.state.CompareAndSwap(reading, parked) {
		return true
	}
	s.state.Store(reading)
	return false
}

// Await waits, after ErrAgain, until reading on may bring something.
func (s *Socket) Await() {
	s.empty = false
	if s.bytes == nil {
		s.bytes = make(chan struct{}, 1)
	}
	if s.state.CompareAndSwap(reading, awaiting) {
		<-s.bytes
		return
	}
	s.state.Store(reading)
}

// notice tells the reader that something has come. It returns true when there is
// none, and s has to be queued.
func (s *Socket) notice() (queue bool) {
	for {
		switch state := s.state.Load(); state {
		case noticed:
			return false
		case reading:
			if s.state.CompareAndSwap(reading, noticed) {
				return false
			}
		case parked:
			if s.state.CompareAndSwap(parked, reading) {
				return true
			}
		case awaiting:
			if s.state.CompareAndSwap(awaiting, reading) {
				s.bytes <- struct{}{} // has room: one wake-up for each wait
				return false
			}
		}
	}
}

// wake has the reader look again.
func (s *Socket) wake() {
	if s.notice() {
		s.loop.queue(s)
	}
}

// Write writes as much of b as the socket takes and returns how much that was. The
// error is [ErrAgain] when that is not all.
func (s *Socket) Write(b []byte) (written int, err error) {
	if !s.use() {
		return 0, net.ErrClosed
	}
	defer s.unuse()
	for written < len(b) {
		n, err := send(s.fd, b[written:])
		switch err {
		case 0:
			written += n
		case syscall.EINTR:
		case syscall.EAGAIN:
			return written, ErrAgain
		default:
			return written, os.NewSyscallError("write", err)
		}
	}
	return written, nil
}

// WriteAll writes all of b. It gives up with [os.ErrDeadlineExceeded] when the socket
// has taken nothing for as long as patience says. That is asked again and again: it
// may change, also for a WriteAll that waits already.
//
// The kernel says that there is room only when a third of its buffer is free. A peer
// that reads slowly makes room for a few bytes long before, so WriteAll also tries
// without being told.
func (s *Socket) WriteAll(b []byte, patience Patience) error {
	if s.room == nil {
		s.room = make(chan struct{}, 1)
	}
	s.full.Store(true) // before the attempt: the room that comes after it is noticed
	defer s.full.Store(false)
	var timer *time.Timer
	for taken := time.Now(); ; {
		n, err := s.Write(b)
		if err != ErrAgain { //nolint:errorlint // our own
			return err
		}
		limit, now := patience.limit(), time.Now()
		switch {
		case n > 0:
			b, taken = b[n:], now
		case limit > 0 && now.Sub(taken) >= limit:
			return os.ErrDeadlineExceeded
		}
		if timer == nil {
			timer = time.NewTimer(patience.LookAgain())
			defer timer.Stop()
		} else {
			timer.Reset(patience.LookAgain())
		}
		select {
		case <-s.room:
		case <-timer.C:
		}
	}
}

func (s *Socket) wakeWriter() {
	select {
	case s.room <- struct{}{}:
	default:
	}
}

// Expire ends all reading, now and later, or with false lets it go on.
func (s *Socket) Expire(expired bool) {
	s.expired.Store(expired)
	if expired {
		s.wake()
	}
}

// CloseWrite ends the stream to the peer.
func (s *Socket) CloseWrite() {
	if s.use() {
		_ = syscall.Shutdown(int(s.fd), syscall.SHUT_WR)
		s.unuse()
	}
}

// Reset has Close reset the connection: what the peer has not taken by then is
// forgotten, where the kernel would go on offering it for minutes.
func (s *Socket) Reset() {
	if s.use() {
		_ = syscall.SetsockoptLinger(int(s.fd), syscall.SOL_SOCKET, syscall.SO_LINGER, &syscall.Linger{Onoff: 1})
		s.unuse()
	}
}

// Close closes the socket. A reader and a writer that wait are told, and a parked
// one is queued a last time.
func (s *Socket) Close() {
	for {
		users := s.users.Load()
		if users&closedBit != 0 {
			return
		}
		if s.users.CompareAndSwap(users, users|closedBit) {
			s.loop.remove(s)
			if users == 0 {
				_ = syscall.Close(int(s.fd))
			}
			break
		}
	}
	if s.full.Load() {
		s.wakeWriter()
	}
	s.wake()
}

// use keeps fd open until unuse. Closed by one goroutine while another one writes,
// its number could be that of somebody else's socket by then.
func (s *Socket) use() bool {
	for {
		users := s.users.Load()
		if users&closedBit != 0 {
			return false
		}
		if s.users.CompareAndSwap(users, users+1) {
			return true
		}
	}
}

func (s *Socket) unuse() {
	if s.users.Add(^uint32(0)) == closedBit {
		_ = syscall.Close(int(s.fd)) // Close left it to the last user
	}
}
