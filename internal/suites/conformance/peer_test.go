package conformance_test

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/textproto"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"example.com/gateway/gatewaytest"
)

// patience is how long the server may take for anything. Nothing here takes
// that long: a read that does is a hang.
const patience = 30 * time.Second

// peer is a client that writes bytes and reads well-formed frames. A goroutine of
// its own writes, so that neither side waits for the other's reading.
type peer struct {
	nc      net.Conn
	br      *bufio.Reader
	chop    bool
	out     chan []byte
	written chan struct{} // closed when the writer has ended

	message   string // fragments so far
	fragments int    // of the message under way
	closed    bool   // a Close frame was read
}

func dial(t *testing.T, srv *gatewaytest.Server, chop bool) *peer {
	t.Helper()
	transport, ok := srv.HTTPClient().Transport.(*http.Transport)
	require.True(t, ok)
	nc, err := transport.DialContext(t.Context(), "tcp", "")
	require.NoError(t, err)
	require.NoError(t, nc.SetReadDeadline(time.Now().Add(patience)))
	p := &peer{nc: nc, br: bufio.NewReader(nc), chop: chop, out: make(chan []byte, 1024), written: make(chan struct{})}
	go p.write() // ends with close, which waits
	return p
}

// close ends the connection and the writer.
func (p *peer) close() {
	_ = p.nc.Close()
	close(p.out)
	<-p.written
}

// send has b written. It never waits.
func (p *peer) send(b []byte) { p.out <- b }

// halfClose, after all that was sent, ends our stream, where the transport can.
func (p *peer) halfClose() { p.out <- nil }

func (p *peer) write() {
	defer close(p.written)
	for b := range p.out {
		if b == nil {
			if half, ok := p.nc.(interface{ CloseWrite() error }); ok {
				_ = half.CloseWrite()
			}
			continue
		}
		for _, piece := range p.pieces(b) {
			if _, err := p.nc.Write(piece); err != nil {
				break // the server is gone, which the reader finds out
			}
		}
	}
}

// pieces is b as it is written: in one, or chopped.
func (p *peer) pieces(b []byte) (pieces [][]byte) {
	size := 1
	switch {
	case !p.chop:
		return [][]byte{b}
	case len(b) > 4<<10:
		size = 997
	}
	for len(b) > size {
		pieces, b = append(pieces, b[:size]), b[size:]
	}
	return append(pieces, b)
}

// received is what the server sent: a message, of one frame or more, or a control
// frame.
type received struct {
	op      byte
	payload string
	frames  int
}

func (r received) String() string {
	payload := fmt.Sprintf("%.40q", r.payload)
	if len(r.payload) > 40 {
		payload += fmt.Sprintf("… (%d bytes)", len(r.payload))
	}
	return fmt.Sprintf("frame with opcode %#x: %s", r.op, payload)
}

// read returns the server's next message or control frame.
func (p *peer) read() (received, error) {
	for {
		first, payload, err := p.readFrame()
		if err != nil {
			return received{}, err
		}
		op := first & 0x0f
		if op >= opClose {
			p.closed = op == opClose
			return received{op, payload, 1}, checkControl(op, payload)
		}
		if inMessage := p.fragments > 0; inMessage != (op == opContinuation) {
			return received{}, fmt.Errorf("frame with opcode %#x after %d fragments", op, p.fragments)
		}
		p.message += payload
		p.fragments++
		if first&fin == 0 {
			continue
		}
		whole := received{opText, p.message, p.fragments}
		p.message, p.fragments = "", 0
		if !utf8.ValidString(whole.payload) {
			return whole, errors.New("the server's text is not UTF-8")
		}
		return whole, nil
	}
}

// readFrame reads one frame and requires of it all that RFC 6455, sections 5.1 to
// 5.5, requires of a frame by itself.
func (p *peer) readFrame() (first byte, payload string, err error) {
	if p.closed {
		return 0, "", errors.New("a frame after the server's Close frame")
	}
	var head [2]byte
	if _, err := io.ReadFull(p.br, head[:]); err != nil {
		return 0, "", fmt.Errorf("instead of a frame: %w", err)
	}
	op, length := head[0]&0x0f, uint64(head[1]&0x7f)
	switch {
	case head[0]&0x70 != 0:
		return 0, "", fmt.Errorf("reserved bits in %#x", head[0])
	case head[1]&0x80 != 0:
		return 0, "", errors.New("the server's frame is masked")
	case op > opText && op < opClose || op > opPong:
		return 0, "", fmt.Errorf("opcode %#x, which is not the gateway's to send", op)
	case op >= opClose && (head[0]&fin == 0 || length > 125):
		return 0, "", errors.New("control frame in fragments or above 125 bytes")
	}
	if length, err = p.readLength(length); err != nil {
		return 0, "", err
	}
	b := make([]byte, length)
	if _, err := io.ReadFull(p.br, b); err != nil {
		return 0, "", fmt.Errorf("within a frame: %w", err)
	}
	return head[0], string(b), nil
}

func (p *peer) readLength(length uint64) (uint64, error) {
	var b [8]byte
	size, least := 0, uint64(0)
	switch length {
	case 126:
		size, least = 2, 126
	case 127:
		size, least = 8, 1<<16
	default:
		return length, nil
	}
	if _, err := io.ReadFull(p.br, b[8-size:]); err != nil {
		return 0, fmt.Errorf("within a length: %w", err)
	}
	length = binary.BigEndian.Uint64(b[:])
	if length < least || length > 1<<30 {
		return 0, fmt.Errorf("length %d in %d bytes", length, size)
	}
	return length, nil
}

// checkControl requires that a Close frame of the server has a code that may be
// sent and a reason in UTF-8, or is empty.
func checkControl(op byte, payload string) error {
	if op != opClose || payload == "" {
		return nil
	}
	code, reason := closeCode(payload), payload[min(2, len(payload)):]
	switch {
	case len(payload) == 1, code < 1000, code >= 1004 && code <= 1006, code >= 1015 && code < 3000, code > 4999:
		return fmt.Errorf("the server closes with %q, which is no code to send", payload)
	case !utf8.ValidString(reason):
		return errors.New("the reason of the server's Close frame is not UTF-8")
	}
	return nil
}

// closeCode is that of a Close frame, 1005 when it has none.
func closeCode(payload string) int {
	if len(payload) < 2 {
		return 1005
	}
	return int(binary.BigEndian.Uint16([]byte(payload)))
}

// readEnd requires that the server ends the stream. To a client that goes on
// sending after its Close frame, TCP may say so by a reset.
func (p *peer) readEnd(orReset bool) error {
	b, err := p.br.ReadByte()
	switch {
	case err == nil:
		return fmt.Errorf("byte %#x after the server's Close frame", b)
	case errors.Is(err, io.EOF), orReset && errors.Is(err, syscall.ECONNRESET):
		return nil
	}
	return fmt.Errorf("instead of the end of the stream: %w", err)
}

// quiet requires that nothing comes for a second. It is for virtual time.
func (p *peer) quiet() error {
	_ = p.nc.SetReadDeadline(time.Now().Add(time.Second))
	_, err := p.br.Peek(1)
	_ = p.nc.SetReadDeadline(time.Now().Add(patience))
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		return fmt.Errorf("the server did not keep quiet: %w", err)
	}
	return nil
}

// expect reads until all of want has come. Data comes in this order, no matter
// what. A Pong comes at its place or earlier, since control frames go first, and
// the Pong of a later Ping may stand for it (RFC 6455, section 5.5.3).
func (p *peer) expect(want []frame) error {
	var data, pongs []frame
	before := []int{} // how many Pongs belong before each of data
	for _, f := range want {
		switch {
		case f.op == opPong:
			pongs = append(pongs, f)
		case !f.unanswered:
			data, before = append(data, f), append(before, len(pongs))
		}
	}
	for d, ponged := 0, 0; d < len(data) || ponged < len(pongs); {
		got, err := p.read()
		switch {
		case err != nil:
			return fmt.Errorf("after %d messages and %d pongs: %w", d, ponged, err)
		case got.op == opPong:
			n := indexPayload(pongs[ponged:], got.payload)
			if n < 0 {
				return fmt.Errorf("a pong of no ping: %v", got)
			}
			ponged += n + 1
		case d == len(data), got.op != data[d].op, got.payload != data[d].payload:
			return fmt.Errorf("unexpected %v", got)
		case ponged < before[d]:
			return fmt.Errorf("%v overtook a pong", got)
		case data[d].frames > 0 && data[d].frames != got.frames:
			return fmt.Errorf("%v in %d frames instead of %d", got, got.frames, data[d].frames)
		default:
			d++
		}
	}
	return nil
}

func indexPayload(frames []frame, payload string) int {
	for n, f := range frames {
		if f.payload == payload {
			return n
		}
	}
	return -1
}

// answer is the head of the server's answer to an upgrade request. net/http would
// not show all of it.
type answer struct {
	proto  string
	status int
	header http.Header
}

func (p *peer) readAnswer() (a answer, err error) {
	r := textproto.NewReader(p.br)
	line, err := r.ReadLine()
	if err != nil {
		return a, fmt.Errorf("instead of an HTTP response: %w", err)
	}
	if _, err := fmt.Sscanf(line, "%s %d", &a.proto, &a.status); err != nil {
		return a, fmt.Errorf("status line %q: %w", line, err)
	}
	header, err := r.ReadMIMEHeader()
	a.header = http.Header(header)
	return a, err
}

// checkSwitching requires that a 101 has what RFC 6455, section 4.2.2, demands, and
// the extensions agreed on, and no subprotocol, since the gateway chose none.
func checkSwitching(a answer, accept, extensions string) error {
	h := a.header
	for name, want := range map[string]string{"Upgrade": "websocket", "Connection": "upgrade"} {
		if v := h.Values(name); len(v) != 1 || !strings.EqualFold(v[0], want) {
			return fmt.Errorf("%s of the 101 is %q", name, v)
		}
	}
	if v := h.Values("Sec-WebSocket-Accept"); len(v) != 1 || v[0] != accept {
		return fmt.Errorf("Sec-WebSocket-Accept is %q instead of %q", v, accept)
	}
	if v := strings.Join(h.Values("Sec-WebSocket-Extensions"), ", "); v != extensions {
		return fmt.Errorf("extensions of the 101 are %q instead of %q", v, extensions)
	}
	for _, name := range []string{"Sec-WebSocket-Protocol", "Content-Length", "Transfer-Encoding"} {
		if v := h.Values(name); len(v) > 0 {
			return fmt.Errorf("the 101 has %s: %q", name, v)
		}
	}
	if a.proto != "HTTP/1.1" {
		return fmt.Errorf("the 101 is of %s", a.proto)
	}
	return nil
}
