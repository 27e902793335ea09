package server

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/gorilla/websocket"

	"example.com/gateway/benchmarks/wire"
)

func hubVariant() Variant {
	return Variant{
		Name: "hub",
		Tuning: "rooms on github.com/gorilla/websocket, by hand, as in that package's example of a chat: one goroutine has the map of rooms, " +
			"and each connection has a channel of 256 messages and two goroutines; prepared messages, 1 KB read buffer, shared write buffers, no pings",
		Dialect: wire.WebSocket(),
		new:     newHub,
	}
}

// hub is the server. Its goroutine run alone uses the rooms.
type hub struct {
	upgrader websocket.Upgrader
	actions  actions
	book     *book[*hubClient]
	joins    chan seat
	leaves   chan seat
	gone     chan *hubClient
	messages chan roomMessage
}

type hubClient struct {
	conn *websocket.Conn
	send chan *websocket.PreparedMessage // the hub closes it
}

// seat is the place of a client in a room.
type seat struct {
	room   string
	client *hubClient
}

type roomMessage struct {
	room    string
	message *websocket.PreparedMessage
}

func newHub(context.Context) (*backend, error) {
	h := &hub{
		upgrader: websocket.Upgrader{ReadBufferSize: slimBytes, WriteBufferSize: slimBytes, WriteBufferPool: &sync.Pool{}},
		actions:  newActions(),
		book:     newBook[*hubClient](),
		joins:    make(chan seat), leaves: make(chan seat), gone: make(chan *hubClient), messages: make(chan roomMessage),
	}
	h.actions["join"] = func(id string) []byte {
		if c, ok := h.book.find(id); ok {
			h.joins <- seat{wire.Channel, c}
		}
		return []byte(wire.Reply)
	}
	go h.run() // until the process ends
	return &backend{handler: http.HandlerFunc(h.upgrade), group: h.post, memberships: h.memberships}, nil
}

func (h *hub) run() {
	rooms := map[string]map[*hubClient]struct{}{}
	leave := func(room string, c *hubClient) {
		delete(rooms[room], c)
		if len(rooms[room]) == 0 {
			delete(rooms, room)
		}
	}
	for {
		select {
		case s := <-h.joins:
			if rooms[s.room] == nil {
				rooms[s.room] = map[*hubClient]struct{}{}
			}
			rooms[s.room][s.client] = struct{}{}
		case s := <-h.leaves:
			leave(s.room, s.client)
		case c := <-h.gone:
			for room := range rooms {
				leave(room, c)
			}
			close(c.send)
		case m := <-h.messages:
			for c := range rooms[m.room] {
				select {
				case c.send <- m.message:
				default: // it reads too slowly: its reader ends, and tells the hub
					_ = c.conn.Close()
				}
			}
		}
	}
}

func (h *hub) upgrade(w http.ResponseWriter, r *http.Request) {
	ws, err := h.upgrader.Upgrade(w, r, nil)
	if err != nil {
		return // Upgrade has answered
	}
	const queue = 256 // messages, as in the example
	c := &hubClient{conn: ws, send: make(chan *websocket.PreparedMessage, queue)}
	go c.write()
	go h.read(c) // on a new goroutine, so that the memory of the request is released
}

func (h *hub) read(c *hubClient) {
	id := h.book.add(c)
	defer func() {
		h.book.remove(id)
		h.gone <- c
	}()
	for {
		_, message, err := c.conn.ReadMessage()
		if err != nil {
			return
		}
		answer, err := h.actions.answer(message, id)
		if err != nil {
			return
		}
		prepared, err := websocket.NewPreparedMessage(websocket.TextMessage, answer)
		if err != nil {
			return
		}
		c.send <- prepared
	}
}

// write writes what is queued, until the hub closes the queue or a write fails.
func (c *hubClient) write() {
	const patience = 10 * time.Second // as in the example
	defer func() { _ = c.conn.Close() }()
	for m := range c.send {
		if c.conn.SetWriteDeadline(time.Now().Add(patience)) != nil || c.conn.WritePreparedMessage(m) != nil {
			return
		}
	}
}

// post sends a message to the room.
func (h *hub) post(message []byte) error {
	prepared, err := websocket.NewPreparedMessage(websocket.TextMessage, message)
	if err != nil {
		return err
	}
	h.messages <- roomMessage{wire.Channel, prepared}
	return nil
}

func (h *hub) memberships() []membership {
	var all []membership
	for _, c := range h.book.all() {
		all = append(all, membership{
			join: func() error {
				h.joins <- seat{wire.Channel, c}
				return nil
			},
			leave: func() error {
				h.leaves <- seat{wire.Channel, c}
				return nil
			},
		})
	}
	return all
}
