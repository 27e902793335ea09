package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"example.com/gateway"
)

// Bounds on what a client may send, in characters, and on the members of a room.
const (
	maxRoom     = 30 // at most 120 bytes: the name of a group has 128
	maxNickname = 24
	maxText     = 1000
	maxMembers  = 100
)

// chat is the backend. It remembers nothing. A room is a group of the gateway, and the state
// of a connection is the nickname.
type chat struct {
	connections gateway.ConnectionsAPI
	log         *slog.Logger
}

// frame is the only kind of message that a client receives, but for the error messages of
// the gateway. Type says which fields are set.
type frame struct {
	Type         string     `json:"type"` // joined, here, came, went, message, left, help
	Room         string     `json:"room,omitempty"`
	Nickname     string     `json:"nickname,omitempty"`
	Member       string     `json:"member,omitempty"` // the ID of a member
	Text         string     `json:"text,omitempty"`
	SentAt       *time.Time `json:"sentAt,omitempty"`
	Members      []member   `json:"members,omitempty"`
	Routes       []string   `json:"routes,omitempty"`
	ConnectionID string     `json:"connectionId,omitempty"` // the receiver's own
}

type member struct {
	ID       string `json:"id"`
	Nickname string `json:"nickname"`
}

// register puts the routes on gw.
func (c *chat) register(gw *gateway.Gateway) {
	gw.Handle("join", gateway.JSON(c.join), gateway.WithRouteResponse())
	gw.Handle("sendmessage", gateway.JSONOneWay(c.sendMessage))
	gw.Handle("leave", gateway.JSON(c.leave), gateway.WithRouteResponse())
	gw.HandleFunc("fail", c.fail)
	gw.HandleFunc(gateway.RouteKeyDefault, c.help, gateway.WithRouteResponse())
	gw.HandleFunc(gateway.RouteKeyJoin, c.came)
	gw.HandleFunc(gateway.RouteKeyLeave, c.went)
	gw.HandleFunc(gateway.RouteKeyDisconnect, c.disconnected)
}

// joinMessage is {"action": "join", "room": "…", "nickname": "…"}.
type joinMessage struct {
	Room     string `json:"room"`
	Nickname string `json:"nickname"`
}

// Validate says what is wrong with the message. The gateway calls it before join.
func (m *joinMessage) Validate() error {
	m.Room, m.Nickname = oneLine(m.Room), oneLine(m.Nickname)
	return errors.Join(check("/room", m.Room, maxRoom), check("/nickname", m.Nickname, maxNickname))
}

// join makes the sender a member of a room, and of no other one. Of several who join at the
// same moment, each may get the last place.
func (c *chat) join(ctx context.Context, req *gateway.Request, in joinMessage) (frame, error) {
	n, err := c.connections.Count(ctx, gateway.Group(in.Room))
	if err == nil && n >= maxMembers && !slices.Contains(req.Groups, in.Room) {
		err = refusal("the room is full")
	}
	if err != nil {
		return frame{}, err
	}
	for _, room := range req.Groups {
		err = errors.Join(err, c.connections.Leave(ctx, req.ConnectionID, room))
	}
	err = errors.Join(err, c.connections.SetState(ctx, req.ConnectionID, []byte(in.Nickname)), c.connections.Join(ctx, req.ConnectionID, in.Room))
	if err != nil {
		return frame{}, err
	}
	// QueryEscape, because PathEscape does not escape the "=" of a connection ID.
	c.log.InfoContext(ctx, "joined", "connection_id", req.ConnectionID, "post", fmt.Sprintf(
		"curl -X POST --data 'hello from curl' 'http://%s/%s/@connections/%s'",
		req.DomainName, req.Stage, url.QueryEscape(req.ConnectionID)))
	return frame{Type: "joined", Room: in.Room, Nickname: in.Nickname, Member: memberID(req.ConnectionID), ConnectionID: req.ConnectionID}, nil
}

// came runs after a connection has become a member of a room. The new member gets the list,
// and the others get the change. The changes of a room come here and to went one after the
// other, so that each client can keep the list by them.
func (c *chat) came(ctx context.Context, req *gateway.Request) (*gateway.Response, error) {
	list, _, err := c.connections.List(ctx, gateway.Group(req.Group), gateway.Page{Limit: 2 * maxMembers})
	members := make([]member, len(list))
	for n, other := range list {
		members[n] = member{memberID(other.ID), string(other.State)}
	}
	return nil, errors.Join(err,
		c.post(ctx, gateway.Connections(req.ConnectionID), frame{Type: "here", Room: req.Group, Members: members}),
		c.post(ctx, gateway.Group(req.Group).Except(req.ConnectionID),
			frame{Type: "came", Room: req.Group, Nickname: string(req.State), Member: memberID(req.ConnectionID)}))
}

// went runs after a connection has left a room, or has closed.
func (c *chat) went(ctx context.Context, req *gateway.Request) (*gateway.Response, error) {
	return nil, c.post(ctx, gateway.Group(req.Group).Except(req.ConnectionID),
		frame{Type: "went", Room: req.Group, Member: memberID(req.ConnectionID)})
}

// textMessage is {"action": "sendmessage", "text": "…"}.
type textMessage struct {
	Text string `json:"text"`
}

// Validate says what is wrong with the message.
func (m *textMessage) Validate() error {
	m.Text = strings.TrimSpace(m.Text)
	return check("/text", m.Text, maxText)
}

// sendMessage sends no answer: the sender receives the message like every other member.
func (c *chat) sendMessage(ctx context.Context, req *gateway.Request, in textMessage) error {
	if len(req.Groups) == 0 {
		return errNotJoined
	}
	return c.post(ctx, gateway.Group(req.Groups[0]), frame{
		Type: "message", Room: req.Groups[0], Nickname: string(req.State), Member: memberID(req.ConnectionID),
		Text: in.Text, SentAt: &req.RequestTime,
	})
}

// leave handles {"action": "leave"}.
func (c *chat) leave(ctx context.Context, req *gateway.Request, _ struct{}) (frame, error) {
	if len(req.Groups) == 0 {
		return frame{}, errNotJoined
	}
	return frame{Type: "left", Room: req.Groups[0]}, c.connections.Leave(ctx, req.ConnectionID, req.Groups[0])
}

// fail shows what happens when an integration fails: the client receives an error message
// of the gateway, never the text of the error.
func (c *chat) fail(context.Context, *gateway.Request) (*gateway.Response, error) {
	return nil, errors.New("the route fail always fails")
}

// help is the $default route. It answers every frame that no other route takes with the
// list of routes. The page also uses it to learn the connection ID.
func (c *chat) help(_ context.Context, req *gateway.Request) (*gateway.Response, error) {
	body, err := json.Marshal(frame{Type: "help", Routes: []string{"join", "sendmessage", "leave", "fail"}, ConnectionID: req.ConnectionID})
	return &gateway.Response{Body: body}, err
}

func (c *chat) disconnected(ctx context.Context, req *gateway.Request) (*gateway.Response, error) {
	c.log.InfoContext(ctx, "disconnected", "connection_id", req.ConnectionID, "status", req.DisconnectStatusCode)
	return nil, nil
}

// post sends f to everybody in to. A client that reads too slowly misses it.
func (c *chat) post(ctx context.Context, to gateway.Audience, f frame) error {
	data, err := json.Marshal(f)
	if err != nil {
		return err
	}
	_, err = c.connections.PostTo(ctx, to, data)
	return err
}

// memberID is what other members see of a connection. They never see its connection ID,
// because everybody who knows that ID can post to the connection.
func memberID(connectionID string) string {
	sum := sha256.Sum256([]byte(connectionID))
	return hex.EncodeToString(sum[:8])
}

// refusal is an error whose text is meant for the client.
type refusal string

const errNotJoined refusal = "join a room first"

func (r refusal) Error() string                       { return string(r) }
func (r refusal) PublicError() (code, message string) { return "Refused", string(r) }

// check refuses a value that is empty or too long.
func check(field, value string, most int) error {
	switch n := utf8.RuneCountInString(value); {
	case n == 0:
		return &gateway.FieldError{Field: field, Message: "is missing"}
	case n > most:
		return &gateway.FieldError{Field: field, Message: fmt.Sprintf("has %d characters, %d are allowed", n, most)}
	}
	return nil
}

// oneLine trims s and replaces every run of white space and control characters by one space.
func oneLine(s string) string {
	return strings.Join(strings.FieldsFunc(s, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }), " ")
}
