package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"example.com/gateway"
)

// Bounds on what a client may send, in characters.
const (
	maxRoom     = 40
	maxNickname = 24
	maxText     = 1000
)

// chat is the backend. It has one method for each route. All that it remembers between
// two frames is in rooms.
type chat struct {
	connections gateway.ConnectionsAPI
	rooms       *rooms
	log         *slog.Logger
}

// frame is the only kind of message that a client receives. Type says which fields are
// set.
type frame struct {
	Type         string     `json:"type"` // joined, left, members, message, help, error
	Room         string     `json:"room,omitempty"`
	Nickname     string     `json:"nickname,omitempty"`
	Member       int        `json:"member,omitempty"` // the ID of a member
	Text         string     `json:"text,omitempty"`
	SentAt       *time.Time `json:"sentAt,omitempty"`
	Members      []member   `json:"members,omitempty"`
	Version      int        `json:"version,omitempty"`
	Routes       []string   `json:"routes,omitempty"`
	ConnectionID string     `json:"connectionId,omitempty"` // the receiver's own
	Message      string     `json:"message,omitempty"`      // what is wrong, when Type is error
	RequestID    string     `json:"requestId,omitempty"`
}

// refusal is an error whose text is meant for the client.
type refusal string

const errNotJoined refusal = "join a room first"

func (r refusal) Error() string { return string(r) }

func newChat(connections gateway.ConnectionsAPI, log *slog.Logger) *chat {
	return &chat{connections: connections, rooms: newRooms(), log: log}
}

// register puts the routes on gw.
func (c *chat) register(gw *gateway.Gateway) {
	gw.HandleFunc(gateway.RouteKeyConnect, c.connect)
	gw.HandleFunc(gateway.RouteKeyDisconnect, c.disconnect)
	gw.HandleFunc("join", answer(c.join), gateway.WithRouteResponse())
	gw.HandleFunc("sendmessage", answer(c.sendMessage), gateway.WithRouteResponse())
	gw.HandleFunc("leave", answer(c.leave), gateway.WithRouteResponse())
	gw.HandleFunc("fail", c.fail)
	gw.HandleFunc(gateway.RouteKeyDefault, answer(c.help), gateway.WithRouteResponse())
}

// answer makes an integration from a function that returns the answer, or nil for none. A
// refusal becomes a frame of type error.
func answer(fn func(context.Context, *gateway.Request) (*frame, error)) gateway.IntegrationFunc {
	return func(ctx context.Context, req *gateway.Request) (*gateway.Response, error) {
		f, err := fn(ctx, req)
		resp := &gateway.Response{StatusCode: http.StatusOK}
		var no refusal
		if errors.As(err, &no) {
			resp.StatusCode = http.StatusBadRequest
			f, err = &frame{Type: "error", Message: no.Error(), RequestID: req.RequestID}, nil
		}
		if f == nil || err != nil {
			return nil, err
		}
		resp.Body, err = json.Marshal(f)
		return resp, err
	}
}

func (c *chat) connect(ctx context.Context, req *gateway.Request) (*gateway.Response, error) {
	c.log.InfoContext(ctx, "connected", "connection_id", req.ConnectionID)
	return nil, nil
}

func (c *chat) disconnect(ctx context.Context, req *gateway.Request) (*gateway.Response, error) {
	c.log.InfoContext(ctx, "disconnected", "connection_id", req.ConnectionID, "status", req.DisconnectStatusCode)
	if m, ok := c.rooms.leave(req.ConnectionID); ok {
		c.pushMembers(ctx, m.room)
	}
	return nil, nil
}

// join handles {"action": "join", "room": "…", "nickname": "…"}.
func (c *chat) join(ctx context.Context, req *gateway.Request) (*frame, error) {
	var in struct{ Room, Nickname string }
	if err := json.Unmarshal(req.Body, &in); err != nil {
		return nil, refusal("room and nickname must be text")
	}
	room, nickname := oneLine(in.Room), oneLine(in.Nickname)
	if err := cmp.Or(check("room", room, maxRoom), check("nickname", nickname, maxNickname)); err != nil {
		return nil, err
	}
	before, _ := c.rooms.member(req.ConnectionID)
	m, ok := c.rooms.join(req.ConnectionID, room, nickname)
	if !ok {
		return nil, refusal("the room is full")
	}
	if before.room != "" && before.room != room {
		c.pushMembers(ctx, before.room)
	}
	c.pushMembers(ctx, room)
	// QueryEscape, because PathEscape does not escape the "=" of a connection ID.
	c.log.InfoContext(ctx, "joined", "connection_id", req.ConnectionID, "post", fmt.Sprintf(
		"curl -X POST --data 'hello from curl' 'http://%s/%s/@connections/%s'",
		req.DomainName, req.Stage, url.QueryEscape(req.ConnectionID)))
	return &frame{Type: "joined", Room: room, Nickname: nickname, Member: m.ID, ConnectionID: req.ConnectionID}, nil
}

// sendMessage handles {"action": "sendmessage", "text": "…"}. It sends no answer: the
// sender receives the message like every other member.
func (c *chat) sendMessage(ctx context.Context, req *gateway.Request) (*frame, error) {
	var in struct{ Text string }
	if err := json.Unmarshal(req.Body, &in); err != nil {
		return nil, refusal("text must be text")
	}
	text := strings.TrimSpace(in.Text)
	if err := check("text", text, maxText); err != nil {
		return nil, err
	}
	m, ok := c.rooms.member(req.ConnectionID)
	if !ok {
		return nil, errNotJoined
	}
	members, _ := c.rooms.list(m.room)
	f := frame{Type: "message", Room: m.room, Nickname: m.Nickname, Member: m.ID, Text: text, SentAt: &req.RequestTime}
	if c.post(ctx, members, f) {
		c.pushMembers(ctx, m.room)
	}
	return nil, nil
}

// leave handles {"action": "leave"}.
func (c *chat) leave(ctx context.Context, req *gateway.Request) (*frame, error) {
	m, ok := c.rooms.leave(req.ConnectionID)
	if !ok {
		return nil, errNotJoined
	}
	c.pushMembers(ctx, m.room)
	return &frame{Type: "left", Room: m.room}, nil
}

// fail shows what happens when an integration fails: the client receives an error message
// of the gateway, never the text of the error.
func (c *chat) fail(context.Context, *gateway.Request) (*gateway.Response, error) {
	return nil, errors.New("the route fail always fails")
}

// help is the $default route. It answers every frame that no other route takes with the
// list of routes. The page also uses it to learn the connection ID.
func (c *chat) help(_ context.Context, req *gateway.Request) (*frame, error) {
	return &frame{Type: "help", Routes: []string{"join", "sendmessage", "leave", "fail"}, ConnectionID: req.ConnectionID}, nil
}

// pushMembers sends the list of members to all members of room. If some of them have
// gone, it removes these and sends the list again.
func (c *chat) pushMembers(ctx context.Context, room string) {
	for {
		members, version := c.rooms.list(room)
		if !c.post(ctx, members, frame{Type: "members", Room: room, Members: members, Version: version}) {
			return
		}
	}
}

// post sends f to each member, and removes members whose connection has gone. It reports
// whether there were any.
func (c *chat) post(ctx context.Context, members []member, f frame) (removed bool) {
	data, err := json.Marshal(f)
	if err != nil {
		c.log.ErrorContext(ctx, "frame lost", "error", err)
		return false
	}
	for _, m := range members {
		err := c.connections.PostToConnection(ctx, m.connectionID, data)
		switch {
		case errors.Is(err, gateway.ErrGone):
			c.rooms.leave(m.connectionID)
			removed = true
		case err != nil: // for example a client that reads too slowly: it misses this frame
			c.log.WarnContext(ctx, "post refused", "connection_id", m.connectionID, "error", err)
		}
	}
	return removed
}

// check refuses a value that is empty or too long.
func check(name, value string, most int) error {
	switch n := utf8.RuneCountInString(value); {
	case n == 0:
		return refusal(name + " is missing")
	case n > most:
		return refusal(fmt.Sprintf("%s has %d characters, %d are allowed", name, n, most))
	}
	return nil
}

// oneLine trims s and replaces every run of white space by one space.
func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }
