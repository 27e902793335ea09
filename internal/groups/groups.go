// Package groups knows which owners are in which group. A group is a name: it exists while
// it has members, and nothing is kept of an empty one.
//
// Who sends to a group reads a snapshot of its members and holds no lock meanwhile. A
// snapshot costs nothing when it is taken: the next leave copies the members, and later
// leaves work on that copy.
package groups

import (
	"hash/maphash"
	"maps"
	"slices"
	"strings"
	"sync"
)

const shards = 64

// Index finds the members of a group by its name. Make it with [New]. All methods are safe
// for concurrent use, but the caller has to guard the List that it passes.
type Index[T any] struct {
	seed   maphash.Seed
	shards [shards]shard[T]
}

type shard[T any] struct {
	mu     sync.Mutex // guards the fields below, and everything in the groups
	groups map[string]*group[T]
	most   int      // groups that the map had at once since it was made: it keeps room for them
	_      [40]byte // keeps neighbouring locks out of one cache line
}

type group[T any] struct {
	name    [1]string
	names   []string // name[:], which List.Names returns
	members []*Member[T]
	shared  bool // a snapshot shows members: its elements must not change any more
}

// Member is the membership of one owner in one group.
type Member[T any] struct {
	Owner T
	group *group[T]
	next  *Member[T] // in the List of the owner
	at    int        // group.members[at] is this one; the lock of the shard guards it
}

// List has the memberships of one owner, in the order of the joins. The zero value is an
// empty list. It is not safe for concurrent use.
type List[T any] struct{ first *Member[T] }

// New returns an index without groups.
func New[T any]() *Index[T] {
	ix := &Index[T]{seed: maphash.MakeSeed()}
	for n := range ix.shards {
		ix.shards[n].groups = map[string]*group[T]{}
	}
	return ix
}

// Empty reports whether the list has no groups.
func (l *List[T]) Empty() bool { return l.first == nil }

// Names returns the names of the groups in the order of the joins, nil if there are none.
// What it returns may be shared, and must not be changed. It is a pointer, because that is
// smaller for an owner that keeps it.
func (l *List[T]) Names() *[]string {
	n := 0
	for m := l.first; m != nil; m = m.next {
		n++
	}
	switch n {
	case 0:
		return nil
	case 1: // most connections are in one group: they share its name
		return &l.first.group.names
	}
	names := make([]string, 0, n)
	for m := l.first; m != nil; m = m.next {
		names = append(names, m.group.name[0])
	}
	return &names
}

// Join makes owner, whose list is l, a member of the group. The owner must not be in it.
func (ix *Index[T]) Join(l *List[T], owner T, name string) {
	m := &Member[T]{Owner: owner}
	s := ix.shard(name)
	s.mu.Lock()
	g := s.groups[name]
	if g == nil {
		g = &group[T]{name: [1]string{strings.Clone(name)}} // name may be a part of a large text
		g.names = g.name[:]
		s.groups[g.name[0]] = g
		s.most = max(s.most, len(s.groups))
	}
	m.group, m.at = g, len(g.members)
	g.members = append(g.members, m) // behind the end of every snapshot
	s.mu.Unlock()
	end := &l.first
	for *end != nil {
		end = &(*end).next
	}
	*end = m
}

// Leave ends the membership of the owner of l in the group. It reports whether there was
// one.
func (ix *Index[T]) Leave(l *List[T], name string) bool {
	for at := &l.first; *at != nil; at = &(*at).next {
		if m := *at; m.group.name[0] == name {
			ix.remove(m)
			*at = m.next
			return true
		}
	}
	return false
}

// LeaveAll ends all memberships of the owner of l.
func (ix *Index[T]) LeaveAll(l *List[T]) {
	for m := l.first; m != nil; m = m.next {
		ix.remove(m)
	}
	l.first = nil
}

// keepRoom is the capacity up to which a group, or the map of a shard, is never made smaller.
const keepRoom = 32

// remove takes m out of its group: the last member gets its place.
func (ix *Index[T]) remove(m *Member[T]) {
	g := m.group
	s := ix.shard(g.name[0])
	s.mu.Lock()
	defer s.mu.Unlock()
	last := len(g.members) - 1
	if last == 0 {
		s.delete(g.name[0])
		return
	}
	if g.shared || cap(g.members) > keepRoom && last < cap(g.members)/4 {
		g.members, g.shared = slices.Clone(g.members), false
	}
	moved := g.members[last]
	g.members[m.at], moved.at = moved, m.at
	g.members[last] = nil
	g.members = g.members[:last]
}

// delete removes a group without members. A map never gives memory back: if most of it is room
// for groups that were there once, another one takes its place.
func (s *shard[T]) delete(name string) {
	delete(s.groups, name)
	if s.most <= keepRoom || len(s.groups) >= s.most/4 {
		return
	}
	smaller := make(map[string]*group[T], len(s.groups))
	maps.Copy(smaller, s.groups)
	s.groups, s.most = smaller, len(smaller)
}

// Snapshot returns the members that the group has now, in no particular order. It never
// changes, and must not be changed.
func (ix *Index[T]) Snapshot(name string) []*Member[T] {
	s := ix.shard(name)
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.groups[name]
	if g == nil {
		return nil
	}
	g.shared = true
	return g.members
}

// Len returns the number of members of the group.
func (ix *Index[T]) Len(name string) int {
	s := ix.shard(name)
	s.mu.Lock()
	defer s.mu.Unlock()
	if g := s.groups[name]; g != nil {
		return len(g.members)
	}
	return 0
}

// Groups returns the number of groups.
func (ix *Index[T]) Groups() int {
	n := 0
	for k := range ix.shards {
		s := &ix.shards[k]
		s.mu.Lock()
		n += len(s.groups)
		s.mu.Unlock()
	}
	return n
}

func (ix *Index[T]) shard(name string) *shard[T] {
	return &ix.shards[maphash.String(ix.seed, name)%shards]
}
