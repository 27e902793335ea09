package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"example.com/gateway/internal/command"
	"example.com/gateway/internal/outbox"
)

// This file does what the headers of an integration's answer ask for: see
// [WithAnswerCommands]. First everything is read and checked, as a part of the call of the
// integration. What cannot be done fails the call, and then nothing is done. What remains
// cannot fail, unless the connection has gone meanwhile.

// commanded is the integration of a route whose answers may have commands. It is around
// everything else of the route.
type commanded struct {
	g    *Gateway
	next Integration
}

// Invoke calls the integration, and reads the commands of its answer. Those of CONNECT and
// MESSAGE are noted, and done with the answer. Nobody gets the answer of another event, so
// its commands are done here.
func (i *commanded) Invoke(ctx context.Context, req *Request) (*Response, error) {
	e := i.g.commandedEventOf(req)
	resp, err := i.next.Invoke(ctx, req)
	if status := statusOf(resp); err != nil || resp == nil || status < http.StatusOK || status >= http.StatusMultipleChoices {
		return resp, err
	}
	asked, err := command.Parse(resp.Header)
	if err == nil && asked != nil {
		err = i.g.checkCommands(&e, asked, i.g.toSend(resp))
	}
	switch {
	case err != nil:
		return nil, fmt.Errorf("nothing that the headers of the answer ask for was done: %w", err)
	case asked == nil:
	case e.record != nil && (e.eventType == EventConnect || e.eventType == EventMessage):
		e.record.commands = asked
	case ctx.Err() == nil: // otherwise the call was given up
		if c := i.g.opened(e.connectionID); c != nil {
			c.change(asked)
			defer c.closeAs(asked) //nolint:contextcheck // it does not wait for $disconnect
		}
		i.g.postAnswer(ctx, &e, asked, i.g.toSend(resp))
		if len(asked.Post) > 0 { // somebody got the body: it is not dropped
			return &Response{StatusCode: resp.StatusCode, Header: resp.Header}, nil
		}
	}
	return resp, nil
}

// commandedEvent is what the commands of an answer need of its event. The integration may
// change its Request.
type commandedEvent struct {
	eventType                         EventType
	routeKey, connectionID, requestID string
	record                            *record // nil: it does not come from a gateway
	closed                            bool    // the connection had closed before the event
	twoWay                            bool    // the body is for the client, unless commands say who gets it
}

func (g *Gateway) commandedEventOf(req *Request) commandedEvent {
	e := commandedEvent{eventType: req.EventType, routeKey: req.RouteKey, connectionID: req.ConnectionID, requestID: req.RequestID, record: req.ownRecord()}
	switch e.eventType {
	case EventDisconnect:
		e.closed = true
	case EventJoin, EventLeave: // those of a connection that has closed run before its DISCONNECT
		e.closed = g.opened(e.connectionID) == nil
	case EventConnect, EventMessage:
	}
	e.twoWay = e.record != nil && req.noted.route != nil && req.noted.route.RouteResponse
	return e
}

// checkCommands returns what is wrong with the commands of an answer to e.
func (g *Gateway) checkCommands(e *commandedEvent, asked *command.Commands, m outgoing) error {
	if e.closed && (len(asked.Join)+len(asked.Leave) > 0 || asked.State != nil || asked.Close != nil) {
		return fmt.Errorf("the connection has closed: an answer of %s can only have %s", e.routeKey, command.Post)
	}
	if err := checkGroups(command.Join, asked.Join); err != nil {
		return err
	}
	if err := checkGroups(command.Leave, asked.Leave); err != nil {
		return err
	}
	if e.eventType == EventConnect && len(asked.Join) > 0 && asked.Close != nil {
		return errJoinAndClose
	}
	if err := g.checkRoom(e.connectionID, asked); err != nil {
		return err
	}
	if err := g.checkState(asked.State); err != nil {
		return fmt.Errorf("%s: %w", command.State, err)
	}
	if asked.Close != nil {
		if err := checkClose(asked.Close.Code, asked.Close.Reason); err != nil {
			return fmt.Errorf("%s: %w", command.Close, err)
		}
	}
	switch {
	case len(asked.Post) > 0:
		if err := g.checkPost(e, asked.Post, m); err != nil {
			return fmt.Errorf("%s: %w", command.Post, err)
		}
	case e.twoWay:
		if err := g.checkSize(m); err != nil {
			return fmt.Errorf("the reply: %w", err)
		}
	}
	return nil
}

func checkGroups(header string, names []string) error {
	for _, name := range names {
		if err := checkGroup(name); err != nil {
			return fmt.Errorf("%s: %w", header, err)
		}
	}
	return nil
}

// checkRoom returns an error if the connection would be in too many groups, or may not join
// any yet.
func (g *Gateway) checkRoom(connectionID string, asked *command.Commands) error {
	most, n := g.quotas.GroupsPerConnection, len(asked.Join)
	if n == 0 {
		return nil
	}
	if c := g.opened(connectionID); c != nil {
		for _, name := range asked.Join {
			if err := c.checkUntold(name); err != nil {
				return fmt.Errorf("%s: %w", command.Join, err)
			}
		}
		for _, name := range c.extras.Load().groupsOf() {
			if !slices.Contains(asked.Join, name) && !slices.Contains(asked.Leave, name) {
				n++
			}
		}
	}
	if most > 0 && n > most {
		return fmt.Errorf("%s: %w: the connection would be in %d groups: let it leave some, or raise Quotas.GroupsPerConnection", command.Join, ErrLimitExceeded, n)
	}
	return nil
}

var (
	errJoinAndClose = fmt.Errorf("%s and %s: a client that %s closes joins no group: leave one of them out", command.Join, command.Close, RouteKeyConnect)
	errNoBodyToPost = errors.New("the answer has no body, which is what is posted")
	errSelfIsGone   = errors.New("self has closed: name a group, a user, another connection or everyone")
)

func (g *Gateway) checkPost(e *commandedEvent, to []command.Target, m outgoing) error {
	if len(m.data) == 0 {
		return errNoBodyToPost
	}
	if e.closed && slices.ContainsFunc(to, func(t command.Target) bool { return t.Kind == command.Self }) {
		return errSelfIsGone
	}
	audience := audienceOf(e.connectionID, to)
	if err := audience.check(); err != nil {
		return err
	}
	return g.checkSize(m)
}

// audienceOf returns who is meant by targets in the answer for a connection.
func audienceOf(self string, to []command.Target) Audience {
	idOf := func(name string) string {
		if name == command.Self {
			return self
		}
		return name
	}
	parts := make([]Audience, len(to))
	for n, t := range to {
		switch t.Kind {
		case command.Self:
			parts[n] = Connections(self)
		case command.Connection:
			parts[n] = Connections(t.Name)
		case command.Group:
			parts[n] = Group(t.Name)
		case command.User:
			parts[n] = User(t.Name)
		case command.Everyone:
			parts[n] = Everyone()
		}
		for _, name := range t.Except {
			parts[n] = parts[n].Except(idOf(name))
		}
	}
	if len(parts) == 1 {
		return parts[0]
	}
	return several(parts)
}

// postAnswer posts the body of an answer to those whom its commands name, if they name
// anybody.
func (g *Gateway) postAnswer(ctx context.Context, e *commandedEvent, asked *command.Commands, m outgoing) {
	done := g.sendAnswer(ctx, e, asked, m, nil)
	g.tellAnswer(ctx, e, &done)
}

// sendAnswer is postAnswer, but the caller calls tellAnswer. self is nil, or the connection
// that the answer is for, while nobody else can find it.
func (g *Gateway) sendAnswer(ctx context.Context, e *commandedEvent, asked *command.Commands, m outgoing, self *connection) posting {
	if len(asked.Post) == 0 {
		return posting{}
	}
	to := places{here: g, of: audienceOf(e.connectionID, asked.Post), self: self}
	return to.post(ctx, m.data, outbox.Share(m.data, m.binary), time.Now())
}

// tellAnswer tells the observers and the log what became of the body of an answer.
func (g *Gateway) tellAnswer(ctx context.Context, e *commandedEvent, done *posting) {
	defer done.receipts.tell(ctx) // in a defer: the log handler may end this goroutine
	if done.err != nil || done.Refused+done.Gone+len(done.Missing) > 0 {
		g.logUndelivered(ctx, e, &done.Delivery)
	}
}

// closeAs closes the connection as an answer asks for, if it does.
func (c *connection) closeAs(asked *command.Commands) {
	if asked.Close != nil {
		c.close(cause{code: asked.Close.Code, reason: asked.Close.Reason})
	}
}
