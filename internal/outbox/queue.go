package outbox

import (
	"errors"
	"sync"
)

// Errors of an [Outbox] that refuses a message.
var (
	ErrFull   = errors.New("the outbox is full")
	ErrClosed = errors.New("the outbox is closed")
)

// Limits bounds what an [Outbox] holds. Zero means no limit.
type Limits struct {
	Bytes    int // of all frames that wait or are being written
	Messages int // that wait or are being written
}

// queue holds encoded frames, first in, first out. At most one goroutine at a time
// writes them: the drainer. If a method returns drain true, its caller becomes the
// drainer, and must call next until next returns false. The zero value is an empty
// queue; it needs a peer, which has the limits. All methods are safe for concurrent
// use.
type queue struct {
	mu          sync.Mutex // guards the fields below
	peer        Peer       // for its limits
	messages    [][]byte   // messages[head:] wait
	head        int
	count       int // messages that wait or are being written
	bytes       int // the sum of their bytes
	handed      int // messages handed out by next and not yet written
	handedBytes int
	corked      *cork // goes out before all messages; nil: none
	rare        *rare // nil: the same as an empty one
	closed      bool
	draining    bool
}

// rare holds the fields that the queue of an idle connection does not need.
type rare struct {
	urgent  [2][]byte     // the newest Pong and the newest Ping
	last    []byte        // the Close frame
	room    *sync.Cond    // made when somebody waits for room
	drained chan struct{} // made by close or abort; closed when nothing is left to write
}

// hold makes the caller the drainer of a new queue, so that everything that is pushed
// waits until the caller calls next.
func (q *queue) hold() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.draining = true
}

// push appends the frames of a message. If it returns an error, [ErrFull] or
// [ErrClosed], the queue holds no part of the message.
func (q *queue) push(message []byte) (drain bool, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if err := q.pushLocked(message); err != nil {
		return false, err
	}
	return q.claimLocked(), nil
}

// pushWait is like push, but does not fail with [ErrFull]. If the queue is full and
// another goroutine drains it, pushWait waits for room. If the queue is full and
// nobody drains it, pushWait does not push the message but makes the caller the
// drainer: the caller must drain the queue and call pushWait again. So no goroutine
// ever waits for itself.
func (q *queue) pushWait(message []byte) (pushed, drain bool, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for {
		err := q.pushLocked(message)
		if err == nil {
			return true, q.claimLocked(), nil
		}
		if !errors.Is(err, ErrFull) {
			return false, false, err
		}
		if q.claimLocked() {
			return false, true, nil
		}
		r := q.rareLocked()
		if r.room == nil {
			r.room = sync.NewCond(&q.mu)
		}
		r.room.Wait()
	}
}

// claimFor makes the caller the drainer of an empty queue, so that it can write a
// message of the given size without pushing it. The limits count this message until
// the caller calls next. If the queue is not empty or another goroutine drains it,
// claimFor does nothing and returns false.
func (q *queue) claimFor(bytes int) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed || q.draining || !q.emptyLocked() {
		return false
	}
	q.draining = true
	q.handOutLocked(bytes)
	return true
}

// cork queues a message until the queue is next drained. encode appends the message to
// the buffer that all corked messages share, so that they go out in one write. size is
// the expected length of the message. With claim the caller also wants to drain the
// queue.
//
// If the message cannot join the buffer, cork does nothing and returns corked false. The
// reasons are: other messages wait, another goroutine drains the queue, or there is no
// room. With claim it also does so if no message is corked.
func (q *queue) cork(size int, encode func(dst []byte) []byte, claim bool) (corked, drain bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.draining || q.waiting() > 0 || q.rare != nil && !q.rare.empty() || q.fitsLocked(size) != nil {
		return false, false
	}
	k := q.corked
	switch {
	case k == nil && (claim || size > corkBytes):
		return false, false
	case k == nil:
		k, _ = corks.Get().(*cork)
	case len(k.frames)+size > cap(k.frames):
		return false, false
	}
	before := len(k.frames)
	frames := encode(k.frames)
	grown := len(frames) - before // the bytes that next will subtract: size is only a guess
	if q.fitsLocked(grown) != nil {
		if q.corked == nil {
			corks.Put(k)
		}
		return false, false
	}
	k.frames = frames
	k.count++
	q.corked = k
	q.count, q.bytes = q.count+1, q.bytes+grown
	return true, claim && q.claimLocked()
}

// cork is a buffer with messages that are held back, to go out in one write.
type cork struct {
	frames []byte
	count  int
	handed bool // next has returned it, and it is being written
}

const corkBytes = 4 << 10

//nolint:gochecknoglobals // a pool is useful only if it is shared
var corks = sync.Pool{New: func() any { return &cork{frames: make([]byte, 0, corkBytes)} }}

// handOutLocked counts a message that the caller is going to write.
func (q *queue) handOutLocked(bytes int) {
	q.count, q.handed = q.count+1, q.handed+1
	q.bytes, q.handedBytes = q.bytes+bytes, q.handedBytes+bytes
}

func (q *queue) fitsLocked(bytes int) error {
	if q.closed {
		return ErrClosed
	}
	if q.count == 0 { // an empty queue takes any message
		return nil
	}
	switch limits := q.peer.Limits(); {
	case limits.Messages > 0 && q.count >= limits.Messages:
		return ErrFull
	case limits.Bytes > 0 && q.bytes+bytes > limits.Bytes:
		return ErrFull
	}
	return nil
}

func (q *queue) pushLocked(message []byte) error {
	if err := q.fitsLocked(len(message)); err != nil {
		return err
	}
	if len(q.messages) == cap(q.messages) && q.head > 0 && q.head >= len(q.messages)/2 { // there is room at the front: no need to grow
		n := copy(q.messages, q.messages[q.head:])
		clear(q.messages[n:])
		q.messages, q.head = q.messages[:n], 0
	}
	q.messages = append(q.messages, message)
	q.count++
	q.bytes += len(message)
	return nil
}

// The kinds of urgent frames.
const (
	pong = iota
	ping
)

// urgent puts a control frame before all messages. It replaces a frame of the same
// kind that still waits, because only the newest counts (RFC 6455, 5.5.3).
func (q *queue) urgent(kind int, frame []byte) (drain bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return false
	}
	q.rareLocked().urgent[kind] = frame
	return q.claimLocked()
}

// close refuses everything that comes later and puts last after everything that is
// queued. last is a Close frame or nil.
func (q *queue) close(last []byte) (drain bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return false
	}
	q.rareLocked().last = last
	q.closeLocked()
	return q.claimLocked()
}

// abort closes the queue and drops everything in it, except what is being written.
func (q *queue) abort() {
	q.mu.Lock()
	defer q.mu.Unlock()
	r := q.rareLocked()
	q.messages, q.head, r.urgent, r.last = nil, 0, [2][]byte{}, nil
	if q.corked != nil && !q.corked.handed {
		q.dropCorkLocked()
	}
	q.count, q.bytes = q.handed, q.handedBytes
	q.closeLocked()
}

func (q *queue) closeLocked() {
	q.closed = true
	r := q.rareLocked()
	if r.drained == nil {
		r.drained = make(chan struct{})
	}
	if !q.draining && q.emptyLocked() {
		q.signalDrainedLocked()
	}
	if r.room != nil {
		r.room.Broadcast()
	}
}

// rareLocked returns q.rare, and makes it if necessary.
func (q *queue) rareLocked() *rare {
	if q.rare == nil {
		q.rare = new(rare)
	}
	return q.rare
}

// drained returns a channel that is closed when the closed queue has nothing left to
// write and nobody drains it. Call it only after close or abort.
func (q *queue) drained() <-chan struct{} {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.rare.drained
}

// claim makes the caller the drainer if there is something to write and nobody drains
// the queue.
func (q *queue) claim() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.claimLocked()
}

func (q *queue) claimLocked() bool {
	if q.draining || q.emptyLocked() {
		return false
	}
	q.draining = true
	return true
}

func (q *queue) emptyLocked() bool {
	return q.waiting() == 0 && q.corked == nil && (q.rare == nil || q.rare.empty())
}

// empty reports whether nothing in r waits to be written.
func (r *rare) empty() bool { return r.urgent[pong] == nil && r.urgent[ping] == nil && r.last == nil }

// next returns what the drainer must write next. By calling next, the drainer also
// reports that it has written what the call before returned. next joins small
// messages in buf, up to its capacity, so that they go out in one write. If nothing
// is left, next returns false, and the caller is no longer the drainer.
func (q *queue) next(buf []byte) ([]byte, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.writtenLocked()
	if batch := q.batchLocked(buf[:0]); len(batch) > 0 {
		return batch, true
	}
	q.draining = false
	switch {
	case q.closed:
		q.signalDrainedLocked()
	case q.rare != nil && q.rare.room == nil:
		q.rare = nil // it is empty
	}
	return nil, false
}

// batchLocked takes what goes out in one write.
func (q *queue) batchLocked(batch []byte) []byte {
	if k := q.corked; k != nil {
		k.handed = true
		q.handed += k.count
		q.handedBytes += len(k.frames)
		return k.frames
	}
	size := cap(batch)
	var last []byte
	if r := q.rare; r != nil {
		for kind, frame := range r.urgent {
			batch = append(batch, frame...)
			r.urgent[kind] = nil
		}
		last = r.last
	}
	if n := q.waiting(); n > 0 && len(batch) == 0 && (n == 1 && last == nil || len(q.messages[q.head]) > size) {
		return q.takeLocked() // without a copy, because there is nothing to join it with
	}
	for q.waiting() > 0 && len(batch)+len(q.messages[q.head]) <= size {
		batch = append(batch, q.takeLocked()...)
	}
	if q.waiting() == 0 && last != nil {
		batch = append(batch, last...)
		q.rare.last = nil
	}
	return batch
}

func (q *queue) waiting() int { return len(q.messages) - q.head }

// keepMessages is the capacity that an empty queue keeps for its next messages.
const keepMessages = 4

// takeLocked removes the first message from the queue. The limits count it until it
// is written.
func (q *queue) takeLocked() []byte {
	message := q.messages[q.head]
	q.messages[q.head] = nil
	if q.head++; q.head == len(q.messages) {
		q.messages, q.head = q.messages[:0], 0
		if cap(q.messages) > keepMessages {
			q.messages = nil
		}
	}
	q.handed++
	q.handedBytes += len(message)
	return message
}

func (q *queue) writtenLocked() {
	if q.handed == 0 {
		return
	}
	if k := q.corked; k != nil && k.handed {
		q.dropCorkLocked()
	}
	q.count -= q.handed
	q.bytes -= q.handedBytes
	q.handed, q.handedBytes = 0, 0
	if q.rare != nil && q.rare.room != nil {
		q.rare.room.Broadcast()
	}
}

func (q *queue) dropCorkLocked() {
	k := q.corked
	k.frames, k.count, k.handed = k.frames[:0], 0, false
	q.corked = nil
	if cap(k.frames) <= 4*corkBytes { // do not keep a buffer that grew larger
		corks.Put(k)
	}
}

func (q *queue) signalDrainedLocked() {
	select {
	case <-q.rare.drained:
	default:
		close(q.rare.drained)
	}
}
