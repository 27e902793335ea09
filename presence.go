package gateway

import (
	"errors"
	"fmt"

	"example.com/gateway/internal/presence"
)

// This file tells the routes $join and $leave who has joined and left a group. Nobody pays
// for it unless one of them is there.

// presence returns the route of JOIN or LEAVE, or nil.
func (t *routeTable) presence(joins bool) *route {
	if joins {
		return t.join
	}
	return t.leave
}

// tellsPresence reports whether one of the two routes is there. Then both events are kept, so
// that one rule bounds them: see package presence.
func (t *routeTable) tellsPresence() bool { return t.join != nil || t.leave != nil }

// tellJoinedLocked tells that the connection has joined a group.
func (c *connection) tellJoinedLocked(group string) {
	if c.g.routes.Load().tellsPresence() {
		c.g.presence.Joined(c, group)
	}
}

// tellLeftLocked tells that it has left one.
func (c *connection) tellLeftLocked(group string) {
	if c.g.routes.Load().tellsPresence() {
		c.g.presence.Left(c, group)
	} else {
		c.g.presence.LeftUntold(c, group) // its JOIN may wait since there were routes
	}
}

// checkUntold returns an error if a connection may not join a group yet. Otherwise one client
// that goes through one group after the other, or many that come and go, could make any number of
// events. c is nil if the connection has not opened: then only the events of the group count.
func (g *Gateway) checkUntold(c *connection, group string) error {
	if !g.routes.Load().tellsPresence() {
		return nil
	}
	if n := g.presence.GroupLeaves(group); n >= presence.MaxLeaves {
		return untold(n, "the group")
	}
	if most := g.quotas.GroupsPerConnection; c != nil && most > 0 {
		if n := g.presence.MemberLeaves(c); n > max(most, 100) {
			return untold(n, "the connection")
		}
	}
	return nil
}

func untold(leaves int, of string) error {
	return fmt.Errorf("%w: %d leaves of %s have not been told yet: let it join later, or make the integrations of %s and %s quicker",
		ErrLimitExceeded, leaves, of, RouteKeyJoin, RouteKeyLeave)
}

var errNotTold = errors.New("the gateway was closed before the event's turn came")

// tellPresence calls the integration of $join or $leave for an event. It is the run of a
// [presence.Queues].
func (g *Gateway) tellPresence(e presence.Event[*connection]) {
	t, c := g.routes.Load(), e.Member
	r := t.presence(e.Joins)
	if r == nil { // there is only the other one, or it was removed meanwhile
		return
	}
	req := c.presenceRequest(t, r, e.Group, e.Joins)
	if g.tellings.Err() != nil { // those before it have used up the grace of a cut
		g.logFailure(&c.ctx, "event lost", req, errNotTold)
		return
	}
	ctx := &connectionContext{g.tellings, c.ctx.request}
	event := disconnectEvent(*req)
	if out := g.invokeWithin(ctx, r, req, &event); out.err == nil && len(out.body()) > 0 {
		g.logBodyDropped(ctx, r)
	}
}

// newPresence returns the queues of a gateway.
func (g *Gateway) newPresence() *presence.Queues[*connection] {
	return &presence.Queues[*connection]{Run: g.tellPresence, Go: g.running.Go}
}
