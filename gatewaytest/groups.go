package gatewaytest

import (
	"context"
	"testing"

	"example.com/gateway"
)

// Group is a group of the Gateway of a test: see [gateway.Gateway.Join].
type Group struct {
	tb   testing.TB
	gw   *gateway.Gateway
	name string
}

// Group returns a group, which need not have members.
func (s *Server) Group(name string) *Group { return &Group{s.tb, s.Gateway, name} }

// Members returns the connection IDs of the members, in the order of [gateway.Gateway.List].
// It is what the group has now: if a client does not wait for an answer after which it is a
// member, let the test wait, for example with [testing/synctest.Wait]. It must be called on
// the goroutine of the test, and fails the test if no group can have this name.
func (g *Group) Members() (connectionIDs []string) {
	g.tb.Helper()
	page := gateway.Page{Limit: 1000}
	for more := true; more; more = page.After != "" {
		list, next, err := g.gw.List(context.Background(), gateway.Group(g.name), page)
		if err != nil {
			g.tb.Fatalf("gatewaytest: Group(%q).Members: %v", g.name, err)
		}
		for i := range list {
			connectionIDs = append(connectionIDs, list[i].ID)
		}
		page = next
	}
	return connectionIDs
}

// State returns what a connection remembers now, or "": see [gateway.Gateway.SetState]. The
// State of an [Event] is what the event had. It must be called on the goroutine of the test,
// and fails the test if the connection is not open.
func (s *Server) State(connectionID string) string {
	s.tb.Helper()
	c, err := s.GetConnection(context.Background(), connectionID)
	if err != nil {
		s.tb.Fatalf("gatewaytest: State of connection %q: %v", connectionID, err)
	}
	return string(c.State)
}
