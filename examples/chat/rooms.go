package main

import (
	"slices"
	"sync"
)

// maxMembers bounds the members of a room, and so the size of their list.
const maxMembers = 100

// member is a connection in a room. Other members see its ID and its nickname, but never
// its connection ID, because everybody who knows that ID can post to the connection.
type member struct {
	ID       int    `json:"id"`
	Nickname string `json:"nickname"`

	connectionID, room string
}

// rooms knows who is in which room. A backend of several processes would keep
// this in a database; the routes would not change. It is safe for concurrent use.
type rooms struct {
	mu      sync.Mutex // guards the fields below; never held across a post
	lastID  int
	version int                 // grows with every change, so that a client can ignore a list that comes late
	members map[string]member   // by connection ID
	byRoom  map[string][]member // in the order of joining
}

func newRooms() *rooms {
	return &rooms{members: make(map[string]member), byRoom: make(map[string][]member)}
}

// join moves a connection from its present room, if it is in one, into room. If room is
// full, it changes nothing and reports false.
func (r *rooms) join(connectionID, room, nickname string) (member, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.byRoom[room]) >= maxMembers && r.members[connectionID].room != room {
		return member{}, false
	}
	r.leaveLocked(connectionID)
	r.lastID++
	r.version++
	m := member{ID: r.lastID, Nickname: nickname, connectionID: connectionID, room: room}
	r.members[connectionID] = m
	r.byRoom[room] = append(r.byRoom[room], m)
	return m, true
}

// leave removes a connection and returns its member, or false if it was in no room.
func (r *rooms) leave(connectionID string) (member, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.leaveLocked(connectionID)
}

func (r *rooms) leaveLocked(connectionID string) (member, bool) {
	m, ok := r.members[connectionID]
	if !ok {
		return m, false
	}
	r.version++
	delete(r.members, connectionID)
	rest := slices.DeleteFunc(r.byRoom[m.room], func(other member) bool { return other.ID == m.ID })
	if r.byRoom[m.room] = rest; len(rest) == 0 {
		delete(r.byRoom, m.room)
	}
	return m, true
}

// member returns the member of a connection, or false if it is in no room.
func (r *rooms) member(connectionID string) (member, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	m, ok := r.members[connectionID]
	return m, ok
}

// list returns the members of room, and the version of the list. The slice is a copy.
func (r *rooms) list(room string) (members []member, version int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.byRoom[room]), r.version
}
