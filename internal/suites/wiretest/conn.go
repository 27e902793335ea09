package wiretest

import (
	"bufio"
	"bytes"
	"compress/flate"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"unicode/utf8"
)

// Conn is the client's end of a connection. One goroutine reads, any number write.
type Conn struct {
	net.Conn // its Read is hidden, because it would miss what br has buffered

	// Deflates says that permessage-deflate was agreed on, so messages may be compressed.
	Deflates bool
	// Binary says that the gateway may send binary messages.
	Binary bool

	br       *bufio.Reader
	partial  []byte // payload of the current message so far
	frames   int    // frames of the current message so far
	op       byte   // of the current message
	deflated bool   // the current message is compressed
	sawClose bool
}

// NewConn returns a client on nc. It reads through a small buffer.
func NewConn(nc net.Conn) *Conn {
	return &Conn{Conn: nc, br: bufio.NewReaderSize(nc, 1<<10)}
}

// Read reads the bytes after the last frame or answer that was read.
func (c *Conn) Read(b []byte) (int, error) { return c.br.Read(b) }

// Peek waits for a byte, but does not read it.
func (c *Conn) Peek() error {
	_, err := c.br.Peek(1)
	return err
}

// Send writes a frame.
func (c *Conn) Send(first byte, payload string) error {
	_, err := c.Write(Frame(first, payload))
	return err
}

// SendAhead writes texts in one write while the caller reads. The result is sent on
// the channel.
func (c *Conn) SendAhead(messages ...string) <-chan error {
	var all []byte
	for _, m := range messages {
		all = append(all, Frame(Text, m)...)
	}
	failed := make(chan error, 1)
	go func() { // ends when everything is written, or with the connection
		_, err := c.Write(all)
		failed <- err
	}()
	return failed
}

// longest is the longest frame that a test expects from the gateway.
const longest = 1 << 30

// ReadFrame reads a frame and checks what RFC 6455, sections 5.1 to 5.5, requires of
// a single frame. The error is io.EOF if the stream ends between two frames.
func (c *Conn) ReadFrame() (first byte, payload []byte, err error) {
	if c.sawClose {
		return 0, nil, errors.New("reading a frame after the server's Close frame: use ReadEnd")
	}
	var head [2]byte
	if _, err := io.ReadFull(c.br, head[:]); err != nil {
		return 0, nil, err
	}
	if err := c.checkHead(head); err != nil {
		return 0, nil, err
	}
	length, err := c.readLength(head[1])
	if err != nil {
		return 0, nil, fmt.Errorf("within a length: %w", err)
	}
	payload = make([]byte, length)
	if _, err := io.ReadFull(c.br, payload); err != nil {
		return 0, nil, fmt.Errorf("within a frame: %w", unexpected(err))
	}
	if head[0] == Close {
		c.sawClose = true
		return head[0], payload, checkClose(payload)
	}
	return head[0], payload, nil
}

func (c *Conn) checkHead(head [2]byte) error {
	switch op, rsv := head[0]&0x0f, head[0]&0x70; {
	case rsv != 0 && (rsv != RSV1 || op != OpText && op != OpBinary || !c.Deflates):
		return fmt.Errorf("reserved bits in %#x", head[0])
	case head[1]&maskBit != 0:
		return errors.New("the server's frame is masked")
	case op > OpBinary && op < OpClose || op > OpPong || op == OpBinary && !c.Binary:
		return fmt.Errorf("opcode %#x, which the gateway must not send", op)
	case op >= OpClose && (head[0]&Fin == 0 || head[1] > 125):
		return errors.New("control frame in fragments or above 125 bytes")
	}
	return nil
}

func (c *Conn) readLength(short byte) (uint64, error) {
	size, least := 2, uint64(126)
	switch short {
	case 126:
	case 127:
		size, least = 8, 1<<16
	default:
		return uint64(short), nil
	}
	var b [8]byte
	if _, err := io.ReadFull(c.br, b[8-size:]); err != nil {
		return 0, unexpected(err)
	}
	length := binary.BigEndian.Uint64(b[:])
	if length < least || length > longest {
		return 0, fmt.Errorf("%d in %d bytes", length, size)
	}
	return length, nil
}

// unexpected returns io.ErrUnexpectedEOF for io.EOF, because more bytes were
// announced, and any other err as it is.
func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// checkClose requires a code that may be sent and a valid UTF-8 reason, or an empty
// payload.
func checkClose(payload []byte) error {
	if len(payload) == 0 {
		return nil
	}
	code, reason := ParseClose(payload)
	switch {
	case code < 1000, code >= 1004 && code <= 1006, code >= 1015 && code < 3000, code > 4999:
		return fmt.Errorf("the server closes with %q, which is no code to send", payload)
	case !utf8.ValidString(reason):
		return errors.New("the reason of the server's Close frame is not UTF-8")
	}
	return nil
}

// Message is a complete message or a control frame.
type Message struct {
	Op      byte
	Payload string
	Frames  int // how many frames it had

	Compressed int // bytes on the wire of a message that came compressed, else 0
}

// String describes the message with a shortened payload.
func (m Message) String() string {
	payload := fmt.Sprintf("%.40q", m.Payload)
	if len(m.Payload) > 40 {
		payload += fmt.Sprintf("… (%d bytes)", len(m.Payload))
	}
	return fmt.Sprintf("frame with opcode %#x: %s", m.Op, payload)
}

// ReadMessage reads the next complete message, or a control frame that comes before
// its end. It checks the order of fragments, and that a text is UTF-8.
func (c *Conn) ReadMessage() (Message, error) {
	for {
		first, payload, err := c.ReadFrame()
		op := first & 0x0f
		switch {
		case err != nil:
			return Message{}, err
		case op >= OpClose:
			return Message{Op: op, Payload: string(payload), Frames: 1}, nil
		case (c.frames > 0) != (op == OpContinuation):
			return Message{}, fmt.Errorf("frame with opcode %#x after %d fragments", op, c.frames)
		}
		if op != OpContinuation {
			c.op = op
		}
		c.deflated = c.deflated || first&RSV1 != 0
		c.partial, c.frames = append(c.partial, payload...), c.frames+1
		if first&Fin == 0 {
			continue
		}
		whole := Message{Op: c.op, Payload: string(c.partial), Frames: c.frames}
		if c.deflated {
			if whole.Compressed = len(c.partial); !inflate(&whole.Payload) {
				return whole, errors.New("the server's message cannot be inflated")
			}
		}
		c.partial, c.frames, c.deflated = c.partial[:0], 0, false
		if whole.Op == OpText && !utf8.ValidString(whole.Payload) {
			return whole, errors.New("the server's text is not UTF-8")
		}
		return whole, nil
	}
}

// inflate replaces the payload of a compressed message by what was compressed (RFC 7692,
// section 7.2.2).
func inflate(payload *string) bool {
	all := *payload + "\x00\x00\xff\xff" + "\x01\x00\x00\xff\xff" // the second ends the reader
	plain, err := io.ReadAll(flate.NewReader(strings.NewReader(all)))
	*payload = string(plain)
	return err == nil
}

// Deflate compresses a message as a client does, with the window of 32 KiB.
func Deflate(message string) string { return DeflateAll(message)[0] }

// DeflateAll is [Deflate] for a client that uses context takeover: what it makes of a message
// refers to the messages before it.
func DeflateAll(messages ...string) (all []string) {
	var b bytes.Buffer
	w, _ := flate.NewWriter(&b, flate.BestCompression) // the level is valid
	for _, message := range messages {
		b.Reset()
		_, _ = io.WriteString(w, message)
		_ = w.Flush()
		all = append(all, strings.TrimSuffix(b.String(), "\x00\x00\xff\xff"))
	}
	return all
}

// ReadEnd requires that the server has ended the stream.
func (c *Conn) ReadEnd() error {
	switch b, err := c.br.ReadByte(); {
	case err == nil:
		return fmt.Errorf("byte %#x instead of the end of the stream", b)
	case !errors.Is(err, io.EOF):
		return fmt.Errorf("instead of the end of the stream: %w", err)
	}
	return nil
}
