// Package wsconn holds the two ends of a WebSocket connection.
//
// The server's end is ours: nhooyr.io/websocket checks the handshake
// ([CheckHandshake]), then [Handshake.Hijack] takes the socket over and [Conn]
// reads and writes RFC 6455 frames on it, as API Gateway does: text messages
// only, no extensions, a quota on frames and on messages, close codes and
// reasons of our own. A Conn holds no buffer while nothing arrives and, polled
// ([Conn.Poll]), no goroutine.
//
// The client's end ([Dial]) is nhooyr.io/websocket: it makes an independent
// peer for tests.
package wsconn
