// Package wire holds what the benchmark sends over sockets. It is the same for all
// variants, as far as their protocols are the same.
package wire

import (
	"encoding/binary"
	"fmt"
	"strings"
)

// The messages of the works.
const (
	// MessageBytes is the size of a request and of a message posted to a client.
	MessageBytes = 128
	// Reply answers the action echo.
	Reply = `{"ok":true}`
	// WhoAmI asks for the connection ID. The answer is nothing else.
	WhoAmI = `{"action":"whoami"}`
	// Channel is the group of the works about groups, and the channel to which clients of
	// a publish and subscribe protocol subscribe.
	Channel = "news"
	// StateBytes is the size of the state that a server keeps for a connection.
	StateBytes = 200
)

// Dialect is the protocol between the clients and a variant.
type Dialect struct {
	// Bare says that a frame is a length and a payload, and not a WebSocket frame.
	Bare bool
	// Greeting is sent first. Each line is sent after the answer to the line before.
	Greeting []string
	// Subscribe is sent in the same way, by clients that take part in a fan-out.
	Subscribe []string
	// Join is sent in the same way, by clients that become members of the group.
	Join []string
	// Remember is sent in the same way, by clients for which the server keeps a state.
	Remember []string
	// Request is answered with Reply.
	Request, Reply string
	// Lines says that several replies, a line each, may share a frame.
	Lines bool
	// Pushed returns how a message of a fan-out arrives. nil means that it arrives
	// unchanged.
	Pushed func(message string) string
}

// WebSocket is the dialect of most variants.
func WebSocket() *Dialect {
	return &Dialect{
		Join: []string{`{"action":"join"}`}, Remember: []string{`{"action":"remember"}`},
		Request: padded(`{"action":"echo","padding":"%s"}`), Reply: Reply,
	}
}

// TCP is the dialect of bare sockets.
func TCP() *Dialect {
	d := WebSocket()
	d.Bare = true
	return d
}

// Centrifuge is the JSON protocol of centrifuge. A request is a remote procedure
// call.
func Centrifuge() *Dialect {
	subscribe := []string{`{"id":2,"subscribe":{"channel":"` + Channel + `"}}`}
	return &Dialect{
		Greeting:  []string{`{"id":1,"connect":{}}`},
		Subscribe: subscribe,
		Join:      subscribe,
		Request:   padded(`{"id":3,"rpc":{"method":"echo","data":{"padding":"%s"}}}`),
		Reply:     `{"id":3,"rpc":{"data":` + Reply + `}}`,
		Lines:     true,
		Pushed: func(message string) string {
			return `{"push":{"channel":"` + Channel + `","pub":{"data":` + message + `}}}`
		},
	}
}

// Message returns the n-th message of a fan-out or of a caller who posts.
func Message(n int) string {
	return padded(fmt.Sprintf(`{"number":"%08d","padding":"%%s"}`, n))
}

// padded fills format up to MessageBytes.
func padded(format string) string {
	return fmt.Sprintf(format, strings.Repeat("x", MessageBytes-len(format)+len("%s")))
}

// mask is the mask key of every client's frame.
var mask = [4]byte{0x37, 0xfa, 0x21, 0x3d} //nolint:gochecknoglobals // a constant

// AppendRequest appends payload as the frame of a client.
func (d *Dialect) AppendRequest(b []byte, payload string) []byte {
	if d.Bare {
		return appendBare(b, payload)
	}
	return appendFrame(b, 0x81, payload)
}

// AppendReply appends payload as a server's frame. Every variant writes the shortest
// form of a header, and each message in one frame.
func (d *Dialect) AppendReply(b []byte, payload string) []byte {
	switch {
	case d.Bare:
		return appendBare(b, payload)
	case len(payload) < 126:
		b = append(b, 0x81, byte(len(payload)))
	default:
		b = binary.BigEndian.AppendUint16(append(b, 0x81, 126), uint16(len(payload)))
	}
	return append(b, payload...)
}

// AppendClose appends a client's Close frame with code 1000.
func AppendClose(b []byte) []byte { return appendFrame(b, 0x88, "\x03\xe8") }

func appendBare(b []byte, payload string) []byte {
	return append(binary.BigEndian.AppendUint32(b, uint32(len(payload))), payload...)
}

func appendFrame(b []byte, first byte, payload string) []byte {
	if len(payload) < 126 {
		b = append(b, first, 0x80|byte(len(payload)))
	} else {
		b = binary.BigEndian.AppendUint16(append(b, first, 0x80|126), uint16(len(payload)))
	}
	b = append(b, mask[:]...)
	for n := range len(payload) {
		b = append(b, payload[n]^mask[n%4])
	}
	return b
}
