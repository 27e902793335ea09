// Package presence tells who has joined and left groups: the events of one group one after
// the other, in the order in which they were added, and those of different groups at the same
// time.
//
// Nobody waits for a place, and still the events of a group are bounded. While [Many] of them
// wait, a JOIN whose member leaves before it has begun is taken back; then its LEAVE is not added
// either, if another one of this member waits already. So of what is added then, each JOIN that waits is
// that of a present member, and there is one LEAVE for each who has left. While there are
// [MaxLeaves] of those, the caller lets nobody join. Every member that leaves is told by a LEAVE that
// begins later. A group without events takes no memory and no goroutine.
package presence

import (
	"container/list"
	"sync"
)

// Many is how many events of a group may wait before those are taken back that have been undone.
// MaxLeaves is how many LEAVEs may wait before nobody may join.
const (
	Many      = 1000
	MaxLeaves = 10_000
)

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
	groups  map[string]*queue          // those whose events a goroutine runs
	joins   map[Event[M]]*list.Element // of the JOINs that wait, the last one of each member of each group
	leaves  map[Event[M]]int           // how many LEAVEs wait of a member of a group
	members map[M]*untold
}

type queue struct {
	list.List // the events that wait

	leaves int // of them
}

// untold counts the events of a member that have not run to their end.
type untold struct {
	joins, leaves int
	none          chan struct{} // closed when there are none any more; nil: nobody waits for that
}

// Joined adds a JOIN.
func (qs *Queues[M]) Joined(member M, group string) { qs.add(Event[M]{member, group, true}) }

// Left adds a LEAVE. If many events wait, and the JOIN of this member has not begun, it takes that
// back, and adds no LEAVE if one of this member waits.
func (qs *Queues[M]) Left(member M, group string) {
	if !qs.takeBack(member, group, Many) {
		qs.add(Event[M]{member, group, false})
	}
}

// LeftUntold is for a member that leaves while nobody is told: it takes back its JOIN, if that has
// not begun. Otherwise somebody could be told of it later, and never of the leave.
func (qs *Queues[M]) LeftUntold(member M, group string) { qs.takeBack(member, group, 0) }

// MemberLeaves returns how many LEAVEs of a member have not run to their end.
func (qs *Queues[M]) MemberLeaves(member M) int {
	qs.mu.Lock()
	defer qs.mu.Unlock()
	if of := qs.members[member]; of != nil {
		return of.leaves
	}
	return 0
}

// GroupLeaves returns how many LEAVEs of a group wait.
func (qs *Queues[M]) GroupLeaves(group string) int {
	qs.mu.Lock()
	defer qs.mu.Unlock()
	if q := qs.groups[group]; q != nil {
		return q.leaves
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
		qs.groups, qs.members = map[string]*queue{}, map[M]*untold{}
		qs.joins, qs.leaves = map[Event[M]]*list.Element{}, map[Event[M]]int{}
	}
	q := qs.groups[e.Group]
	if first = q == nil; first {
		q = &queue{}
		qs.groups[e.Group] = q
	}
	at := q.PushBack(e)
	if e.Joins {
		qs.joins[e] = at
	} else {
		qs.leaves[e]++
		q.leaves++
	}
	if qs.members[e.Member] == nil {
		qs.members[e.Member] = &untold{}
	}
	qs.count(e, 1)
	return first
}

// takeBack removes the JOIN of a member, if it waits and the group has that many events. It reports
// whether a LEAVE of this member waits as well.
func (qs *Queues[M]) takeBack(member M, group string, many int) bool {
	qs.mu.Lock()
	defer qs.mu.Unlock()
	join := Event[M]{member, group, true}
	at, waits := qs.joins[join]
	if !waits || qs.groups[group].Len() < many {
		return false
	}
	delete(qs.joins, join)
	qs.groups[group].Remove(at)
	qs.count(join, -1)
	return qs.leaves[Event[M]{member, group, false}] > 0
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
	if !e.Joins {
		q.leaves--
		if qs.leaves[e]--; qs.leaves[e] == 0 {
			delete(qs.leaves, e)
		}
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
