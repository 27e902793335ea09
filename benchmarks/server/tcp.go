package server

import (
	"bufio"
	"context"
	"encoding/binary"
	"io"
	"net"

	"example.com/gateway/benchmarks/wire"
)

func tcpVariant() Variant {
	return Variant{
		Name:    "tcp",
		Tuning:  "no HTTP, no WebSocket: a length before each message; replies are written together once the input has run dry",
		Dialect: wire.TCP(),
		new:     newTCP,
	}
}

func newTCP(context.Context) (*backend, error) {
	known := newActions()
	return &backend{serve: func(l net.Listener) error {
		for {
			conn, err := l.Accept()
			if err != nil {
				return err
			}
			go serveTCP(conn, known)
		}
	}}, nil
}

func serveTCP(conn net.Conn, known actions) {
	defer func() { _ = conn.Close() }()
	in, out := bufio.NewReader(conn), bufio.NewWriter(conn)
	var message, size []byte
	for {
		head, err := in.Peek(4)
		if err != nil {
			return
		}
		n := int(binary.BigEndian.Uint32(head))
		if _, err := in.Discard(4); err != nil {
			return
		}
		if cap(message) < n {
			message = make([]byte, n)
		}
		message = message[:n]
		if _, err := io.ReadFull(in, message); err != nil {
			return
		}
		answer, err := known.answer(message, "")
		if err != nil {
			return
		}
		size = binary.BigEndian.AppendUint32(size[:0], uint32(len(answer)))
		_, _ = out.Write(size) // Flush returns the first error
		_, _ = out.Write(answer)
		if in.Buffered() == 0 && out.Flush() != nil {
			return
		}
	}
}
