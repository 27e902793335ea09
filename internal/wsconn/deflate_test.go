package wsconn_test

import (
	"bytes"
	"compress/flate"
	"context"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway/internal/wsconn"
)

const (
	rsv1  = 0x40
	hello = "\xf2\x48\xcd\xc9\xc9\x07\x00" // "Hello"
)

// deflating returns limits of a client that may compress, with a window of 32 KiB.
func deflating(limits wsconn.Limits) wsconn.Limits {
	return wsconn.NewWindows(limits, wsconn.Deflate{Threshold: 1, Level: 1, Ratio: 200})[15]
}

// packed compresses data as a client does.
func packed(data string) string {
	var b bytes.Buffer
	w, _ := flate.NewWriter(&b, flate.BestCompression)
	_, _ = io.WriteString(w, data)
	_ = w.Flush()
	return strings.TrimSuffix(b.String(), "\x00\x00\xff\xff")
}

func deflatedCases() []readCase {
	limits := deflating(quotas)
	x := func(n int) string { return strings.Repeat("x", n) }
	cut := packed(x(500))
	violation := func(name string, in ...[]byte) readCase {
		return readCase{name: name, limits: limits, in: join(in...), code: 1002, reason: "Protocol error"}
	}
	corrupt := func(name string, in ...[]byte) readCase {
		return readCase{name: name, limits: limits, in: join(in...), code: 1007, reason: "Invalid compressed data"}
	}
	tooBig := func(name string, in ...[]byte) readCase {
		return readCase{name: name, limits: limits, in: join(in...), code: 1009, reason: "Message too big"}
	}
	compressed := func(payload string) []byte { return frame(fin|rsv1|textFrame, payload) }
	return []readCase{
		{name: "a compressed text", limits: limits, in: compressed(hello), messages: []string{"Hello"}},
		{name: "compressed and plain texts in turn", limits: limits, in: join(compressed(hello), text("plain"), compressed(hello)), messages: []string{"Hello", "plain", "Hello"}},
		{name: "in fragments, with a ping between them", limits: limits, in: join(frame(rsv1|textFrame, hello[:3]), frame(fin|pingOp, "p"), frame(contFrame, ""), frame(fin|contFrame, hello[3:])), messages: []string{"Hello"}, pings: []string{"p"}},
		{name: "a first fragment without a byte", limits: limits, in: join(frame(rsv1|textFrame, ""), frame(fin|contFrame, hello)), messages: []string{"Hello"}},
		{name: "an empty message", limits: limits, in: join(compressed("\x00"), compressed(""), text("after")), messages: []string{"", "", "after"}},
		{name: "a message at the quota", limits: limits, in: compressed(packed(x(1000))), messages: []string{x(1000)}},
		{name: "a character across fragments", limits: limits, in: join(frame(rsv1|textFrame, packed("€")[:2]), frame(fin|contFrame, packed("€")[2:])), messages: []string{"€"}},

		violation("RSV1 on a continuation", frame(rsv1|textFrame, hello[:3]), frame(fin|rsv1|contFrame, hello[3:])),
		violation("RSV1 on a continuation of a plain message", frame(textFrame, "a"), frame(fin|rsv1|contFrame, hello)),
		violation("RSV1 on a ping", frame(fin|rsv1|pingOp, "")),
		violation("RSV1 on a pong", frame(fin|rsv1|pongOp, "")),
		violation("RSV1 on a close frame", frame(fin|rsv1|closeOp, "\x03\xe8")),
		violation("RSV2", frame(fin|0x20|textFrame, hello)),
		violation("RSV1 and RSV3", frame(fin|rsv1|0x10|textFrame, hello)),
		violation("RSV1 with an unknown opcode", frame(fin|rsv1|3, hello)),
		violation("a compressed text within a message", frame(rsv1|textFrame, hello[:3]), compressed(hello)),

		{name: "a compressed binary message", limits: limits, in: frame(fin|rsv1|binFrame, hello), code: 1003, reason: "Binary is not supported"},
		{name: "what is inflated is not UTF-8", limits: limits, in: compressed(packed("a\xff")), code: 1007, reason: "Invalid UTF-8"},
		corrupt("what cannot be inflated", compressed("\x07")),
		corrupt("a message that is cut off", compressed(cut[:len(cut)/2])),
		corrupt("bytes behind the message", compressed(hello+"\xff\xff")),

		tooBig("a message one above the quota when inflated", compressed(packed(x(1001)))),
		tooBig("a bomb in fragments", frame(rsv1|textFrame, packed(x(1 << 20))[:300]), frame(contFrame, packed(x(1 << 20))[300:600]), frame(fin|contFrame, packed(x(1 << 20))[600:700]+"\x00")),
		tooBig("a frame one above the quota on the wire", compressed(x(301))),
		tooBig("blocks that inflate to nothing", frame(rsv1|textFrame, x(300)), frame(contFrame, x(300)), frame(contFrame, x(300)), frame(contFrame, x(290))),
		{name: "no such ratio above 128 KiB", limits: deflating(wsconn.Limits{}), in: compressed(packed(x(140_000))), code: 1009, reason: "Message too big"},
		{name: "a plain message is bound to the quota as ever", limits: limits, in: join(frame(textFrame, x(300)), frame(contFrame, x(300)), frame(contFrame, x(300)), frame(fin|contFrame, x(101))), code: 1009, reason: "Message too big"},
	}
}

// deflatedFrames returns the text of a compressed message of ours.
func deflatedFrames(t *testing.T, b []byte) (text string, frames int) {
	t.Helper()
	all, err := serverFrames(b)
	require.NoError(t, err)
	var payload strings.Builder
	for n, fr := range all {
		want := byte(contFrame)
		if n == 0 {
			want = rsv1 | textFrame
		}
		if n == len(all)-1 {
			want |= fin
		}
		require.Equal(t, want, fr.first)
		require.LessOrEqual(t, len(fr.payload), wsconn.FragmentBytes)
		payload.WriteString(fr.payload)
	}
	payload.WriteString("\x00\x00\xff\xff\x01\x00\x00\xff\xff")
	plain, err := io.ReadAll(flate.NewReader(strings.NewReader(payload.String())))
	require.NoError(t, err)
	return string(plain), len(all)
}

func TestDeflate_Frames(t *testing.T) {
	t.Parallel()
	d := deflating(wsconn.Limits{}).Deflate
	random := make([]byte, 40<<10)
	rnd := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // must be repeatable
	for n := range random {
		random[n] = "0123456789abcdef"[rnd.IntN(16)] // half of it remains
	}
	for _, tc := range []struct {
		name, in, want string
		frames         int
	}{
		{"a text", strings.Repeat("hello ", 20), strings.Repeat("hello ", 20), 1},
		{"bytes that are not UTF-8", strings.Repeat("a\xff", 50), strings.Repeat("a\uFFFD", 50), 1},
		{"a text that is long when compressed", string(random), string(random), 3},
	} {
		got, frames := deflatedFrames(t, d.Frames([]byte(tc.in), false))
		require.Equal(t, tc.want, got, tc.name)
		require.Equal(t, tc.frames, frames, tc.name)
	}
	for _, short := range []string{"", "a", `{"a":1}`} {
		require.Nil(t, d.Frames([]byte(short), false), "it becomes no shorter")
	}
}

// TestDeflate_Compresses checks which messages are compressed for which client.
func TestDeflate_Compresses(t *testing.T) {
	t.Parallel()
	all := wsconn.NewWindows(wsconn.Limits{}, wsconn.Deflate{Threshold: 100, Level: 1})
	for _, tc := range []struct {
		window, length int
		invalid        bool // it is not UTF-8
		binary         bool
		want           bool
	}{
		{window: 15, length: 99},
		{window: 15, length: 100, want: true},
		{window: 15, length: 1 << 20, want: true},
		{window: 8, length: 256, want: true},
		{window: 8, length: 257},
		{window: 14, length: 16 << 10, want: true},
		{window: 14, length: 16<<10 + 1},
		{window: 9, length: 200, invalid: true}, // it grows to 600 bytes
		{window: 9, length: 150, invalid: true, want: true},
		{window: 9, length: 200, invalid: true, binary: true, want: true}, // it stays as it is
		{window: 9, length: 513, binary: true},
		{window: 15, length: 1 << 20, binary: true, want: true},
	} {
		text := strings.Repeat("x", tc.length)
		if tc.invalid {
			text = strings.Repeat("\xff", tc.length)
		}
		require.Equal(t, tc.want, all[tc.window].Deflate.Compresses([]byte(text), tc.binary), "%+v", tc)
	}
}

// TestClient_Compress lets an independent client agree on compression with us.
func TestClient_Compress(t *testing.T) {
	t.Parallel()
	limits := deflating(wsconn.Limits{})
	srv, conns := acceptor(t, limits, false)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	client, resp, err := wsconn.Dial(ctx, "ws"+strings.TrimPrefix(srv.URL, "http"), wsconn.DialOptions{Compress: true})
	require.NoError(t, err)
	t.Cleanup(client.CloseNow)
	require.Equal(t, "permessage-deflate; server_no_context_takeover; client_no_context_takeover", resp.Header.Get("Sec-WebSocket-Extensions"))
	require.Equal(t, http.StatusSwitchingProtocols, resp.StatusCode)
	server := <-conns
	t.Cleanup(server.Close)
	server.SetReadDeadline(time.Now().Add(patience))
	for _, text := range []string{"short", strings.Repeat("hello ", 200), strings.Repeat("0123456789abcdef€", 20_000)} {
		background(t, func() { _ = client.Write(ctx, []byte(text), true) })
		got, _, err := server.Read(&control{})
		require.NoError(t, err)
		require.Equal(t, text, string(got))
		frames := limits.Deflate.Frames(got, false)
		if frames == nil {
			frames = wsconn.AppendText(nil, got)
		}
		background(t, func() { _ = server.Write(frames, patiently) })
		back, isText, err := client.Read(ctx)
		require.NoError(t, err)
		require.True(t, isText)
		require.Equal(t, text, string(back))
	}
}

// TestConn_bomb requires that a message that inflates to 1,000 times its size is refused before it
// takes memory, and soon.
func TestConn_bomb(t *testing.T) {
	bomb := packed(strings.Repeat("\x00", 16<<20))
	for name, limits := range map[string]wsconn.Limits{
		"the quota":                  {FrameBytes: 32 << 10, MessageBytes: 128 << 10},
		"the ratio, without a quota": {},
	} {
		server, client := memoryPair(t)
		c := wsconn.NewConn(server, deflating(limits))
		background(t, func() {
			sendNow(client, frame(fin|rsv1|textFrame, bomb), 0)
			_ = client.Close()
		})
		most := uint64(512 << 10)
		if limits.MessageBytes == 0 {
			most = 3 * 200 * uint64(len(bomb)) // the buffer grows twofold
		}
		var err error
		got := allocated(func() { _, _, err = c.Read(&control{}) })
		require.Equal(t, 1009, closeCode(err), name)
		require.Less(t, got, most, name)
	}
}
