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

// WithAnswerCommands lets the answers of integrations change the connection that they are
// for, and post. So a backend in any language, behind HTTP or in Lambda, needs no call of
// @connections for it. The answer has commands in its headers: those of the HTTP response,
// headers and multiValueHeaders of a Lambda proxy answer, or Response.Header:
//
//	Gateway-Join: room-1, room-2                  the connection joins these groups
//	Gateway-Leave: room-3                         and leaves these
//	Gateway-State: {"seen":3}                     replaces its state; empty removes it
//	Gateway-Post: group room-1; except=self       the body goes there, and not back to the sender
//	Gateway-Close: 4001 logged out                closes the connection, after the body
//
// Gateway-Post names one target, or several, separated by commas: self, everyone, or
// connection, group or user with a name. Each may have exceptions: "; except=" with self or
// a connection ID. Who is in several of them gets the body once. Such a post is one of
// [Gateway.PostTo]: it does not wait for a slow client.
//
// An [HTTPIntegration] tells its endpoint of the event, the connection and the principal in
// headers, so that it knows what it answers.
//
// Names and reasons are percent-encoded. A state that is JSON stands for itself; any other
// state is percent-encoded. Whatever comes from a client has to be encoded before it stands
// in a command. docs/extensions.md says how, in several languages.
//
// Commands count in an answer with a status of 2xx or none, of an integration that has not
// failed. First all of them are checked. If one is unknown, malformed, or above a quota, the
// integration has failed: the client gets 502 or an error frame, the log says what is wrong,
// and nothing is done. Then they are done in the order join, leave and state, then post,
// then close.
//
//   - $connect: they are done with the 101, and what the client itself gets comes right
//     behind it. That is how a backend greets a client. To close with a code that a browser
//     can see, accept the client, and close it with Gateway-Close, without Gateway-Join.
//     Nobody finds such a client, and no message of it is served.
//   - Messages: on every route, with or without a route response. The next message of the
//     connection sees the change, unless Quotas.InFlight lets both run at the same time. If
//     the connection has closed meanwhile, the post still goes to others, and the state is
//     that of $disconnect; an answer with Gateway-Join does nothing then.
//   - $join and $leave: as for messages, but the client does not get the body.
//   - Events of a connection that has closed, such as $disconnect: only Gateway-Post to
//     others can be done.
//
// They are never passed on to a client. Non-proxy integrations have the headers that their
// ResponseParameters map, on $connect and with a route response.
//
// Every integration of the Gateway may then post to everybody and close its client: if you
// do not trust an endpoint with that, let a [Middleware] remove these headers from its
// Response. By default such headers mean nothing, which the log says once for each route.
// The service has no such commands.
func WithAnswerCommands() Option {
	return optionFunc(func(c *config) error {
		c.answerCommands = true
		return nil
	})
}

// commanded calls the integration of a route, with its middleware, and reads the commands of
// its answers. It implements [commanding].
type commanded struct {
	g    *Gateway
	next Integration
}

// answer calls the integration, and reads the commands of its answer. It returns those of
// CONNECT and MESSAGE, which are done with the answer. Nobody gets the answer of another
// event, so its commands are done here.
func (i *commanded) answer(ctx context.Context, req *Request) (*Response, *command.Commands, error) {
	e := i.g.commandedEventOf(req)
	resp, err := i.next.Invoke(ctx, req)
	if status := statusOf(resp); err != nil || resp == nil || status < http.StatusOK || status >= http.StatusMultipleChoices {
		return resp, nil, err
	}
	asked, err := command.Parse(resp.Header)
	if err == nil && asked != nil {
		err = i.g.checkCommands(&e, asked, i.g.toSend(resp))
	}
	switch {
	case err != nil:
		return nil, nil, fmt.Errorf("nothing that the headers of the answer ask for was done: %w", err)
	case asked == nil:
	case e.record != nil && (e.eventType == EventConnect || e.eventType == EventMessage):
		return resp, asked, nil
	case ctx.Err() == nil: // otherwise the call was given up
		if c := i.g.opened(e.connectionID); c != nil {
			c.change(asked)
			defer c.closeAs(asked) //nolint:contextcheck // it does not wait for $disconnect
		}
		i.g.postAnswer(ctx, &e, asked, i.g.toSend(resp))
		if len(asked.Post) > 0 { // somebody got the body: it is not dropped
			return &Response{StatusCode: resp.StatusCode, Header: resp.Header}, nil, nil
		}
	}
	return resp, nil, nil
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
	var groups []string
	c := g.opened(connectionID) // nil: $connect has not returned, or it has closed
	if c != nil {
		groups = c.extras.Load().groupsOf()
	}
	n := 0
	for _, name := range asked.Join {
		if slices.Contains(groups, name) { // no change
			continue
		}
		if err := g.checkUntold(c, name); err != nil {
			return fmt.Errorf("%s: %w", command.Join, err)
		}
		n++
	}
	if n == 0 {
		return nil
	}
	for _, name := range groups {
		if !slices.Contains(asked.Leave, name) {
			n++
		}
	}
	if most := g.quotas.GroupsPerConnection; most > 0 && n > most {
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
	to := g.placesOf(audienceOf(e.connectionID, asked.Post), self)
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
