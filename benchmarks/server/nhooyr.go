package server

import (
	"bytes"
	"context"
	"net/http"

	"nhooyr.io/websocket"

	"example.com/gateway/benchmarks/wire"
)

func nhooyrVariant() Variant {
	return Variant{
		Name:   "nhooyr",
		Module: "nhooyr.io/websocket",
		Tuning: "no compression, 1 KB buffers instead of those of net/http, one message buffer for each connection, no context for each call; " +
			"reading on a goroutine of its own",
		Dialect: wire.WebSocket(),
		new:     newNhooyr,
	}
}

// nhooyr is the server for that package.
type nhooyr struct {
	ctx     context.Context //nolint:containedctx // a context that never ends is the cheapest
	actions actions
	book    *book[*websocket.Conn]
}

func newNhooyr(ctx context.Context) (*backend, error) {
	s := &nhooyr{ctx: context.WithoutCancel(ctx), actions: newActions(), book: newBook[*websocket.Conn]()}
	return &backend{handler: routes(http.HandlerFunc(s.upgrade), s.book.serve(s.write))}, nil
}

func (s *nhooyr) upgrade(w http.ResponseWriter, r *http.Request) {
	ws, err := websocket.Accept(slim{w}, r, &websocket.AcceptOptions{CompressionMode: websocket.CompressionDisabled})
	if err != nil {
		return // Accept has answered
	}
	go s.read(ws) // on a new goroutine, so that the memory of the request is released
}

func (s *nhooyr) read(ws *websocket.Conn) {
	id := s.book.add(ws)
	defer func() {
		s.book.remove(id)
		_ = ws.CloseNow()
	}()
	var message bytes.Buffer
	for {
		_, r, err := ws.Reader(s.ctx)
		if err != nil {
			return
		}
		message.Reset()
		if _, err := message.ReadFrom(r); err != nil {
			return
		}
		answer, err := s.actions.answer(message.Bytes(), id)
		if err != nil || s.write(ws, answer) != nil {
			return
		}
	}
}

func (s *nhooyr) write(ws *websocket.Conn, message []byte) error {
	return ws.Write(s.ctx, websocket.MessageText, message)
}
