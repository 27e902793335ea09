package gateway

import (
	"context"
	"slices"
	"time"

	"example.com/gateway/internal/connid"
	"example.com/gateway/internal/groups"
	"example.com/gateway/internal/outbox"
)

// This file is the one place that decides where connections are. Every call that names a
// connection asks locate, and every call on an audience asks locateAll. Commands in answers
// ask placesOf; the connection that an answer is for is always here. All of them find only
// connections of this node.

// locate finds a connection, for every call that names one by its ID. Nothing else decides
// where a connection is: on this node, or nowhere. It returns [ErrGone] if the connection
// is not open, or the error of a ctx that has ended. The connection may close at any time
// after that.
func (g *Gateway) locate(ctx context.Context, connectionID string) (place, error) {
	if err := ctx.Err(); err != nil {
		return place{}, err
	}
	if c := g.opened(connectionID); c != nil {
		return place{c}, nil
	}
	return place{}, ErrGone
}

// opened returns the connection with this ID, or nil if it is not open on this node.
func (g *Gateway) opened(connectionID string) *connection {
	if c, ok := g.connections.Get(connectionID); ok && c.state().accepts() {
		return c
	}
	return nil
}

// place is where a connection is, and does there what a call asks for. Today that is this
// node; another node would be a second field, and its calls would use ctx. A place is not
// an interface: if the gateway called post through one, the compiler would move each
// caller's data to the heap.
type place struct{ here *connection }

func (p place) post(_ context.Context, data []byte, shared *outbox.Shared, now time.Time) error {
	return p.here.post(data, shared, now)
}

func (p place) describe(context.Context) (Connection, error) { return p.here.snapshot(), nil }

func (p place) setState(_ context.Context, change *stateChange) error { return p.here.setState(change) }

// close does not wait for $disconnect, so ctx does not bound that.
func (p place) close(_ context.Context, cs cause) error {
	if !p.here.close(cs) { //nolint:contextcheck // see above
		return ErrGone
	}
	return nil
}

func (p place) join(_ context.Context, group string) error { return p.here.join(group) }

func (p place) leave(_ context.Context, group string) error { return p.here.leave(group) }

// locateAll finds the places of an audience, as locate finds that of one connection.
// Nothing else decides where the connections of an audience are: on this node, or nowhere.
// It returns what is wrong with the audience, or the error of a ctx that has ended.
func (g *Gateway) locateAll(ctx context.Context, of Audience) (places, error) {
	if err := of.check(); err != nil {
		return places{}, err
	}
	return g.placesOf(of, nil), ctx.Err()
}

// placesOf is locateAll for an audience that has been checked. self is nil, or a connection
// that only its own ID finds yet.
func (g *Gateway) placesOf(of Audience, self *connection) places { return places{g, of, self} }

// places is where the connections of an audience are, and does there what a call asks for.
// Today that is this node. Other nodes would be a second field: each would be asked at the
// same time, and their Deliveries added up, with the names of those that do not answer in
// Missing.
type places struct {
	here *Gateway
	of   Audience
	self *connection // only its ID finds it, because it is not among all yet; nil: none
}

// opened is [Gateway.opened], and finds self.
func (p places) opened(id string) *connection {
	if p.self != nil && p.self.id == id {
		return p.self
	}
	return p.here.opened(id)
}

// posting is what became of a message to an audience.
type posting struct {
	Delivery

	err      error // of a ctx that has ended
	receipts receipts
}

// post posts to each of them. shared is not nil. The caller has to call tell of the receipts.
func (p places) post(ctx context.Context, data []byte, shared *outbox.Shared, now time.Time) (done posting) {
	done.receipts = p.here.newReceipts(outgoing{data, shared.Binary()})
	p.each(func(id string, c *connection) {
		one := ErrGone
		if c != nil {
			if one = ctx.Err(); one == nil {
				one = c.post(data, shared, now)
			} else {
				done.err = one
			}
		}
		done.receipts.add(id, one)
		done.add(id, one)
	})
	return done
}

// close does not wait for $disconnect, so ctx does not bound that.
func (p places) close(ctx context.Context, cs cause) (d Delivery, err error) {
	p.each(func(id string, c *connection) {
		one := ErrGone
		if c != nil {
			if one = ctx.Err(); one != nil {
				err = one
			} else if !c.close(cs) { //nolint:contextcheck // see above
				one = ErrGone
			}
		}
		d.add(id, one)
	})
	return d, err
}

func (p places) count() (n int) {
	n, ok := p.size()
	if !ok {
		p.each(func(_ string, c *connection) {
			if c != nil {
				n++
			}
		})
		return n
	}
	for id := range idsOf(p.of.except) {
		if c := p.here.opened(id); c != nil && p.of.has(c) {
			n--
		}
	}
	return max(0, n) // somebody may have left meanwhile
}

// size returns the size of the audience without its exceptions, if it is known.
func (p places) size() (n int, ok bool) {
	switch p.of.kind {
	case ofGroup:
		return p.here.groups.Len(p.of.name), true
	case ofUser:
		return p.here.userIndex().Len(p.of.name), true
	case ofEveryone:
		return int(p.here.open.Load()), true
	case ofNobody, ofConnections, ofSeveral:
	}
	return 0, false
}

// each calls visit for each connection of the audience, once. c is nil if no open
// connection has this ID, which the audience names. It holds no lock meanwhile.
func (p places) each(visit func(id string, c *connection)) {
	g, except := p.here, idsOf(p.of.except)
	switch p.of.kind {
	case ofNobody:
	case ofConnections:
		seen := except
		if seen == nil && len(p.of.ids) > 1 {
			seen = make(idSet, len(p.of.ids))
		}
		for _, id := range p.of.ids {
			if !seen.has(id) {
				seen.add(id)
				visit(id, p.opened(id))
			}
		}
	case ofGroup:
		eachMember(g.groups.Snapshot(p.of.name), except, visit)
	case ofUser:
		eachMember(g.userIndex().Snapshot(p.of.name), except, visit)
	case ofEveryone:
		for c := range g.connections.All() {
			if c.state().accepts() && !except.has(c.id) {
				visit(c.id, c)
			}
		}
	case ofSeveral:
		seen := idSet{}
		for _, part := range p.of.parts {
			g.placesOf(part, p.self).each(func(id string, c *connection) {
				if !seen.has(id) {
					seen.add(id)
					visit(id, c)
				}
			})
		}
	}
}

func eachMember(members []*groups.Member[*connection], except idSet, visit func(id string, c *connection)) {
	for _, m := range members {
		if c := m.Owner; !except.has(c.id) {
			visit(c.id, c)
		}
	}
}

// idSet is a set of connection IDs. nil is an empty set, to which nothing can be added.
type idSet map[string]struct{}

func idsOf(ids []string) idSet {
	if len(ids) == 0 {
		return nil
	}
	set := make(idSet, len(ids))
	for _, id := range ids {
		set.add(id)
	}
	return set
}

func (s idSet) has(id string) bool {
	if s == nil {
		return false
	}
	_, ok := s[id]
	return ok
}

func (s idSet) add(id string) {
	if s != nil {
		s[id] = struct{}{}
	}
}

// list describes up to limit connections behind the ID after, and reports whether there
// are more.
func (p places) list(after string, limit int) (list []Connection, more bool) {
	s := selected{after: after, limit: limit + 1}
	if p.isLarge(limit) {
		p.selectInOrder(&s)
	} else {
		p.each(func(_ string, c *connection) {
			if c != nil {
				s.add(c)
			}
		})
		s.end()
	}
	if more = len(s.found) > limit; more {
		s.found = s.found[:limit]
	}
	for _, c := range s.found {
		list = append(list, c.snapshot())
	}
	return list, more
}

// isLarge reports whether a page is found sooner among all connections, which are nearly
// in order, than among those of the audience, which are not.
func (p places) isLarge(limit int) bool {
	n, _ := p.size()
	return p.of.kind == ofEveryone || n > limit && n/limit > p.here.connections.Len()/n
}

// selectInOrder looks for the connections of the audience among all, part by part.
func (p places) selectInOrder(s *selected) {
	except := idsOf(p.of.except)
	for part := range p.here.connections.From(s.after) { // each part comes behind the one before
		s.begin()
		for _, c := range part {
			if c.state().accepts() && !except.has(c.id) && p.of.has(c) {
				s.add(c)
			}
		}
		if s.end() {
			return
		}
	}
}

// has reports whether an open connection belongs to an audience that does not name its
// connections. It does not look at the exceptions.
func (a *Audience) has(c *connection) bool {
	switch a.kind {
	case ofGroup:
		_, in := c.extras.Load().look(a.name)
		return in
	case ofUser:
		return c.principal() == a.name
	case ofEveryone:
		return true
	case ofNobody, ofConnections, ofSeveral:
	}
	return false
}

// selected finds the first limit connections behind an ID, in the order of their IDs. It
// never holds many more than that.
type selected struct {
	after string
	limit int
	found []*connection // found[:done] is in order, and before everything that add gets from now on
	done  int
	last  string // "", or found is full: only what comes before this ID still counts
}

// begin says that all that follows comes behind what was found so far.
func (s *selected) begin() { s.done, s.last = len(s.found), "" }

func (s *selected) add(c *connection) {
	if s.after != "" && connid.Compare(c.id, s.after) <= 0 || s.last != "" && connid.Compare(c.id, s.last) >= 0 {
		return
	}
	if s.found = append(s.found, c); len(s.found)-s.done >= 2*s.limit {
		s.end()
	}
}

// end brings what was found into order, and reports whether it is enough.
func (s *selected) end() bool {
	slices.SortFunc(s.found[s.done:], func(a, b *connection) int { return connid.Compare(a.id, b.id) })
	if len(s.found) < s.limit {
		return false
	}
	clear(s.found[s.limit:])
	s.found = s.found[:s.limit]
	s.last = s.found[s.limit-1].id
	return true
}
