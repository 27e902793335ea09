// Package sendq is the queue of what waits to be written to one connection: a
// FIFO bounded in messages and bytes, drained on demand by one goroutine at a
// time, with a place of honour for control frames.
package sendq

import (
	"errors"
	"sync"
)

// Errors of [Queue.Push].
var (
	ErrFull   = errors.New("send queue is full")
	ErrClosed = errors.New("send queue is closed")
)

// Limits bounds a queue. Zero means no limit.
type Limits struct {
	Bytes    int // of frames queued and of those being written
	Messages int // likewise
}

// Queue holds encoded frames. Whoever gets true from Push, Urgent, Close, Claim,
// ClaimFor or Cork has the role of the drainer: it must call Next until that returns
// false. The zero value is an empty queue without limits; all methods are safe
// for concurrent use.
type Queue struct {
	mu          sync.Mutex // guards the fields below
	limits      *Limits    // nil: none
	messages    [][]byte   // messages[head:] wait
	head        int
	count       int // messages that wait or are being written
	bytes       int // of those
	handed      int // messages handed out by Next and not yet written
	handedBytes int
	corked      *cork // before all messages; nil: none
	rare        *rare // nil: as if it were empty
	closed      bool
	draining    bool
}

// rare is what the queue of an idle connection does without.
type rare struct {
	urgent  [2][]byte     // a Pong and a Ping: the newest of each
	last    []byte        // the Close frame
	room    *sync.Cond    // made when somebody waits for room
	drained chan struct{} // made by Close or Abort; closed when nothing is left to write
}

// Limit sets the bounds, which queues can share, before the queue is used.
func (q *Queue) Limit(limits *Limits) { q.limits = limits }

// Hold takes the drainer's role of a new queue, so that what is pushed waits for
// whoever holds it.
func (q *Queue) Hold() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.draining = true
}

// Push appends a message's frames. It fails with [ErrFull] or [ErrClosed] and then
// holds nothing of it.
func (q *Queue) Push(message []byte) (drain bool, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if err := q.pushLocked(message); err != nil {
		return false, err
	}
	return q.claimLocked(), nil
}

// PushWait is Push, but waits for room instead of failing with [ErrFull].
// Somebody must be draining, or nothing ever makes room.
func (q *Queue) PushWait(message []byte) (drain bool, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for {
		err := q.pushLocked(message)
		if err == nil {
			return q.claimLocked(), nil
		}
		if !errors.Is(err, ErrFull) {
			return false, err
		}
		r := q.rareLocked()
		if r.room == nil {
			r.room = sync.NewCond(&q.mu)
		}
		r.room.Wait()
	}
}

// ClaimFor takes the drainer's role of a queue that is empty, for a message of so
// many bytes that never enters it: the drainer writes it before it calls Next. It
// counts until then.
func (q *Queue) ClaimFor(bytes int) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed || q.draining || !q.emptyLocked() {
		return false
	}
	q.draining = true
	q.handOutLocked(bytes)
	return true
}

// Cork queues a message of so many bytes, which encode appends, for whoever drains
// the queue next: together with others that are corked it needs no memory of its
// own. With claim it asks for the drainer's role, too. It does nothing and reports
// false when the message can't be joined with those: others wait, or somebody
// drains the queue, or there is no room; with claim also when none is corked.
func (q *Queue) Cork(bytes int, encode func(dst []byte) []byte, claim bool) (corked, drain bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.draining || q.waiting() > 0 || q.rare != nil && !q.rare.empty() || q.fitsLocked(bytes) != nil {
		return false, false
	}
	k := q.corked
	switch {
	case k == nil && (claim || bytes > corkBytes):
		return false, false
	case k == nil:
		k, _ = corks.Get().(*cork)
		q.corked = k
	case len(k.frames)+bytes > cap(k.frames):
		return false, false
	}
	k.frames = encode(k.frames)
	k.count++
	q.count, q.bytes = q.count+1, q.bytes+bytes
	return true, claim && q.claimLocked()
}

// cork holds messages that wait to be joined by others.
type cork struct {
	frames []byte
	count  int
	handed bool // by Next, and being written
}

const corkBytes = 4 << 10

//nolint:gochecknoglobals // a pool is shared to be of use
var corks = sync.Pool{New: func() any { return &cork{frames: make([]byte, 0, corkBytes)} }}

// handOutLocked counts a message that is being written.
func (q *Queue) handOutLocked(bytes int) {
	q.count, q.handed = q.count+1, q.handed+1
	q.bytes, q.handedBytes = q.bytes+bytes, q.handedBytes+bytes
}

func (q *Queue) fitsLocked(bytes int) error {
	limits := q.limits
	switch {
	case q.closed:
		return ErrClosed
	case limits == nil || q.count == 0: // an empty queue takes any message
	case limits.Messages > 0 && q.count >= limits.Messages:
		return ErrFull
	case limits.Bytes > 0 && q.bytes+bytes > limits.Bytes:
		return ErrFull
	}
	return nil
}

func (q *Queue) pushLocked(message []byte) error {
	if err := q.fitsLocked(len(message)); err != nil {
		return err
	}
	if len(q.messages) == cap(q.messages) && q.head > 0 && q.head >= len(q.messages)/2 { // room in front: no need to grow
		n := copy(q.messages, q.messages[q.head:])
		clear(q.messages[n:])
		q.messages, q.head = q.messages[:n], 0
	}
	q.messages = append(q.messages, message)
	q.count++
	q.bytes += len(message)
	return nil
}

// Kinds of [Queue.Urgent] frames.
const (
	Pong = iota
	Ping
)

// Urgent puts a control frame before all messages. One that still waits from
// before is forgotten: the newest is the one that counts (RFC 6455, 5.5.3).
func (q *Queue) Urgent(kind int, frame []byte) (drain bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return false
	}
	q.rareLocked().urgent[kind] = frame
	return q.claimLocked()
}

// Close refuses all that comes later and puts last, a Close frame or nil, behind
// what is queued.
func (q *Queue) Close(last []byte) (drain bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return false
	}
	q.rareLocked().last = last
	q.closeLocked()
	return q.claimLocked()
}

// Abort closes the queue and forgets what it holds.
func (q *Queue) Abort() {
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

func (q *Queue) closeLocked() {
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

// rareLocked returns q.rare to be written to.
func (q *Queue) rareLocked() *rare {
	if q.rare == nil {
		q.rare = new(rare)
	}
	return q.rare
}

// Drained is closed when a closed queue has nothing left to write and nobody
// drains it. It may be asked for after Close or Abort only.
func (q *Queue) Drained() <-chan struct{} {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.rare.drained
}

// Claim asks for the drainer's role: true when there is something to write and
// nobody who does it.
func (q *Queue) Claim() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.claimLocked()
}

func (q *Queue) claimLocked() bool {
	if q.draining || q.emptyLocked() {
		return false
	}
	q.draining = true
	return true
}

func (q *Queue) emptyLocked() bool {
	return q.waiting() == 0 && q.corked == nil && (q.rare == nil || q.rare.empty())
}

// empty reports that nothing of r waits to be written.
func (r *rare) empty() bool { return r.urgent[Pong] == nil && r.urgent[Ping] == nil && r.last == nil }

// Next returns what is to be written next, after the drainer has written what
// Next returned before. Small messages are joined in buf, up to its capacity, so
// that they go out in one write. At the end it takes the role back and returns
// false.
func (q *Queue) Next(buf []byte) ([]byte, bool) {
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
func (q *Queue) batchLocked(batch []byte) []byte {
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
		return q.takeLocked() // as it is: nothing to join it with
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

func (q *Queue) waiting() int { return len(q.messages) - q.head }

// keepMessages is how long a slice an empty queue keeps for its next messages.
const keepMessages = 4

// takeLocked takes the first message off the queue; it counts until it is
// written.
func (q *Queue) takeLocked() []byte {
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

func (q *Queue) writtenLocked() {
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

func (q *Queue) dropCorkLocked() {
	k := q.corked
	k.frames, k.count, k.handed = k.frames[:0], 0, false
	q.corked = nil
	corks.Put(k)
}

func (q *Queue) signalDrainedLocked() {
	select {
	case <-q.rare.drained:
	default:
		close(q.rare.drained)
	}
}
