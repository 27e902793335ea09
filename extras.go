package gateway

import (
	"bytes"
	"slices"

	"example.com/gateway/internal/groups"
)

// This file has what a connection has beyond API Gateway's: its state and its groups. All
// of it hangs on one pointer, which is nil as long as nothing of it is used.

// StateOption changes what [Gateway.SetState] does.
type StateOption func(*StateSettings)

// StateSettings is what the options of a SetState say, as [PostSettings] for a PostTo.
type StateSettings struct {
	IfState bool   // whether the present state has to be Old: see IfState
	Old     []byte // empty: no state
}

// IfState makes the change only if the present state is exactly old; otherwise SetState
// changes nothing and returns [ErrConflict]. An old that is empty or nil means that there
// must be no state. It is for a backend that computes the new state from the old one, such
// as that in [Request].State, while others may do the same: on ErrConflict, read the state
// again with [Gateway.GetConnection] and try again.
func IfState(old []byte) StateOption {
	return func(s *StateSettings) { s.IfState, s.Old = true, old }
}

// stateChange is what a call of SetState asks for.
type stateChange struct {
	state []byte // the new state; empty: none
	StateSettings
}

// extras are the state, the groups and the user of a connection. They never change once
// they are at the connection: a change puts others in their place. So every event reads one
// consistent value, without a lock. There is one exception: memberships and user, which no
// event reads.
type extras struct {
	state  []byte    // nil: none
	groups *[]string // names in the order of the joins, also after the end has begun; nil: none

	// connection.mu guards the fields below. They are empty once the connection accepts
	// nothing any more.
	memberships groups.List[*connection]
	user        groups.List[*connection] // at most one: see Gateway.userIndex
}

// groupsOf returns the names of the groups, which must not be changed. x may be nil.
func (x *extras) groupsOf() []string {
	if x == nil || x.groups == nil {
		return nil
	}
	return *x.groups
}

// look returns how many groups there are, and whether name is one of them. x may be nil.
func (x *extras) look(name string) (n int, in bool) {
	names := x.groupsOf()
	return len(names), slices.Contains(names, name)
}

// leaveAllLocked takes a connection that accepts nothing any more out of all indexes. Its
// $disconnect is still told the names of its groups.
func (c *connection) leaveAllLocked() {
	x := c.extras.Load()
	if x == nil {
		return
	}
	c.g.groups.LeaveAll(&x.memberships)
	for _, group := range x.groupsOf() {
		c.tellLeftLocked(group)
	}
	if users := c.g.users.Load(); users != nil {
		users.LeaveAll(&x.user)
	}
}

// stateOf returns the state. x may be nil.
func (x *extras) stateOf() []byte {
	if x == nil {
		return nil
	}
	return x.state
}

// empty reports whether the connection needs no extras.
func (x *extras) empty() bool { return x.state == nil && x.groups == nil && x.user.Empty() }

// changeExtrasLocked replaces the extras of the connection by a copy that change has
// changed.
func (c *connection) changeExtrasLocked(change func(x *extras)) {
	next := new(extras)
	if x := c.extras.Load(); x != nil {
		*next = *x
	}
	if change(next); next.empty() {
		next = nil
	}
	c.extras.Store(next)
}

// setStateLocked makes a change of the state.
func (c *connection) setStateLocked(change *stateChange) error {
	now := c.extras.Load().stateOf()
	switch {
	case change.IfState && !bytes.Equal(now, change.Old):
		return ErrConflict
	case !bytes.Equal(now, change.state):
		c.changeExtrasLocked(func(x *extras) { x.state = copyState(change.state) })
	}
	return nil
}

// copyState returns a copy that is no larger than it has to be, and nil for an empty state.
func copyState(state []byte) []byte {
	if len(state) == 0 {
		return nil
	}
	copied := make([]byte, len(state))
	copy(copied, state)
	return copied
}
