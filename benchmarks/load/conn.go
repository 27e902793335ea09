package load

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"example.com/gateway/benchmarks/wire"
)

// patience bounds everything that a connection does, so that a hang becomes an error.
const patience = 2 * time.Minute

// The example of RFC 6455, 1.3: the key of every upgrade, and the answer that shows
// that the server understood it.
const (
	upgradeKey    = "dGhlIHNhbXBsZSBub25jZQ=="
	upgradeAccept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
)

// scratchBytes is enough for what arrives in one read.
const scratchBytes = 16 << 10

// conn is a client that keeps only its socket, so that many clients are cheap.
type conn struct {
	net.Conn
	dialect *wire.Dialect
}

// dial connects and sends what the dialect begins with.
func dial(ctx context.Context, address string, d *wire.Dialect) (*conn, error) {
	nc, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	c := &conn{nc, d}
	if err := c.begin(address); err != nil {
		_ = nc.Close()
		return nil, err
	}
	return c, nil
}

func (c *conn) begin(address string) error {
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	if c.dialect.Bare {
		return nil
	}
	if err := c.upgrade(address); err != nil {
		return err
	}
	return c.greet(c.dialect.Greeting)
}

func (c *conn) upgrade(address string) error {
	if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: "+address+"\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: "+upgradeKey+"\r\n\r\n"); err != nil {
		return err
	}
	head, err := readHead(c, make([]byte, 1024))
	if err != nil {
		return err
	}
	if !bytes.HasPrefix(head, []byte("HTTP/1.1 101 ")) || !bytes.Contains(head, []byte(upgradeAccept)) {
		return fmt.Errorf("the upgrade was refused: %q", head)
	}
	return nil
}

var errLongHead = errors.New("the header of an HTTP answer has no end")

// readHead reads the header of an HTTP answer. The peer must send nothing after it
// until it gets a request.
func readHead(r io.Reader, scratch []byte) ([]byte, error) {
	for n := 0; n < len(scratch); {
		m, err := r.Read(scratch[n:])
		n += m
		if bytes.HasSuffix(scratch[:n], []byte("\r\n\r\n")) {
			return scratch[:n], nil
		}
		if err != nil {
			return nil, err
		}
	}
	return nil, errLongHead
}

// greet sends lines, and waits for the answer to each before it sends the next.
func (c *conn) greet(lines []string) error {
	for _, line := range lines {
		answer, err := c.ask(line)
		if err != nil {
			return err
		}
		if strings.Contains(answer, `"error"`) {
			return fmt.Errorf("answer %q to %q", answer, line)
		}
	}
	return nil
}

// ask sends a message and returns the next message that arrives: WebSocket text of up
// to 125 bytes or, with a longer header, more.
func (c *conn) ask(message string) (string, error) {
	if _, err := c.Write(c.dialect.AppendRequest(nil, message)); err != nil {
		return "", err
	}
	head := make([]byte, 2, 4)
	if _, err := io.ReadFull(c, head); err != nil {
		return "", err
	}
	size := int(head[1])
	if size == 126 {
		if _, err := io.ReadFull(c, head[2:4]); err != nil {
			return "", err
		}
		size = int(binary.BigEndian.Uint16(head[2:4]))
	}
	payload := make([]byte, size)
	if _, err := io.ReadFull(c, payload); err != nil {
		return "", err
	}
	if head[0] != 0x81 || head[1] > 126 {
		return "", fmt.Errorf("a frame that is not a short text: %x %q", head, payload)
	}
	return string(payload), nil
}

// answers are n copies of the same message from a server.
type answers struct {
	lines   bool
	message string
	n       int
	frames  []byte // the bytes that arrive, unless the server puts several answers into a frame
}

func answersOf(d *wire.Dialect, message string, n int) *answers {
	frames := bytes.Repeat(d.AppendReply(nil, message), n)
	return &answers{lines: d.Lines, message: message, n: n, frames: frames}
}

// expect reads the answers, and checks that nothing else comes.
func (c *conn) expect(want *answers, scratch []byte) error {
	if want.lines {
		return c.expectLines(want, scratch)
	}
	for got := 0; got < len(want.frames); {
		n, err := c.Read(scratch[:min(len(scratch), len(want.frames)-got)])
		if err != nil {
			return err
		}
		if !bytes.Equal(scratch[:n], want.frames[got:got+n]) {
			return fmt.Errorf("answer %q, want %q", scratch[:n], want.frames[got:got+n])
		}
		got += n
	}
	return nil
}

// expectLines is expect for a server that puts several answers into a frame.
func (c *conn) expectLines(want *answers, scratch []byte) error {
	buffered, seen := 0, 0
	for seen < want.n || buffered > 0 {
		n, err := c.Read(scratch[buffered:])
		if err != nil {
			return err
		}
		buffered += n
		for {
			payload, rest, ok := cutFrame(scratch[:buffered])
			if !ok {
				break
			}
			for line := range bytes.SplitSeq(bytes.TrimSuffix(payload, []byte("\n")), []byte("\n")) {
				if string(line) != want.message {
					return fmt.Errorf("answer %q, want %q", line, want.message)
				}
				seen++
			}
			buffered = copy(scratch, rest)
		}
	}
	if seen > want.n {
		return fmt.Errorf("%d answers, want %d", seen, want.n)
	}
	return nil
}

// cutFrame removes the first frame from b, if b has all of it.
func cutFrame(b []byte) (payload, rest []byte, ok bool) {
	if len(b) < 4 {
		return nil, nil, false
	}
	size, head := int(b[1]), 2
	if size == 126 {
		size, head = int(binary.BigEndian.Uint16(b[2:])), 4
	}
	if len(b) < head+size {
		return nil, nil, false
	}
	return b[head : head+size], b[head+size:], true
}
