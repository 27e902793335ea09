package server

import (
	"bufio"
	"net"
	"net/http"
)

// slimBytes is enough for several messages of the works.
const slimBytes = 1024

// slim is for servers that keep the buffers of net/http for the life of a connection.
// It gives them smaller buffers, a quarter of the size.
type slim struct{ http.ResponseWriter }

// Hijack takes over the connection. The clients send nothing before they have their
// 101, so no input is lost in net/http's reader.
func (s slim) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(s.ResponseWriter).Hijack()
	if err != nil || rw.Reader.Buffered() > 0 {
		return conn, rw, err
	}
	return conn, bufio.NewReadWriter(bufio.NewReaderSize(conn, slimBytes), bufio.NewWriterSize(conn, slimBytes)), nil
}
