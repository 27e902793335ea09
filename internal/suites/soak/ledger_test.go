package soak_test

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"example.com/gateway"
)

// record is what the ledger holds about one connection, from the server's side.
type record struct {
	life  int
	place int // index in ledger.open, -1: not there; guarded by the ledger's lock

	posting sync.Mutex // held while posting, so that the order of posts is known

	mu sync.Mutex // guards the fields below
	served
	report  *report
	running int       // integrations that run
	current int       // the message whose integration the gateway waits for; 0: none
	began   time.Time // when that integration began
	acting  int       // calls of post and delete that run
}

// enter records that a call for the connection runs, or is about to run.
func (r *record) enter() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.acting++
}

// ledger has a record for each connection until both sides are compared.
type ledger struct {
	lateAfter time.Duration // the time after which integrations time out

	mu        sync.Mutex // guards the fields below
	byLife    map[int]*record
	byID      map[string]*record
	open      []*record   // connections that can be posted to
	recent    [64]*record // connections that could be posted to until recently
	ended     int
	faults    []string
	faulty    int
	totals    totals
	shutdown  time.Time
	grace     time.Duration // how long after the beginning of the shutdown no reply may be refused
	allClosed bool          // no more $connect can come for clients that have left
}

// totals are the sums of a run.
type totals struct {
	Connections, Refused, Aborted        int
	Messages                             int
	RepliesSent, RepliesRefused          int
	Overdue                              int // integrations that timed out although they should not, on a busy machine
	PostsAccepted, PostsArrived          int
	PostsGone, PostsFull, Deletes, Drops int
	Codes                                map[int]int
}

func newLedger(lateAfter time.Duration) *ledger {
	return &ledger{lateAfter: lateAfter, byLife: map[int]*record{}, byID: map[string]*record{}, totals: totals{Codes: map[int]int{}}}
}

func (l *ledger) fault(life int, format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.faultLocked(life, fmt.Sprintf(format, args...))
}

func (l *ledger) faultLocked(life int, text string) {
	if l.faulty++; l.faulty <= 20 {
		l.faults = append(l.faults, fmt.Sprintf("connection %d: %s", life, text))
	}
}

func (l *ledger) record(life int) *record {
	l.mu.Lock()
	defer l.mu.Unlock()
	r := l.byLife[life]
	if r == nil {
		r = &record{life: life, place: -1}
		l.byLife[life] = r
	}
	return r
}

// of returns the record of a connection ID, or nil if it has been removed.
func (l *ledger) of(id string) *record {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.byID[id]
}

func (l *ledger) connect(life int, id string, accept bool) {
	r := l.record(life)
	r.mu.Lock()
	defer l.settle(r)
	defer r.mu.Unlock()
	r.id = id
	if !accept {
		r.refused++
		return
	}
	r.connects++
	l.mu.Lock()
	defer l.mu.Unlock()
	l.byID[id] = r
}

// opened adds a connection to those that are posted to.
func (l *ledger) opened(id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if r := l.byID[id]; r != nil {
		r.place = len(l.open)
		l.open = append(l.open, r)
	}
}

func (l *ledger) closed(id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	r := l.byID[id]
	if r == nil || r.place < 0 {
		return
	}
	last := l.open[len(l.open)-1]
	l.open[r.place], last.place = last, r.place
	l.open = l.open[:len(l.open)-1]
	r.place = -1
	l.recent[l.ended%len(l.recent)] = r
	l.ended++
}

// pick returns a connection to post to, usually an open one. The caller must call
// leave afterwards.
func (l *ledger) pick(rnd *rand.Rand) *record {
	l.mu.Lock()
	var r *record
	if rnd.IntN(20) == 0 {
		r = l.recent[rnd.IntN(len(l.recent))]
	} else if len(l.open) > 0 {
		r = l.open[rnd.IntN(len(l.open))]
	}
	l.mu.Unlock()
	if r != nil {
		r.enter()
	}
	return r
}

func (l *ledger) leave(r *record) {
	r.mu.Lock()
	r.acting--
	r.mu.Unlock()
	l.settle(r)
}

// begin records that a message goes to an integration.
func (l *ledger) begin(id string, n int, answerable bool) *record {
	r := l.of(id)
	if r == nil {
		l.fault(-1, "message %d of a connection that is over, %s", n, id)
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.messages++; n != r.messages {
		l.fault(r.life, "message %d came as number %d", n, r.messages)
	}
	if r.disconnects > 0 {
		l.fault(r.life, "message %d came after $disconnect", n)
	}
	if r.current != 0 {
		l.fault(r.life, "message %d came while message %d was with its integration", n, r.current)
	}
	r.current, r.began = n, time.Now()
	if answerable {
		r.answerable++
	}
	r.running++
	return r
}

// givenUp records that the gateway no longer waits for an integration. That is a
// fault if it is too early. unexpected says that the client does not expect it.
func (l *ledger) givenUp(id string, unexpected bool) {
	r := l.of(id)
	if r == nil {
		l.fault(-1, "a message of a connection that is over, %s, ran out of time", id)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	n := r.current
	r.current = 0
	if took := time.Since(r.began); took < l.lateAfter/2 {
		l.fault(r.life, "message %d ran out of time after %v", n, took)
	}
	if unexpected {
		r.overdue++
	}
}

func (l *ledger) end(r *record, n int) {
	r.mu.Lock()
	r.running--
	if r.current == n {
		r.current = 0
	}
	r.mu.Unlock()
	l.settle(r)
}

func (l *ledger) disconnect(req *gateway.Request) {
	r := l.of(req.ConnectionID)
	if r == nil {
		l.fault(-1, "$disconnect %d of a connection that is over, %s", req.DisconnectStatusCode, req.ConnectionID)
		return
	}
	l.closed(req.ConnectionID)
	r.mu.Lock()
	r.disconnects++
	r.code, r.reason = req.DisconnectStatusCode, req.DisconnectReason
	r.disconnectedAt = time.Now()
	if r.current != 0 {
		l.fault(r.life, "$disconnect came while message %d was with its integration", r.current)
	}
	r.mu.Unlock()
	l.settle(r)
}

// observed records what an observer reports about a post or a reply.
func (l *ledger) observed(id string, sent bool) {
	r := l.of(id)
	if r == nil {
		return // a post, long after the end
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if sent {
		r.observedSent++
		return
	}
	r.observedRefused++
	if err := l.tooSoon(); err != nil {
		l.fault(r.life, "%v", err)
	}
}

// beginShutdown records that the gateway is about to shut down. For the time of grace
// the gateway must not refuse a reply.
func (l *ledger) beginShutdown(grace time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.shutdown, l.grace = time.Now(), grace
}

func (l *ledger) tooSoon() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if since := time.Since(l.shutdown); l.grace > 0 && since < l.grace {
		return fmt.Errorf("a reply was refused %v after the shutdown began", since)
	}
	return nil
}

// post calls do, with the number that the post gets if it is accepted. If it is
// refused, the next post gets the same number.
func (l *ledger) post(r *record, do func(seq int) error) error {
	r.posting.Lock()
	defer r.posting.Unlock()
	r.mu.Lock()
	seq, over := r.accepted+1, r.disconnects > 0 || r.gone > 0
	r.mu.Unlock()
	err := do(seq)
	r.mu.Lock()
	defer r.mu.Unlock()
	l.noteLocked(r, err, over)
	return err
}

func (l *ledger) noteLocked(r *record, err error, over bool) {
	switch {
	case err == nil:
		r.accepted++
		if over {
			l.fault(r.life, "post %d was accepted after the end", r.accepted)
		}
	case errors.Is(err, gateway.ErrGone):
		r.gone++
		r.noteGoneLocked()
	case errors.Is(err, gateway.ErrLimitExceeded):
		r.full++
	default:
		l.fault(r.life, "post: %v", err)
	}
}

func (r *record) noteGoneLocked() {
	if r.firstGone.IsZero() {
		r.firstGone = time.Now()
	}
}

// remove calls do to delete the connection.
func (l *ledger) remove(r *record, do func() error) {
	r.mu.Lock()
	if r.firstDelete.IsZero() {
		r.firstDelete = time.Now()
	}
	r.mu.Unlock()
	err := do()
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case err == nil:
		r.deletes++
	case errors.Is(err, gateway.ErrGone):
		r.noteGoneLocked()
	default:
		l.fault(r.life, "delete: %v", err)
	}
}

func (l *ledger) reported(rep *report) {
	r := l.record(rep.Life)
	r.mu.Lock()
	if r.report != nil {
		l.fault(rep.Life, "reported twice")
	}
	r.report = rep
	r.mu.Unlock()
	l.settle(r)
}

// settle compares the two sides of a connection when both are complete, and then
// removes its record.
func (l *ledger) settle(r *record) {
	r.mu.Lock()
	defer r.mu.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.byLife[r.life] != r, r.report == nil, r.running > 0, r.acting > 0:
		return
	case r.connects > r.disconnects:
		return
	case r.life == 0: // a probe
		return
	case r.connects+r.refused == 0 && !l.allClosed:
		return
	}
	for _, text := range reconcile(&r.served, r.report, l.shutdown) {
		l.faultLocked(r.life, fmt.Sprintf("%s (%s)", text, r.report.Ending))
	}
	l.totals.add(&r.served, r.report)
	delete(l.byLife, r.life)
	delete(l.byID, r.id)
}

// unsettled counts the connections whose client knows that they have ended while the
// server does not know yet.
func (l *ledger) unsettled() (n int) {
	l.mu.Lock()
	pages := slices.Collect(maps.Values(l.byLife))
	l.mu.Unlock()
	for _, r := range pages {
		r.mu.Lock()
		if r.report != nil && r.connects > r.disconnects {
			n++
		}
		r.mu.Unlock()
	}
	return n
}

// settleAll is called at the end: it compares all remaining connections.
func (l *ledger) settleAll() (left int) {
	l.mu.Lock()
	l.allClosed = true
	pages := slices.Collect(maps.Values(l.byLife))
	l.mu.Unlock()
	for _, r := range pages {
		l.settle(r)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for life, r := range l.byLife {
		l.faultLocked(life, fmt.Sprintf("is not accounted for: %+v", &r.served))
	}
	l.recent = [64]*record{}
	return len(l.byLife)
}

func (t *totals) add(s *served, r *report) {
	t.Connections += s.connects
	t.Refused += s.refused
	if r.Ending == endAborted {
		t.Aborted++
	} else if r.dropped() {
		t.Drops++
	}
	t.Messages += s.messages
	t.RepliesSent += s.repliesSent()
	t.RepliesRefused += s.repliesRefused()
	t.PostsAccepted += s.accepted
	t.PostsArrived += r.Posts
	t.PostsGone += s.gone
	t.PostsFull += s.full
	t.Deletes += s.deletes
	t.Overdue += s.overdue
	if s.connects > 0 {
		t.Codes[min(s.code, 4000)]++ // count all codes of applications together
	}
}
