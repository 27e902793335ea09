package gateway

import (
	"context"
	"errors"
	"sync"

	"example.com/gateway/internal/presence"
)

// This file tells the routes $join and $leave who has joined and left a group. Nobody pays
// for it unless one of them is there.

// presenceEvent is a JOIN or a LEAVE that has to be told.
type presenceEvent struct {
	c     *connection
	group string
	joins bool
}

// presence returns the route of JOIN or LEAVE, or nil.
func (t *routeTable) presence(joins bool) *route {
	if joins {
		return t.join
	}
	return t.leave
}

// tellsPresence reports whether one of the two routes is there.
func (t *routeTable) tellsPresence() bool { return t.join != nil || t.leave != nil }

// seats are the places that a change has reserved in the queues of groups. nil has none.
type seats map[seat]struct{}

type seat struct {
	group string
	joins bool
}

// reserve reserves places for changes that will be told. It waits for them, but for no
// longer than ctx: then it returns the error of ctx and no place. It does not wait in the
// integration of $join or $leave itself, which could be waiting for its own end.
func (g *Gateway) reserve(ctx context.Context, joins, leaves []string) (seats, error) {
	t := g.routes.Load()
	if !t.tellsPresence() {
		return nil, nil
	}
	own := ctx.Value(presenceKey{}) != nil
	s := seats{}
	for _, of := range [...]struct {
		groups []string
		joins  bool
	}{{leaves, false}, {joins, true}} {
		for _, group := range of.groups {
			at := seat{group, of.joins}
			if _, twice := s[at]; twice || t.presence(of.joins) == nil {
				continue
			}
			if own {
				g.presence.Force(group)
			} else if err := g.presence.Reserve(ctx, group); err != nil {
				s.release(g)
				return nil, err
			}
			s[at] = struct{}{}
		}
	}
	return s, nil
}

// release gives the places back that were not used.
func (s seats) release(g *Gateway) {
	for at := range s {
		g.presence.Release(at.group)
	}
}

// tellLocked makes a change of who is in a group, and tells it if there is a seat for that.
func (c *connection) tellLocked(s seats, group string, joins bool, change func()) {
	at := seat{group, joins}
	if _, tell := s[at]; !tell {
		change()
		return
	}
	delete(s, at)
	c.g.untold.add(c)
	c.g.presence.Add(group, presenceEvent{c, group, joins}, change)
}

// tellLeavesLocked ends all memberships of a connection that accepts nothing any more. It does
// not wait: there are at most as many such events as there are members.
func (c *connection) tellLeavesLocked(x *extras) {
	if x.groups == nil {
		return
	}
	for _, group := range *x.groups {
		c.g.presence.Force(group)
		c.tellLocked(seats{{group, false}: {}}, group, false, func() { c.g.groups.Leave(&x.memberships, group) })
	}
}

// untold counts the events of each connection that have not been told. A connection without
// such events has no entry.
type untold struct {
	mu sync.Mutex // guards the field below, and its elements
	of map[*connection]*untoldOf
}

type untoldOf struct {
	events int
	none   chan struct{} // closed when there are none any more
}

func (u *untold) add(c *connection) {
	u.mu.Lock()
	defer u.mu.Unlock()
	of := u.of[c]
	if of == nil {
		if u.of == nil {
			u.of = map[*connection]*untoldOf{}
		}
		of = &untoldOf{none: make(chan struct{})}
		u.of[c] = of
	}
	of.events++
}

func (u *untold) done(c *connection) {
	u.mu.Lock()
	defer u.mu.Unlock()
	of := u.of[c]
	if of.events--; of.events == 0 {
		close(of.none)
		delete(u.of, c)
	}
}

// wait waits until everything about the groups of a connection that accepts nothing any more
// has been told.
func (u *untold) wait(c *connection) {
	u.mu.Lock()
	of := u.of[c]
	u.mu.Unlock()
	if of != nil {
		<-of.none
	}
}

// presenceKey marks the context of the integrations of $join and $leave.
type presenceKey struct{}

var errNotTold = errors.New("the gateway was closed before the event's turn came")

// tellPresence calls the integration of $join or $leave for an event. It is the run of a
// [presence.Queues].
func (g *Gateway) tellPresence(e presenceEvent) {
	defer g.untold.done(e.c)
	t := g.routes.Load()
	r := t.presence(e.joins)
	if r == nil { // it was removed meanwhile
		return
	}
	req := e.c.presenceRequest(t, r, e.group, e.joins)
	if g.disconnects.Err() != nil { // those before it have used up the grace of a cut
		g.logFailure(&e.c.ctx, "event lost", req, errNotTold)
		return
	}
	ctx := context.WithValue(&connectionContext{g.disconnects, e.c.ctx.request}, presenceKey{}, true)
	event := disconnectEvent(*req)
	if out := g.invokeWithin(ctx, r, req, &event); out.err == nil && len(out.body()) > 0 {
		g.logBodyDropped(ctx, r)
	}
}

// newPresence returns the queues of a gateway.
func (g *Gateway) newPresence() *presence.Queues[presenceEvent] {
	return &presence.Queues[presenceEvent]{Run: g.tellPresence, Go: g.running.Go}
}
