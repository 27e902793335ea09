package server

import (
	"bytes"
	"context"
	"net/http"
	"sync"

	"github.com/gorilla/websocket"

	"example.com/gateway/benchmarks/wire"
)

func gorillaVariant() Variant {
	return Variant{
		Name:   "gorilla",
		Module: "github.com/gorilla/websocket",
		Tuning: "1 KB read buffer, shared write buffers, one message buffer for each connection; reading on a goroutine of its own; " +
			"prepared messages",
		Dialect: wire.WebSocket(),
		new:     newGorilla,
	}
}

// gorilla is the server for that package.
type gorilla struct {
	upgrader websocket.Upgrader
	actions  actions
	book     *book[*gorillaConn]
}

// gorillaConn lets one goroutine write at a time, as the package requires.
type gorillaConn struct {
	*websocket.Conn
	mu sync.Mutex // held while a message is written
}

func newGorilla(context.Context) (*backend, error) {
	g := &gorilla{
		upgrader: websocket.Upgrader{ReadBufferSize: slimBytes, WriteBufferSize: slimBytes, WriteBufferPool: &sync.Pool{}},
		actions:  newActions(),
		book:     newBook[*gorillaConn](),
	}
	return &backend{
		handler:   routes(http.HandlerFunc(g.upgrade), g.book.serve((*gorillaConn).write)),
		broadcast: g.broadcast,
	}, nil
}

func (g *gorilla) upgrade(w http.ResponseWriter, r *http.Request) {
	ws, err := g.upgrader.Upgrade(w, r, nil)
	if err != nil {
		return // Upgrade has answered
	}
	go g.read(&gorillaConn{Conn: ws}) // on a new goroutine, so that the memory of the request is released
}

func (g *gorilla) read(c *gorillaConn) {
	id := g.book.add(c)
	defer func() {
		g.book.remove(id)
		_ = c.Close()
	}()
	var message bytes.Buffer
	for {
		_, r, err := c.NextReader()
		if err != nil {
			return
		}
		message.Reset()
		if _, err := message.ReadFrom(r); err != nil {
			return
		}
		answer, err := g.actions.answer(message.Bytes(), id)
		if err != nil || c.write(answer) != nil {
			return
		}
	}
}

func (c *gorillaConn) write(message []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.WriteMessage(websocket.TextMessage, message)
}

func (g *gorilla) broadcast(message []byte) error {
	prepared, err := websocket.NewPreparedMessage(websocket.TextMessage, message)
	if err != nil {
		return err
	}
	for _, c := range g.book.all() {
		if err := c.writePrepared(prepared); err != nil {
			return err
		}
	}
	return nil
}

func (c *gorillaConn) writePrepared(message *websocket.PreparedMessage) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.WritePreparedMessage(message)
}
