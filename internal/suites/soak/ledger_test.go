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

// record is the server's page of the ledger for one connection.
type record struct {
	life  int
	place int // among the open ones, -1: not there; the ledger's lock guards it

	posting sync.Mutex // held to post, so that the order of posts is known

	mu sync.Mutex // guards the fields below
	served
	report  *report
	running int       // integrations
	current int       // the message with an integration that is waited for; 0: none
	began   time.Time // that integration
	acting  int       // posts and deletes under way
}

// enter notes that a call for the connection is under way, or will be.
func (r *record) enter() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.acting++
}

// ledger holds a page for each connection that is not accounted for yet.
type ledger struct {
	lateAfter time.Duration // when integrations run out of time

	mu        sync.Mutex // guards the fields below
	byLife    map[int]*record
	byID      map[string]*record
	open      []*record   // can be posted to
	recent    [64]*record // were, not long ago
	ended     int
	faults    []string
	faulty    int
	totals    totals
	shutdown  time.Time
	grace     time.Duration // no reply may be refused so soon after
	allClosed bool          // no $connect can come for a client that has left
}

// totals are what the run came to.
type totals struct {
	Connections, Refused, Aborted        int
	Messages                             int
	RepliesSent, RepliesRefused          int
	Overdue                              int // integrations, on a machine without time for them
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

// of returns the page of a connection ID: nil when there is none any more.
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

// opened makes a connection one that is posted to.
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

// pick returns a connection to post to, mostly an open one. Then leave is due.
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

// begin notes a message on its way to an integration.
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

// givenUp notes that the gateway no longer waits for the integration of a connection:
// too early, or with a reply that its client does not expect.
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

// observed notes what an observer is told of a post or a reply.
func (l *ledger) observed(id string, sent bool) {
	r := l.of(id)
	if r == nil {
		return // a post, long after
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

// beginShutdown notes that the gateway is about to shut down, which refuses no
// reply for as long as grace.
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

// post posts by way of do, which gets the number that the post has if it is
// accepted: one that is refused leaves its number to the next.
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

// remove deletes the connection by way of do.
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

// settle reconciles the two sides of a connection once all of both is there, and
// tears its page out.
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

// unsettled counts the connections whose client knows the end, and the server
// does not yet.
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

// settleAll is for the end: it reconciles what was not yet.
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
		t.Codes[min(s.code, 4000)]++ // applications' own as one
	}
}
