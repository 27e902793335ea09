package server

import (
	"bufio"
	"net"
	"net/http"
)

// slimBytes is enough for the messages of the works, several at a time.
const slimBytes = 1024

// slim gives a peer that keeps the buffers of net/http for the life of a
// connection smaller ones, a quarter of the size.
type slim struct{ http.ResponseWriter }

// Hijack takes the connection over. The clients send nothing before they have
// their 101, so no input is lost with the reader of net/http.
func (s slim) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(s.ResponseWriter).Hijack()
	if err != nil || rw.Reader.Buffered() > 0 {
		return conn, rw, err
	}
	return conn, bufio.NewReadWriter(bufio.NewReaderSize(conn, slimBytes), bufio.NewWriterSize(conn, slimBytes)), nil
}
