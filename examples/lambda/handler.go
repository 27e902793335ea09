package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"example.com/gateway/lambda"
)

// chat is the backend. On AWS its members would be in a table, because a function keeps
// nothing in memory.
type chat struct {
	scheme string // of the management API: https on AWS
	log    *slog.Logger

	mu      sync.Mutex // guards the fields below; never held across a post
	lastID  int
	version int
	members map[string]member // by connection ID
}

type member struct {
	ID       int    `json:"id"`
	Nickname string `json:"nickname"`

	connectionID, room string
}

// reply is a frame to a client.
type reply map[string]any

// refusal is an error whose text is meant for the client.
type refusal string

func (r refusal) Error() string { return string(r) }

const errNotJoined refusal = "join a room first"

func newChat(scheme string, log *slog.Logger) *chat {
	return &chat{scheme: scheme, log: log, members: make(map[string]member)}
}

// handle is the Lambda handler of all routes.
func (c *chat) handle(ctx context.Context, event lambda.WebsocketRequest) (lambda.Response, error) {
	var in struct{ Room, Nickname, Text string }
	if event.RequestContext.RouteKey != "$default" && event.Body != "" {
		if err := json.Unmarshal([]byte(event.Body), &in); err != nil {
			return answer(event, nil, refusal("room, nickname and text must be text"))
		}
	}
	id := event.RequestContext.ConnectionID
	switch event.RequestContext.RouteKey {
	case "$connect":
		return lambda.Response{StatusCode: http.StatusOK}, nil
	case "$disconnect":
		c.log.InfoContext(ctx, "disconnected", "connection_id", id, "status", event.RequestContext.DisconnectStatusCode)
		if m, ok := c.remove(id); ok {
			c.pushMembers(ctx, event, m.room)
		}
		return lambda.Response{StatusCode: http.StatusOK}, nil
	case "join":
		f, err := c.join(ctx, event, oneLine(in.Room), oneLine(in.Nickname))
		return answer(event, f, err)
	case "sendmessage":
		return answer(event, nil, c.send(ctx, event, strings.TrimSpace(in.Text)))
	case "leave":
		m, ok := c.remove(id)
		if !ok {
			return answer(event, nil, errNotJoined)
		}
		c.pushMembers(ctx, event, m.room)
		return answer(event, reply{"type": "left", "room": m.room}, nil)
	case "fail":
		return lambda.Response{}, errors.New("the route fail always fails")
	}
	return answer(event, reply{"type": "help", "connectionId": id, "routes": []string{"join", "sendmessage", "leave", "fail"}}, nil)
}

// answer makes the function's answer from a frame or a refusal.
func answer(event lambda.WebsocketRequest, f reply, err error) (lambda.Response, error) {
	var no refusal
	switch {
	case errors.As(err, &no):
		f = reply{"type": "error", "message": no.Error(), "requestId": event.RequestContext.RequestID}
	case err != nil:
		return lambda.Response{}, err
	case f == nil:
		return lambda.Response{StatusCode: http.StatusOK}, nil
	}
	return lambda.Response{StatusCode: http.StatusOK, Body: string(f.encode())}, nil
}

// encode writes the type first, so that a frame is easy to read.
func (f reply) encode() []byte {
	rest := make(reply, len(f))
	for k, v := range f {
		if k != "type" {
			rest[k] = v
		}
	}
	b, _ := json.Marshal(rest) // strings, numbers and lists of them: cannot fail
	return fmt.Appendf(nil, `{"type":%q,%s`, f["type"], b[1:])
}

func (c *chat) join(ctx context.Context, event lambda.WebsocketRequest, room, nickname string) (reply, error) {
	if err := cmp.Or(check("room", room, 40), check("nickname", nickname, 24)); err != nil {
		return nil, err
	}
	before, _ := c.remove(event.RequestContext.ConnectionID)
	m := c.add(event.RequestContext.ConnectionID, room, nickname)
	if before.room != "" && before.room != room {
		c.pushMembers(ctx, event, before.room)
	}
	c.pushMembers(ctx, event, room)
	c.log.InfoContext(ctx, "joined", "connection_id", m.connectionID,
		"post", fmt.Sprintf("curl -X POST --data 'hello from curl' '%s'", c.callback(event, m.connectionID)))
	return reply{"type": "joined", "room": room, "nickname": nickname, "member": m.ID, "connectionId": m.connectionID}, nil
}

func (c *chat) send(ctx context.Context, event lambda.WebsocketRequest, text string) error {
	if err := check("text", text, 1000); err != nil {
		return err
	}
	c.mu.Lock()
	m, ok := c.members[event.RequestContext.ConnectionID]
	c.mu.Unlock()
	if !ok {
		return errNotJoined
	}
	f := reply{
		"type": "message", "room": m.room, "nickname": m.Nickname, "member": m.ID, "text": text,
		"sentAt": time.UnixMilli(event.RequestContext.RequestTimeEpoch).UTC(),
	}
	if members, _ := c.list(m.room); c.post(ctx, event, members, f) {
		c.pushMembers(ctx, event, m.room)
	}
	return nil
}

func (c *chat) add(connectionID, room, nickname string) member {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lastID++
	c.version++
	m := member{ID: c.lastID, Nickname: nickname, connectionID: connectionID, room: room}
	c.members[connectionID] = m
	return m
}

func (c *chat) remove(connectionID string) (member, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	m, ok := c.members[connectionID]
	if ok {
		c.version++
		delete(c.members, connectionID)
	}
	return m, ok
}

// list returns the members of room in the order of joining.
func (c *chat) list(room string) (members []member, version int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, m := range c.members {
		if m.room == room {
			members = append(members, m)
		}
	}
	slices.SortFunc(members, func(a, b member) int { return a.ID - b.ID })
	return members, c.version
}

// pushMembers sends the list of members to all members of room.
func (c *chat) pushMembers(ctx context.Context, event lambda.WebsocketRequest, room string) {
	for {
		members, version := c.list(room)
		if !c.post(ctx, event, members, reply{"type": "members", "room": room, "members": members, "version": version}) {
			return
		}
	}
}

// post sends f to each member, and reports whether any of them has gone.
func (c *chat) post(ctx context.Context, event lambda.WebsocketRequest, members []member, f reply) (removed bool) {
	for _, m := range members {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.callback(event, m.connectionID), bytes.NewReader(f.encode()))
		if err != nil {
			continue
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			c.log.WarnContext(ctx, "post failed", "connection_id", m.connectionID, "error", err)
			continue
		}
		_ = resp.Body.Close()
		if resp.StatusCode == http.StatusGone {
			c.remove(m.connectionID)
			removed = true
		}
	}
	return removed
}

// callback returns the URL for posts to a connection, built as in all samples for AWS.
func (c *chat) callback(event lambda.WebsocketRequest, connectionID string) string {
	return fmt.Sprintf("%s://%s/%s/@connections/%s", c.scheme, event.RequestContext.DomainName, event.RequestContext.Stage, url.QueryEscape(connectionID))
}

func check(name, value string, most int) error {
	switch n := utf8.RuneCountInString(value); {
	case n == 0:
		return refusal(name + " is missing")
	case n > most:
		return refusal(fmt.Sprintf("%s has %d characters, %d are allowed", name, n, most))
	}
	return nil
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }
