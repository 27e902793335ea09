// Package deflate has what RFC 7692, "Compression Extensions for WebSocket", needs beside
// frames: it chooses one of the client's offers, compresses messages and inflates them
// within bounds. Each message is compressed by itself, in both directions: there is no
// context takeover. So a connection keeps nothing between two messages, and one compressed
// message can be sent to many clients.
//
// Messages are compressed by compress/flate. Its writers are large, up to 1.2 MB, so they come
// from pools, and belong to a message only while it is worked on. Messages are inflated by
// code of this package: a reader of compress/flate makes tables on the heap for the codes of
// each block, so that blocks that a compressor never makes take it fifteen times as long.
package deflate
