package server

import (
	"context"
	"net/http"

	"github.com/lxzan/gws"

	"example.com/gateway/benchmarks/wire"
)

func gwsVariant() Variant {
	return Variant{
		Name:    "gws",
		Module:  "github.com/lxzan/gws",
		Tuning:  "its defaults: no UTF-8 check, no compression, 4 KB read buffer; reading on a goroutine of its own; Broadcaster",
		Dialect: wire.WebSocket(),
		new:     newGWS,
	}
}

func newGWS(context.Context) (*backend, error) {
	events := &gwsEvents{actions: newActions(), book: newBook[*gws.Conn]()}
	upgrader := gws.NewUpgrader(events, &gws.ServerOption{})
	upgrade := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := upgrader.Upgrade(w, r)
		if err != nil {
			return // Upgrade has answered
		}
		go conn.ReadLoop() // on a new goroutine, so that the memory of the request is released
	})
	return &backend{handler: upgrade, broadcast: events.broadcast}, nil
}

// sessionID is the key of the connection ID in a session.
const sessionID = "id"

type gwsEvents struct {
	gws.BuiltinEventHandler
	actions actions
	book    *book[*gws.Conn]
}

// OnOpen gives the connection its ID.
func (e *gwsEvents) OnOpen(conn *gws.Conn) { conn.Session().Store(sessionID, e.book.add(conn)) }

// OnClose forgets the connection.
func (e *gwsEvents) OnClose(conn *gws.Conn, _ error) {
	id, _ := conn.Session().Load(sessionID)
	if id, ok := id.(string); ok {
		e.book.remove(id)
	}
}

// OnMessage answers a message. It does not read the session, because that would take
// a lock.
func (e *gwsEvents) OnMessage(conn *gws.Conn, message *gws.Message) {
	defer func() { _ = message.Close() }() // returns the buffer
	answer, err := e.actions.answer(message.Bytes(), "")
	if err != nil {
		conn.WriteClose(1008, []byte(err.Error()))
		return
	}
	_ = conn.WriteMessage(gws.OpcodeText, answer) // after an error, reading ends as well
}

func (e *gwsEvents) broadcast(message []byte) error {
	b := gws.NewBroadcaster(gws.OpcodeText, message)
	for _, conn := range e.book.all() {
		if err := b.Broadcast(conn); err != nil {
			return err
		}
	}
	return b.Close()
}
