package wiretest_test

import (
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/gateway/internal/suites/wiretest"
)

// The frames of RFC 6455, section 5.7, and lengths around the limits of each
// encoding.
func TestFrame(t *testing.T) {
	t.Parallel()
	long, longer := strings.Repeat("x", 1<<16-1), strings.Repeat("x", 1<<16)
	for name, tc := range map[string]struct {
		frame  []byte
		header string // expected, if the whole frame is not written out
		length int
	}{
		"a masked text of the RFC":        {wiretest.Frame(wiretest.Text, "Hello"), "\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58", 11},
		"the same, appended":              {wiretest.AppendFrame(nil, wiretest.Text, []byte("Hello")), "\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58", 11},
		"an unmasked text of the RFC":     {wiretest.OddFrame{First: wiretest.Text, Length: 5, Unmasked: true, Payload: "Hello"}.Bytes(), "\x81\x05Hello", 7},
		"fragments":                       {wiretest.Fragments("Hello", 3), "\x01\x83\x37\xfa\x21\x3d\x7f\x9f\x4d\x80\x82\x37\xfa\x21\x3d\x5b\x95", 17},
		"one fragment":                    {wiretest.Fragments("", 3), "\x81\x80\x37\xfa\x21\x3d", 6},
		"a Close frame":                   {wiretest.CloseFrame(1000, ""), "\x88\x82\x37\xfa\x21\x3d\x34\x12", 8},
		"125 bytes":                       {wiretest.Frame(wiretest.Text, long[:125]), "\x81\xfd\x37", 6 + 125},
		"126 bytes":                       {wiretest.Frame(wiretest.Text, long[:126]), "\x81\xfe\x00\x7e\x37", 8 + 126},
		"65,535 bytes":                    {wiretest.Frame(wiretest.Text, long), "\x81\xfe\xff\xff\x37", 8 + 65535},
		"65,536 bytes":                    {wiretest.Frame(wiretest.Text, longer), "\x81\xff\x00\x00\x00\x00\x00\x01\x00\x00\x37", 14 + 65536},
		"a header alone":                  {wiretest.Header(wiretest.Ping, 1<<40), "\x89\xff\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00", 14},
		"a length in two bytes for one":   {wiretest.OddFrame{First: wiretest.Text, Length: 1, LengthSize: 2, Key: "\x00\x00\x00\x00", Payload: "x"}.Bytes(), "\x81\xfe\x00\x01\x00\x00\x00\x00x", 9},
		"a length in eight bytes":         {wiretest.OddFrame{First: wiretest.Text, Length: 1, LengthSize: 8, Key: "\x00\x00\x00\x00"}.Bytes(), "\x81\xff\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00", 14},
		"a length that the payload lacks": {wiretest.OddFrame{First: wiretest.Text, Length: 7, Key: "\x00\x00\x00\x00", Payload: "x"}.Bytes(), "\x81\x87\x00\x00\x00\x00x", 7},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Len(t, tc.frame, tc.length)
			require.Equal(t, tc.header, string(tc.frame[:len(tc.header)]))
		})
	}
}

func TestParseClose(t *testing.T) {
	t.Parallel()
	code, reason := wiretest.ParseClose(wiretest.ClosePayload(4321, "bye"))
	require.Equal(t, 4321, code)
	require.Equal(t, "bye", reason)
	code, reason = wiretest.ParseClose([]byte(nil))
	require.Equal(t, wiretest.NoStatus, code)
	require.Empty(t, reason)
}

// served returns a client of a server that sends text and ends the stream.
func served(t *testing.T, text string) *wiretest.Peer {
	t.Helper()
	client, server := net.Pipe()
	go func() { // ends when everything is read, or with the client
		_, _ = io.WriteString(server, text)
		_ = server.Close()
	}()
	return wiretest.New(t, client)
}

func TestConn_ReadMessage(t *testing.T) {
	t.Parallel()
	p := served(t, "\x81\x00\x01\x02He\x89\x01!\x00\x01l\x80\x02lo\x8a\x00\x81\x7e\x00\x7e"+strings.Repeat("x", 126)+"\x88\x05\x03\xe8bye")
	for _, want := range []wiretest.Message{
		{Op: wiretest.OpText, Frames: 1},
		{Op: wiretest.OpPing, Payload: "!", Frames: 1},
		{Op: wiretest.OpText, Payload: "Hello", Frames: 3},
		{Op: wiretest.OpPong, Frames: 1},
		{Op: wiretest.OpText, Payload: strings.Repeat("x", 126), Frames: 1},
		{Op: wiretest.OpClose, Payload: "\x03\xe8bye", Frames: 1},
	} {
		require.Equal(t, want, p.ReceiveAny())
	}
	_, err := p.ReadMessage()
	require.ErrorContains(t, err, "after the server's Close frame")
	p.ExpectEnd()
}

// ReadMessage returns an error that explains what a server must not send.
func TestConn_ReadMessage_errors(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ sent, want string }{
		"nothing":                         {"", "EOF"},
		"half a header":                   {"\x81", "unexpected EOF"},
		"half a length":                   {"\x81\x7e\x00", "within a length: unexpected EOF"},
		"half a payload":                  {"\x81\x05He", "within a frame: unexpected EOF"},
		"no payload":                      {"\x81\x05", "within a frame: unexpected EOF"},
		"a mask":                          {"\x81\x80\x00\x00\x00\x00", "masked"},
		"a reserved bit":                  {"\xc1\x00", "reserved bits in 0xc1"},
		"a binary message":                {"\x82\x00", "opcode 0x2"},
		"a reserved opcode":               {"\x8b\x00", "opcode 0xb"},
		"a ping in fragments":             {"\x09\x00", "control frame"},
		"a ping of 126 bytes":             {"\x89\x7e\x00\x7e", "control frame"},
		"a length in too many bytes":      {"\x81\x7e\x00\x7d", "125 in 2 bytes"},
		"the same in eight":               {"\x81\x7f\x00\x00\x00\x00\x00\x00\xff\xff", "65535 in 8 bytes"},
		"more than any test expects":      {"\x81\x7f\x80\x00\x00\x00\x00\x00\x00\x00", "in 8 bytes"},
		"a continuation of nothing":       {"\x80\x00", "after 0 fragments"},
		"a text between fragments":        {"\x01\x01a\x81\x01b", "after 1 fragments"},
		"a text that is not UTF-8":        {"\x81\x01\xff", "UTF-8"},
		"a Close frame with one byte":     {"\x88\x01\x03", "no code to send"},
		"a code that must not be sent":    {"\x88\x02\x03\xed", "no code to send"},
		"a code that nobody has assigned": {"\x88\x02\x07\xd0", "no code to send"},
		"a reason that is not UTF-8":      {"\x88\x03\x03\xe8\xff", "reason"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var err error
			for p := served(t, tc.sent); err == nil; {
				_, err = p.ReadMessage()
			}
			require.ErrorContains(t, err, tc.want)
			require.Equal(t, tc.sent == "", errors.Is(err, io.EOF), "the end between two frames is told apart")
		})
	}
}

func TestConn_ReadEnd(t *testing.T) {
	t.Parallel()
	require.NoError(t, served(t, "").ReadEnd())
	require.ErrorContains(t, served(t, "x").ReadEnd(), "byte 0x78 instead of the end")
	p := served(t, "xyz")
	require.NoError(t, p.Peek())
	rest, err := io.ReadAll(p)
	require.NoError(t, err)
	require.Equal(t, "xyz", string(rest), "what was buffered is read, too")
}

func TestConn_ReadAnswer(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		sent string
		want wiretest.Answer
		err  string
	}{
		"a 101": {
			"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\n\r\n\x81\x00",
			wiretest.Answer{Line: "HTTP/1.1 101 Switching Protocols", Status: 101, Fields: []string{"upgrade: websocket"}},
			"",
		},
		"a body of a length": {
			"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nnonsense",
			wiretest.Answer{Line: "HTTP/1.1 403 Forbidden", Status: 403, Fields: []string{"Content-Length: 2"}, Body: "no"},
			"",
		},
		"a body in chunks": {
			"HTTP/1.1 403 Forbidden\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n",
			wiretest.Answer{Line: "HTTP/1.1 403 Forbidden", Status: 403, Fields: []string{"Transfer-Encoding: chunked"}, Body: "no"},
			"",
		},
		"a body up to the end":       {"HTTP/1.0 400 Bad Request\r\n\r\nno", wiretest.Answer{Line: "HTTP/1.0 400 Bad Request", Status: 400, Body: "no"}, ""},
		"no body":                    {"HTTP/1.1 204 No Content\r\n\r\nnonsense", wiretest.Answer{Line: "HTTP/1.1 204 No Content", Status: 204}, ""},
		"nothing":                    {"", wiretest.Answer{}, "instead of an HTTP response: EOF"},
		"no status line":             {"\x81\x00\r\n", wiretest.Answer{Line: "\x81\x00"}, "status line"},
		"another version":            {"HTTP/2.0 200 OK\r\n", wiretest.Answer{Line: "HTTP/2.0 200 OK"}, "status line"},
		"a header without an end":    {"HTTP/1.1 200 OK\r\na: b\r\n", wiretest.Answer{Line: "HTTP/1.1 200 OK", Status: 200, Fields: []string{"a: b"}}, "within a header"},
		"a length that is no number": {"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", wiretest.Answer{Line: "HTTP/1.1 200 OK", Status: 200, Fields: []string{"Content-Length: x"}}, "the length of the body"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := served(t, tc.sent).ReadAnswer()
			require.Equal(t, tc.want, got)
			if tc.err == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, tc.err)
		})
	}
}

func TestAnswer_fields(t *testing.T) {
	t.Parallel()
	a := wiretest.Answer{Fields: []string{"A: 1", "b: 2", "B:3", "c: "}}
	require.Equal(t, []string{"A", "b", "B", "c"}, a.Names())
	require.Equal(t, "1", a.Get("A"))
	require.Empty(t, a.Get("a"), "spelt otherwise")
	require.Equal(t, []string{"2", "3"}, a.Values("B"))
	require.Equal(t, []string{""}, a.Values("C"))
	require.Empty(t, a.Values("d"))
}

// Every kind of socket serves the handler, and the request has the expected lines.
func TestSockets(t *testing.T) {
	t.Parallel()
	for name, connect := range wiretest.Sockets() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			seen := make(chan *http.Request, 1)
			p := connect(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				seen <- r
				w.WriteHeader(http.StatusTeapot)
			}))
			require.ErrorContains(t, p.Open("/a?b=c", "X-More: 1"), "refused: HTTP/1.1 418")
			r := <-seen
			require.Equal(t, "/a?b=c", r.URL.String())
			require.Equal(t, "gateway.test", r.Host)
			require.Equal(t, "1", r.Header.Get("X-More"))
			require.Equal(t, wiretest.SampleKey, r.Header.Get("Sec-WebSocket-Key"))
			require.Equal(t, name == "tls", r.TLS != nil)
			answer := p.MustAsk(wiretest.Upgrade("/again"))
			require.Equal(t, http.StatusTeapot, answer.Status)
		})
	}
}

// hijacked answers with a 101 and text, and then reads to the end.
func hijacked(text string, read chan<- string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		nc, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(err)
		}
		defer nc.Close()
		_, _ = io.WriteString(nc, "HTTP/1.1 101 Switching Protocols\r\nSec-Websocket-Accept: "+wiretest.SampleAccept+"\r\n\r\n"+text)
		b := make([]byte, 26)
		_, _ = io.ReadFull(rw, b)
		read <- string(b)
	})
}

func TestPeer(t *testing.T) {
	t.Parallel()
	read := make(chan string, 1)
	p := wiretest.Serve(t, hijacked("\x81\x05Hello\x89\x00\x81\x02hi\x88\x05\x03\xe8bye", read))
	p.MustOpen()
	require.Equal(t, "Hello", p.Receive())
	p.Expect(wiretest.OpPing, "")
	p.Expect(wiretest.OpText, "hi")
	p.ExpectClose(1000, "bye")
	p.MustSend(wiretest.Text, "a")
	require.NoError(t, <-p.SendAhead("b", "c"))
	p.MustWrite([]byte("12345"))
	require.Equal(t, "\x81\x81\x37\xfa\x21\x3d\x56\x81\x81\x37\xfa\x21\x3d\x55\x81\x81\x37\xfa\x21\x3d\x54"+"12345", <-read)
	p.ExpectEnd()
}

// failing is a test that records that it failed.
type failing struct {
	testing.TB
	failed bool
}

// failure is the panic value that ends a failing test.
type failure struct{}

func (f *failing) Helper()               {}
func (f *failing) Fatal(...any)          { f.failed = true; panic(failure{}) }
func (f *failing) Fatalf(string, ...any) { f.failed = true; panic(failure{}) }

// A Peer fails its test if something unexpected comes.
func TestPeer_fails(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		sent   string
		expect func(*wiretest.Peer)
	}{
		"another message":       {"\x81\x01a", func(p *wiretest.Peer) { p.Expect(wiretest.OpText, "b") }},
		"another opcode":        {"\x89\x01a", func(p *wiretest.Peer) { p.Expect(wiretest.OpPong, "a") }},
		"a ping for a message":  {"\x89\x01a", func(p *wiretest.Peer) { p.Receive() }},
		"the end for a message": {"", func(p *wiretest.Peer) { p.Receive() }},
		"a message for a close": {"\x81\x01a", func(p *wiretest.Peer) { p.ReceiveClose() }},
		"another code":          {"\x88\x02\x03\xe9", func(p *wiretest.Peer) { p.ExpectClose(1000, "") }},
		"another reason":        {"\x88\x03\x03\xe8a", func(p *wiretest.Peer) { p.ExpectClose(1000, "b") }},
		"a message for the end": {"\x81\x01a", func(p *wiretest.Peer) { p.ExpectEnd() }},
		"a message for a 101":   {"\x81\x01a", func(p *wiretest.Peer) { p.MustReadAnswer() }},
		"a write after the end": {"", func(p *wiretest.Peer) { _ = p.Close(); p.MustSend(wiretest.Text, "") }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := &failing{TB: t}
			p := wiretest.New(f, served(t, tc.sent))
			require.PanicsWithValue(t, failure{}, func() { tc.expect(p) })
			require.True(t, f.failed)
		})
	}
}
