// Package presence runs the events of groups: those of one group one after the other, in the
// order in which they were added, and those of different groups at the same time.
//
// A group has at most Most events that wait. Who wants to add one more reserves a place
// before, and waits for it. An event that nobody can wait for is added without a place. A
// group without events takes no memory and no goroutine.
package presence

import (
	"context"
	"slices"
	"sync"
)

// Most is how many events of one group may wait, those included for which a place is
// reserved.
const Most = 1000

// Queues has the events of all groups. Run and Go must be set before its first use. The
// methods are safe for concurrent use.
type Queues[E any] struct {
	// Run runs one event. It may end its goroutine.
	Run func(event E)
	// Go starts a goroutine.
	Go func(f func())

	mu     sync.Mutex // guards the field below, and everything in it
	groups map[string]*queue[E]
}

type queue[E any] struct {
	events   []E
	reserved int
	waiting  []chan struct{} // who waits for a place, in order
	running  bool
}

func (q *queue[E]) full() bool { return len(q.events)+q.reserved >= Most }

// Reserve waits for a place in a group, and reserves it. Then [Queues.Add] or
// [Queues.Release] has to be called. It returns the error of a ctx that has ended.
func (qs *Queues[E]) Reserve(ctx context.Context, group string) error {
	qs.mu.Lock()
	q := qs.of(group)
	if !q.full() && len(q.waiting) == 0 {
		q.reserved++
		qs.mu.Unlock()
		return nil
	}
	granted := make(chan struct{})
	q.waiting = append(q.waiting, granted)
	qs.mu.Unlock()
	select {
	case <-granted:
		return nil
	case <-ctx.Done():
	}
	qs.mu.Lock()
	defer qs.mu.Unlock()
	if at := slices.Index(q.waiting, granted); at >= 0 {
		q.waiting = slices.Delete(q.waiting, at, at+1)
	} else { // it was granted at the same moment
		q.reserved--
	}
	qs.settle(group, q)
	return ctx.Err()
}

// Force reserves a place, even if the group has none.
func (qs *Queues[E]) Force(group string) {
	qs.mu.Lock()
	defer qs.mu.Unlock()
	qs.of(group).reserved++
}

// Release gives a place back.
func (qs *Queues[E]) Release(group string) {
	qs.mu.Lock()
	defer qs.mu.Unlock()
	q := qs.of(group)
	q.reserved--
	qs.settle(group, q)
}

// Add makes a change and adds its event, so that events are in the order of the changes.
// Add uses the place that was reserved for it. It does not wait.
func (qs *Queues[E]) Add(group string, event E, change func()) {
	qs.mu.Lock()
	defer qs.mu.Unlock()
	q := qs.of(group)
	q.reserved--
	change()
	q.events = append(q.events, event)
	if !q.running {
		q.running = true
		qs.Go(func() { qs.runAll(group, q) })
	}
}

// of returns the queue of a group. It makes one if there is none.
func (qs *Queues[E]) of(group string) *queue[E] {
	q := qs.groups[group]
	if q == nil {
		if qs.groups == nil {
			qs.groups = map[string]*queue[E]{}
		}
		q = &queue[E]{}
		qs.groups[group] = q
	}
	return q
}

// settle lets those go on for whom there is a place now, and forgets a queue that nobody
// uses.
func (qs *Queues[E]) settle(group string, q *queue[E]) {
	for len(q.waiting) > 0 && !q.full() {
		close(q.waiting[0])
		q.waiting = q.waiting[1:]
		q.reserved++
	}
	if !q.running && q.reserved == 0 && len(q.waiting) == 0 {
		delete(qs.groups, group)
	}
}

// runAll runs the events of a queue until there are none.
func (qs *Queues[E]) runAll(group string, q *queue[E]) {
	over := false
	defer func() {
		if !over { // Run has ended this goroutine
			qs.Go(func() { qs.runAll(group, q) })
		}
	}()
	for {
		qs.mu.Lock()
		if len(q.events) == 0 {
			q.running, q.events, over = false, nil, true
			qs.settle(group, q)
			qs.mu.Unlock()
			return
		}
		var none E
		event := q.events[0]
		q.events[0] = none
		q.events = q.events[1:]
		qs.settle(group, q)
		qs.mu.Unlock()
		qs.Run(event)
	}
}
