// Package wsconn holds the two ends of a WebSocket connection.
//
// The server's end is our own code. nhooyr.io/websocket checks the handshake
// ([CheckHandshake]). Then [Handshake.Hijack] takes over the socket, and [Conn] reads
// and writes RFC 6455 frames on it as API Gateway does: it accepts text messages only,
// has no extension but permessage-deflate, and that only if [Limits.Deflate] says so, limits
// the size of frames and messages, and uses its own close codes and reasons. While nothing arrives, a Conn holds no buffer, and a polled one
// ([Conn.Poll]) has no goroutine either.
//
// The client's end ([Dial]) is nhooyr.io/websocket, so that tests have an independent
// peer.
package wsconn
