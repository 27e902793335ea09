package poll

import (
	"io"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"time"
)

// Socket is a socket of a pool. One goroutine at a time may read (Read, Park, Await),
// and one may write (Write, WriteAll). Close, Expire and CloseWrite are safe at any
// time.
type Socket struct {
	loop   *loop
	ready  func(*Keep)
	hungUp func()  // see OnHangUp; may be nil
	next   *Socket // in the loop's queue

	fd     int32
	place  int32
	users  atomic.Uint32 // how many calls use fd, and closedBit
	state  atomic.Uint32 // the state of the reader
	stream bool          // a short read means that nothing more is there
	empty  bool          // nothing is there to read, and no event has come since; belongs to the reader

	broken  atomic.Bool // the connection was reset
	suspect atomic.Bool // the stream has ended or failed, or has urgent data: what is left must be read up to the end
	expired atomic.Bool
	full    atomic.Bool   // a writer waits
	bytes   chan struct{} // wakes the reader in Await, which makes it
	room    chan struct{} // wakes the writer in WriteAll, which makes it
}

// States of a reader.
const (
	reading  = iota // a reader runs
	noticed         // a reader runs, and something has arrived since it began to read
	parked          // no reader runs
	awaiting        // a reader waits in Await
)

const closedBit = 1 << 31

// Adopt moves the socket of nc into s, which must be new, and closes nc. Whenever s
// is parked and something arrives, a goroutine of the pool calls ready; it does not
// call ready before the first Park. The argument of ready belongs to that
// goroutine: ready may use the [Keep] that it finds there, and may leave another one. If
// Adopt returns an error, nc has not changed.
func (p *Pool) Adopt(s *Socket, nc net.Conn, ready func(*Keep)) error {
	var raw syscall.RawConn
	var err error
	switch nc := nc.(type) { // no other type: a type that embeds a socket may want to see every byte
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
	_ = nc.Close() // closes its descriptor; the socket stays open in ours
	return nil
}

// OnHangUp sets a func that is called when the connection is reset, even if nobody
// reads. It is not called when the peer has only closed the connection: there may be
// bytes left to read. f runs under a lock of the pool: it must not block, and must
// not call the pool or the socket. OnHangUp must be called before Adopt.
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

// isTCP tells plain TCP from other protocols, also from Multipath TCP, which uses the
// same Go type.
func isTCP(fd int) bool {
	const soProtocol = 0x26
	protocol, err := syscall.GetsockoptInt(fd, syscall.SOL_SOCKET, soProtocol)
	return err == nil && protocol == syscall.IPPROTO_TCP
}

// Adopted reports whether s is a socket of a pool.
func (s *Socket) Adopted() bool { return s.loop != nil }

// Read reads what has arrived into p, which must not be empty. The error is
// [ErrAgain] if nothing has arrived, io.EOF at the end of the stream,
// [os.ErrDeadlineExceeded] after Expire, and [net.ErrClosed] after Close.
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
	// A short read means that nothing is left, and an event will come for later bytes
	// (epoll(7), question 9). But if the end of the stream came together with these
	// bytes, there is no further event.
	s.empty = n < len(p) && s.stream && !s.suspect.Load()
	return n, nil
}

// Empty reports whether Read would certainly return ErrAgain.
func (s *Socket) Empty() bool { return s.empty }

// Park ends the current reader's turn when nothing is left to read. If it returns
// true, the next reader may already run. If it returns false, something has arrived,
// and the caller must go on reading.
func (s *Socket) Park() bool {
	s.empty = false // the next reader starts only when something has arrived
	if s.state.CompareAndSwap(reading, parked) {
		return true
	}
	s.state.Store(reading)
	return false
}

// Await waits, after ErrAgain, until there may be something to read.
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

// notice tells the reader that something has arrived. It returns true if no reader
// runs, and s must be queued.
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
				s.bytes <- struct{}{} // does not block: there is one wake-up for each wait
				return false
			}
		}
	}
}

// wake makes the reader look again.
func (s *Socket) wake() {
	if s.notice() {
		s.loop.queue(s)
	}
}

// Write writes as many bytes of b as the socket takes, and returns how many. If that
// is not all, the error is [ErrAgain].
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

// WriteAll writes all of b. It fails with [os.ErrDeadlineExceeded] when the socket has
// taken no byte for as long as patience says. WriteAll calls patience again and again, so
// its value may change while WriteAll waits.
//
// The kernel reports room only when a third of its buffer is free. A peer that reads
// slowly makes room for a few bytes long before that, so WriteAll also tries from time to
// time.
func (s *Socket) WriteAll(b []byte, patience Patience) error {
	if s.room == nil {
		s.room = make(chan struct{}, 1)
	}
	s.full.Store(true) // before the attempt, so that room that appears after it wakes the writer
	defer s.full.Store(false)
	var timer *time.Timer
	for taken := time.Now(); ; {
		n, err := s.Write(b)
		if err != ErrAgain { //nolint:errorlint // Write returns it unwrapped
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
			timer = time.NewTimer(patience.LookAgain(now.Sub(taken)))
			defer timer.Stop()
		} else {
			timer.Reset(patience.LookAgain(now.Sub(taken)))
		}
		select {
		case <-s.room:
		case <-timer.C:
		}
	}
}

// WakeWriter wakes a waiting WriteAll, so that it calls its patience func at once. If no
// WriteAll waits, it does nothing.
func (s *Socket) WakeWriter() {
	if s.full.Load() {
		s.wakeWriter()
	}
}

func (s *Socket) wakeWriter() {
	select {
	case s.room <- struct{}{}:
	default:
	}
}

// Expire ends the current read and all later ones if expired is true. If it is false,
// Expire allows reading again.
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

// Reset makes Close reset the connection. The kernel then drops the bytes that the
// peer has not taken; otherwise it would offer them to the peer for minutes.
func (s *Socket) Reset() {
	if s.use() {
		_ = syscall.SetsockoptLinger(int(s.fd), syscall.SOL_SOCKET, syscall.SO_LINGER, &syscall.Linger{Onoff: 1})
		s.unuse()
	}
}

// Close closes the socket. It wakes a reader and a writer that wait. If no reader
// runs, it queues the socket a last time.
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

// use keeps fd open until unuse. Otherwise one goroutine could close fd while another
// writes to it, and the number could already belong to another socket.
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
		_ = syscall.Close(int(s.fd)) // Close has left this to the last user
	}
}
