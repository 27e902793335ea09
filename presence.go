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
	}
}

// checkUntold returns an error if the connection may not join a group yet. Otherwise one client
// that goes through one group after the other, or many that come and go, could make any number of
// events.
func (c *connection) checkUntold(group string) error {
	if !c.g.routes.Load().tellsPresence() {
		return nil
	}
	n := c.g.presence.GroupLeaves(group)
	if n >= presence.MaxLeaves {
		return fmt.Errorf("%w: %s has not run yet for %d connections that have left the group: let it join later, or make the integration of %[2]s quicker",
			ErrLimitExceeded, RouteKeyLeave, n)
	}
	most := c.g.quotas.GroupsPerConnection
	if n = c.g.presence.MemberLeaves(c); most > 0 && n > max(most, 100) {
		return fmt.Errorf("%w: %s has not run yet for %d groups that the connection has left: let it join later, or make the integration of %[2]s quicker",
			ErrLimitExceeded, RouteKeyLeave, n)
	}
	return nil
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
	if g.disconnects.Err() != nil { // those before it have used up the grace of a cut
		g.logFailure(&c.ctx, "event lost", req, errNotTold)
		return
	}
	ctx := &connectionContext{g.disconnects, c.ctx.request}
	event := disconnectEvent(*req)
	if out := g.invokeWithin(ctx, r, req, &event); out.err == nil && len(out.body()) > 0 {
		g.logBodyDropped(ctx, r)
	}
}

// newPresence returns the queues of a gateway.
func (g *Gateway) newPresence() *presence.Queues[*connection] {
	return &presence.Queues[*connection]{Run: g.tellPresence, Go: g.running.Go}
}
