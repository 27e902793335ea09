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
		Tuning: "no compression, 1 KB buffers in the place of net/http's, one message buffer for each connection, no context for each call; " +
			"reading on a goroutine of its own",
		Dialect: wire.WebSocket(),
		new:     newNhooyr,
	}
}

// nhooyr is the server of that package.
type nhooyr struct {
	ctx     context.Context //nolint:containedctx // one that never ends costs least
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
		return // it has answered
	}
	go s.read(ws) // so that what the request holds is free
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
