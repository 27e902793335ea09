// Package deflate has what RFC 7692, "Compression Extensions for WebSocket", needs beside
// frames: it chooses one of the client's offers, compresses messages and inflates them
// within bounds. Each message is compressed by itself, in both directions: there is no
// context takeover. So a connection keeps nothing between two messages, and one compressed
// message can be sent to many clients.
//
// The work is done by compress/flate. Its writers and readers are large, up to 1.2 MB and
// 40 KB, so they come from pools, and belong to a message only while it is worked on.
package deflate
