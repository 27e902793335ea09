// Package presence tells who has joined and left groups: the events of one group one after
// the other, in the order in which they were added, and those of different groups at the same
// time.
//
// Nobody waits for a place, and still the events of a group are bounded: while [Many] of them
// wait, a JOIN whose member leaves before it has begun is taken back, and that LEAVE is not
// added. So of what is added then, each JOIN that waits is that of a present member; and each LEAVE
// follows a JOIN that had begun, which none does before the LEAVEs ahead of it. Thus there are no
// more of either than the group had members at one time. A group without events takes no
// memory and no goroutine.
package presence

import (
	"container/list"
	"sync"
)

// Many is how many events of a group may wait before those are taken back that have been undone.
const Many = 1000

// Event says that a member has joined or left a group.
type Event[M comparable] struct {
	Member M
	Group  string
	Joins  bool
}

// Queues has the events of all groups. Run and Go must be set before its first use. The
// methods are safe for concurrent use, but calls for one member must be made one after the
// other, after the changes that they tell.
type Queues[M comparable] struct {
	// Run runs one event. It may end its goroutine.
	Run func(Event[M])
	// Go starts a goroutine.
	Go func(f func())

	mu      sync.Mutex                 // guards the fields below, and everything in them
	groups  map[string]*list.List      // the events that wait, while a goroutine runs those of the group
	joins   map[Event[M]]*list.Element // of the JOINs that wait, the last one of each member of each group
	members map[M]*untold
}

// untold counts the events of a member that have not run to their end.
type untold struct {
	joins, leaves int
	none          chan struct{} // closed when there are none any more; nil: nobody waits for that
}

// Joined adds a JOIN.
func (qs *Queues[M]) Joined(member M, group string) { qs.add(Event[M]{member, group, true}) }

// Left adds a LEAVE. If many events wait, and the JOIN of this member has not begun, it takes that
// back instead.
func (qs *Queues[M]) Left(member M, group string) {
	if !qs.takeBack(Event[M]{member, group, true}) {
		qs.add(Event[M]{member, group, false})
	}
}

// Leaves returns how many LEAVEs of a member have not run to their end.
func (qs *Queues[M]) Leaves(member M) int {
	qs.mu.Lock()
	defer qs.mu.Unlock()
	if of := qs.members[member]; of != nil {
		return of.leaves
	}
	return 0
}

// Len returns how many events have not run to their end.
func (qs *Queues[M]) Len() (n int) {
	qs.mu.Lock()
	defer qs.mu.Unlock()
	for _, of := range qs.members {
		n += of.joins + of.leaves
	}
	return n
}

// Wait waits until all events of a member have run. None may be added meanwhile.
func (qs *Queues[M]) Wait(member M) {
	if none := qs.none(member); none != nil {
		<-none
	}
}

// none returns what is closed when a member has no events any more, nil if it has none now.
func (qs *Queues[M]) none(member M) <-chan struct{} {
	qs.mu.Lock()
	defer qs.mu.Unlock()
	of := qs.members[member]
	if of == nil {
		return nil
	}
	if of.none == nil {
		of.none = make(chan struct{})
	}
	return of.none
}

func (qs *Queues[M]) add(e Event[M]) {
	if qs.push(e) {
		qs.Go(func() { qs.runAll(e.Group) })
	}
}

// push puts an event behind the others of its group. It reports whether nobody runs them yet.
func (qs *Queues[M]) push(e Event[M]) (first bool) {
	qs.mu.Lock()
	defer qs.mu.Unlock()
	if qs.groups == nil {
		qs.groups, qs.joins, qs.members = map[string]*list.List{}, map[Event[M]]*list.Element{}, map[M]*untold{}
	}
	q := qs.groups[e.Group]
	if first = q == nil; first {
		q = list.New()
		qs.groups[e.Group] = q
	}
	at := q.PushBack(e)
	if e.Joins {
		qs.joins[e] = at
	}
	if qs.members[e.Member] == nil {
		qs.members[e.Member] = &untold{}
	}
	qs.count(e, 1)
	return first
}

// takeBack removes a JOIN, if it waits with many others.
func (qs *Queues[M]) takeBack(join Event[M]) bool {
	qs.mu.Lock()
	defer qs.mu.Unlock()
	at, waits := qs.joins[join]
	if !waits || qs.groups[join.Group].Len() < Many {
		return false
	}
	delete(qs.joins, join)
	qs.groups[join.Group].Remove(at)
	qs.count(join, -1)
	return true
}

// count counts one event of a member more, or less.
func (qs *Queues[M]) count(e Event[M], n int) {
	of := qs.members[e.Member]
	if e.Joins {
		of.joins += n
	} else {
		of.leaves += n
	}
	if of.joins+of.leaves > 0 {
		return
	}
	delete(qs.members, e.Member)
	if of.none != nil {
		close(of.none)
	}
}

// runAll runs the events of a group until there are none.
func (qs *Queues[M]) runAll(group string) {
	over := false
	defer func() {
		if !over { // Run has ended this goroutine
			qs.Go(func() { qs.runAll(group) })
		}
	}()
	for {
		e, ok := qs.next(group)
		if !ok {
			over = true
			return
		}
		qs.run(e)
	}
}

// next takes the event that has waited longest. If there is none, it forgets the group.
func (qs *Queues[M]) next(group string) (e Event[M], ok bool) {
	qs.mu.Lock()
	defer qs.mu.Unlock()
	q := qs.groups[group]
	if q.Len() == 0 {
		delete(qs.groups, group)
		return e, false
	}
	at := q.Front()
	e, ok = q.Remove(at).(Event[M])
	if qs.joins[e] == at {
		delete(qs.joins, e)
	}
	return e, ok
}

func (qs *Queues[M]) run(e Event[M]) {
	defer func() { // in a defer: Run may end this goroutine
		qs.mu.Lock()
		defer qs.mu.Unlock()
		qs.count(e, -1)
	}()
	qs.Run(e)
}
