package gateway

import (
	"context"
	"fmt"
	"slices"

	"example.com/gateway/internal/command"
	"example.com/gateway/internal/groups"
)

// This file finds the connections of this node: by their IDs, groups and users. It changes
// who is in which group.

// opened returns the connection with this ID, or nil if it is not open on this node.
func (g *Gateway) opened(connectionID string) *connection {
	if c, ok := g.connections.Get(connectionID); ok && c.state().accepts() {
		return c
	}
	return nil
}

// join makes the connection a member of a group, whose name has been checked.
func (c *connection) join(ctx context.Context, group string) error {
	if _, in := c.extras.Load().look(group); in && c.state().accepts() {
		return nil
	}
	told, err := c.g.reserve(ctx, []string{group}, nil)
	if err != nil {
		return err
	}
	defer func() { told.release(c.g) }()
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.state().accepts() { // it has just left all groups
		return ErrGone
	}
	x, most := c.extras.Load(), c.g.quotas.GroupsPerConnection
	n, in := x.look(group)
	switch {
	case in:
		return nil
	case most > 0 && n >= most:
		return fmt.Errorf("%w: the connection is in %d groups: let it leave one, or raise Quotas.GroupsPerConnection", ErrLimitExceeded, n)
	}
	c.changeExtrasLocked(func(x *extras) {
		c.joinLocked(x, told, group)
		x.groups = x.memberships.Names()
	})
	return nil
}

// change makes the changes of an answer, which have been checked, in one step. If the
// connection has closed meanwhile, nothing changes. If it has joined other groups
// meanwhile, it may be in more than the quota says. It may wait until $join and $leave can
// be told; if ctx ends, nothing changes.
func (c *connection) change(ctx context.Context, asked *command.Commands) {
	told, err := c.g.reserve(ctx, asked.Join, asked.Leave)
	if err != nil { // the gateway is being cut
		return
	}
	defer func() { told.release(c.g) }()
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.state().accepts() || len(asked.Join)+len(asked.Leave) == 0 && asked.State == nil {
		return
	}
	c.changeExtrasLocked(func(x *extras) {
		for _, group := range asked.Leave {
			c.leaveLocked(x, told, group)
		}
		for _, group := range asked.Join {
			if !slices.Contains(x.groupsOf(), group) {
				c.joinLocked(x, told, group)
			}
		}
		x.groups = x.memberships.Names()
		if asked.State != nil {
			x.state = copyState(asked.State)
		}
	})
}

// leave ends the membership of the connection in a group.
func (c *connection) leave(ctx context.Context, group string) error {
	if _, in := c.extras.Load().look(group); !in && c.state().accepts() {
		return nil
	}
	told, err := c.g.reserve(ctx, nil, []string{group})
	if err != nil {
		return err
	}
	defer func() { told.release(c.g) }()
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.state().accepts() {
		return ErrGone
	}
	if _, in := c.extras.Load().look(group); in {
		c.changeExtrasLocked(func(x *extras) {
			c.leaveLocked(x, told, group)
			x.groups = x.memberships.Names()
		})
	}
	return nil
}

// joinLocked makes the connection, which is not a member yet, one in x.
func (c *connection) joinLocked(x *extras, told seats, group string) {
	c.tellLocked(told, group, true, func() { c.g.groups.Join(&x.memberships, c, group) })
}

// leaveLocked ends a membership in x, if there is one.
func (c *connection) leaveLocked(x *extras, told seats, group string) {
	if slices.Contains(x.groupsOf(), group) {
		c.tellLocked(told, group, false, func() { c.g.groups.Leave(&x.memberships, group) })
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
