package poll

import (
	"fmt"
	"os"
	"sync"
	"syscall"
)

// loop is one epoll instance. Its poller is a goroutine that waits for the epoll
// descriptor in the runtime's own poller, which can wait for any descriptor. The
// poller puts sockets that are ready into a queue, which runners serve.
//
// If a runner takes a socket from the queue and more are waiting, it first wakes another
// runner. As long as ready funcs do not block, that runner finds the queue empty: so one
// wake-up serves all sockets that were ready together. If a ready func blocks, the next
// runner continues at once. If there are free cores, the runners share the queue.
type loop struct {
	epfd   int
	file   *os.File // epfd, registered in the runtime's poller
	events []syscall.EpollEvent
	ended  sync.WaitGroup // the poller and the runners

	mu     sync.Mutex // guards the fields below
	places []place
	free   []int32 // free places
	head   *Socket // the queue
	tail   *Socket
	idle   []chan struct{} // runners that wait for work, most recent last
	waking bool            // a runner has been woken and has not reached the queue yet
	closed bool
}

// place holds a socket, and a number that changes when the place gets another socket. An
// event contains the index of a place and this number. So an event that arrives late is not
// taken for an event of the next socket.
type place struct {
	s   *Socket
	gen int32
}

const (
	// eventsAtOnce is how many events one call to the kernel returns.
	eventsAtOnce = 128
	// idleRunners is how many runners stay when there is nothing to do.
	idleRunners = 64
)

func newLoop() (*loop, error) {
	epfd, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	if err := syscall.SetNonblock(epfd, true); err != nil { // else os.NewFile does not add it to the poller
		_ = syscall.Close(epfd)
		return nil, os.NewSyscallError("fcntl", err)
	}
	l := &loop{epfd: epfd, file: os.NewFile(uintptr(epfd), "epoll"), events: make([]syscall.EpollEvent, eventsAtOnce)}
	raw, err := l.file.SyscallConn()
	if err != nil {
		_ = l.file.Close()
		return nil, fmt.Errorf("polling epoll: %w", err)
	}
	l.ended.Go(func() { _ = raw.Read(l.collect) }) // ends when close closes the file
	return l, nil
}

// close ends the loop. Its sockets must already be closed.
func (l *loop) close() {
	_ = l.file.Close()
	l.mu.Lock()
	l.closed = true
	for _, wake := range l.idle {
		wake <- struct{}{}
	}
	l.idle = nil
	l.mu.Unlock()
	l.ended.Wait()
}

// collect queues the sockets that are ready. The runtime calls it whenever epfd has
// events. If collect returns false, the runtime waits for more events; if some
// arrived during the call, it calls collect again at once.
func (l *loop) collect(epfd uintptr) (done bool) {
	for {
		n, err := pending(epfd, l.events)
		if err == syscall.EINTR {
			continue
		}
		if err != 0 {
			return true
		}
		l.mu.Lock()
		for i := range l.events[:n] {
			l.happenedLocked(&l.events[i])
		}
		l.wakeLocked()
		l.mu.Unlock()
		if n < len(l.events) {
			return false
		}
	}
}

const (
	readable = syscall.EPOLLIN | suspect
	suspect  = syscall.EPOLLRDHUP | syscall.EPOLLHUP | syscall.EPOLLERR | syscall.EPOLLPRI
	failed   = syscall.EPOLLERR // not EPOLLHUP: a Unix socket also has EPOLLHUP after its peer has closed normally
	writable = syscall.EPOLLOUT | syscall.EPOLLHUP | syscall.EPOLLERR
	edge     = 1 << 31 // EPOLLET; the constant in package syscall is negative
)

func (l *loop) happenedLocked(e *syscall.EpollEvent) {
	at := &l.places[e.Fd]
	s := at.s
	if s == nil || at.gen != e.Pad {
		return
	}
	if e.Events&suspect != 0 {
		s.suspect.Store(true) // before notice, so that the reader sees it
	}
	if e.Events&failed != 0 {
		s.broken.Store(true) // before hungUp, so that a caller of HungUp that missed the call sees it
		if s.hungUp != nil {
			s.hungUp()
		}
	}
	if e.Events&writable != 0 && s.full.Load() {
		s.wakeWriter()
	}
	if e.Events&readable != 0 && s.notice() {
		l.pushLocked(s)
	}
}

// add makes the loop watch the socket.
func (l *loop) add(s *Socket) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.free) == 0 {
		l.places = append(l.places, place{})
		l.free = append(l.free, int32(len(l.places)-1))
	}
	last := len(l.free) - 1
	s.place = l.free[last]
	at := &l.places[s.place]
	e := syscall.EpollEvent{Events: syscall.EPOLLIN | syscall.EPOLLOUT | syscall.EPOLLRDHUP | syscall.EPOLLPRI | edge, Fd: s.place, Pad: at.gen}
	if err := syscall.EpollCtl(l.epfd, syscall.EPOLL_CTL_ADD, int(s.fd), &e); err != nil {
		return os.NewSyscallError("epoll_ctl", err)
	}
	at.s = s
	l.free = l.free[:last]
	return nil
}

// remove makes the loop forget the socket. The kernel forgets it when it is closed.
func (l *loop) remove(s *Socket) {
	l.mu.Lock()
	defer l.mu.Unlock()
	at := &l.places[s.place]
	at.s = nil
	at.gen++
	l.free = append(l.free, s.place)
}

// queue puts a socket into the queue, to be served.
func (l *loop) queue(s *Socket) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed { // no runner would serve it, and close would not wait for one
		return
	}
	l.pushLocked(s)
	l.wakeLocked()
}

func (l *loop) pushLocked(s *Socket) {
	if l.head == nil {
		l.head = s
	} else {
		l.tail.next = s
	}
	l.tail = s
}

func (l *loop) popLocked() *Socket {
	s := l.head
	if s != nil {
		l.head, s.next = s.next, nil
	}
	return s
}

// wakeLocked wakes a runner, unless one is already on its way to the queue.
func (l *loop) wakeLocked() {
	if l.head == nil || l.waking {
		return
	}
	l.waking = true
	if last := len(l.idle) - 1; last >= 0 {
		l.idle[last] <- struct{}{} // does not block: the channel has room
		l.idle = l.idle[:last]
		return
	}
	l.ended.Go(l.run) // ends when there are too many idle runners, or with the loop
}

// run is the loop of a runner.
func (l *loop) run() {
	var keep Keep
	defer func() { // deferred, because a ready func may end this goroutine
		if keep != nil {
			keep.End()
		}
	}()
	var wake chan struct{}
	l.mu.Lock()
	l.waking = false
	for {
		if s := l.popLocked(); s != nil {
			l.wakeLocked()
			l.mu.Unlock()
			s.ready(&keep)
			l.mu.Lock()
			continue
		}
		if l.closed || len(l.idle) >= idleRunners {
			l.mu.Unlock()
			return
		}
		if wake == nil {
			wake = make(chan struct{}, 1)
		}
		l.idle = append(l.idle, wake)
		l.mu.Unlock()
		<-wake
		l.mu.Lock()
		l.waking = false
	}
}
