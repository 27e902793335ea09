package gateway

import (
	"fmt"
	"slices"

	"example.com/gateway/internal/command"
	"example.com/gateway/internal/groups"
)

// This file changes who is in which group, and keeps the index of users.

// join makes the connection a member of a group, whose name has been checked.
func (c *connection) join(group string) error {
	if _, in := c.extras.Load().look(group); in && c.state().accepts() {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.state().accepts() { // it has just left all groups
		return ErrGone
	}
	n, in := c.extras.Load().look(group)
	if in {
		return nil
	}
	if most := c.g.quotas.GroupsPerConnection; most > 0 && n >= most {
		return fmt.Errorf("%w: the connection is in %d groups: let it leave one, or raise Quotas.GroupsPerConnection", ErrLimitExceeded, n)
	}
	if err := c.g.checkUntold(c, group); err != nil {
		return err
	}
	c.changeLocked([]string{group}, nil, nil)
	return nil
}

// change makes the changes of an answer, which have been checked, in one step. If the
// connection has joined other groups meanwhile, it may be in more than the quota says.
//
// If the connection has closed meanwhile, it is in no group, and $disconnect gets the new
// state. change returns false if an answer that joins a group came too late for that: then
// nothing has changed.
func (c *connection) change(asked *command.Commands) (done bool) {
	if len(asked.Join)+len(asked.Leave) == 0 && asked.State == nil {
		return true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.state().accepts():
		c.changeLocked(asked.Join, asked.Leave, asked.State)
	case len(asked.Join) > 0:
		return false
	case asked.State != nil && c.state() < stateGone:
		c.changeExtrasLocked(func(x *extras) { x.state = copyState(asked.State) })
	}
	return true
}

// leave ends the membership of the connection in a group.
func (c *connection) leave(group string) error {
	if _, in := c.extras.Load().look(group); !in && c.state().accepts() {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.state().accepts() {
		return ErrGone
	}
	c.changeLocked(nil, []string{group}, nil)
	return nil
}

// changeLocked lets the connection leave groups and join others, none of which is named twice,
// and replaces its state, unless that is nil. Then it tells what has changed: so who is told
// finds it changed.
func (c *connection) changeLocked(joins, leaves []string, state []byte) {
	had := c.extras.Load().groupsOf()
	c.changeExtrasLocked(func(x *extras) {
		for _, group := range leaves {
			c.g.groups.Leave(&x.memberships, group)
		}
		for _, group := range joins {
			if !slices.Contains(had, group) {
				c.g.groups.Join(&x.memberships, c, group)
			}
		}
		x.groups = x.memberships.Names()
		if state != nil {
			x.state = copyState(state)
		}
	})
	for _, group := range leaves {
		if slices.Contains(had, group) {
			c.tellLeftLocked(group)
		}
	}
	for _, group := range joins {
		if !slices.Contains(had, group) {
			c.tellJoinedLocked(group)
		}
	}
}

// userIndex finds connections by their principal. It is made by the first call on a
// [User]: a program that never makes one pays nothing for it.
func (g *Gateway) userIndex() *groups.Index[*connection] {
	g.usersMade.Do(func() {
		g.users.Store(groups.New[*connection]())
		for c := range g.connections.All() { // later ones see that there is an index
			c.enroll()
		}
	})
	return g.users.Load()
}

// enroll puts the connection into the index of users, if there is one, and if the
// connection has a principal. It may be called twice.
func (c *connection) enroll() {
	users := c.g.users.Load()
	if users == nil || c.principal() == "" {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if x := c.extras.Load(); c.state().accepts() && (x == nil || x.user.Empty()) {
		c.changeExtrasLocked(func(x *extras) { users.Join(&x.user, c, c.principal()) })
	}
}
