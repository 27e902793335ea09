package wsconn_test

import (
	"errors"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/gateway/internal/wsconn"
)

// readCase is what a client sends and what Read makes of it.
type readCase struct {
	name     string
	limits   wsconn.Limits
	in       []byte
	messages []string
	pings    []string
	code     int // 0: the stream ends without a CloseError
	reason   string
	remote   bool
}

var quotas = wsconn.Limits{FrameBytes: 300, MessageBytes: 1000}

func readCases() []readCase {
	x := func(n int) string { return strings.Repeat("x", n) }
	tooBig := func(name string, limits wsconn.Limits, in ...[]byte) readCase {
		return readCase{name: name, limits: limits, in: join(in...), code: 1009, reason: "Message too big"}
	}
	violation := func(name string, in ...[]byte) readCase {
		return readCase{name: name, in: join(in...), code: 1002, reason: "Protocol error"}
	}
	badText := func(name string, in ...[]byte) readCase {
		return readCase{name: name, in: join(in...), code: 1007, reason: "Invalid UTF-8"}
	}
	remote := func(name string, code int, reason string, in ...[]byte) readCase {
		return readCase{name: name, in: join(in...), code: code, reason: reason, remote: true}
	}
	cases := []readCase{
		{name: "text in one frame", in: text("hello"), messages: []string{"hello"}},
		{name: "an empty text is a message", in: text(""), messages: []string{""}},
		{name: "an empty text in fragments is a message", in: join(frame(textFrame, ""), frame(contFrame, ""), frame(fin|contFrame, "")), messages: []string{""}},
		{name: "several frames at once", in: join(text("a"), text(""), text("ccc")), messages: []string{"a", "", "ccc"}},
		{name: "a payload larger than any buffer", in: join(text(x(3*wsconn.InputBytes+7)), text("after")), messages: []string{x(3*wsconn.InputBytes + 7), "after"}},
		{name: "a payload larger than the first allocation", in: join(text(x(2*wsconn.FirstPayload+3)), text("after")), messages: []string{x(2*wsconn.FirstPayload + 3), "after"}},
		{name: "fragments", in: join(frame(textFrame, "he"), frame(contFrame, "ll"), frame(fin|contFrame, "o"), text("next")), messages: []string{"hello", "next"}},
		{name: "a ping between fragments", in: join(frame(textFrame, "he"), frame(fin|pingOp, "p"), frame(fin|contFrame, "llo")), messages: []string{"hello"}, pings: []string{"p"}},
		{name: "pings of any size, pongs without a ping", in: join(frame(fin|pingOp, ""), frame(fin|pongOp, "stray"), frame(fin|pingOp, x(125))), pings: []string{"", x(125)}},
		{name: "a rune split across fragments", in: join(frame(textFrame, "\xe2\x82"), frame(fin|contFrame, "\xac")), messages: []string{"€"}},
		{name: "a frame at the quota", limits: quotas, in: text(x(300)), messages: []string{x(300)}},
		{name: "a message at the quota", limits: quotas, in: join(frame(textFrame, x(300)), frame(contFrame, x(300)), frame(contFrame, x(300)), frame(fin|contFrame, x(100))), messages: []string{x(1000)}},
		{name: "the stream ends in a header", in: text("hello")[:3]},
		{name: "the stream ends in a payload", in: text("hello")[:8]},
		{name: "the stream ends within a message", in: frame(textFrame, "hello")},
		{name: "a length that needs fewer bytes is let pass", in: join([]byte{fin | textFrame, 0x80 | 127, 0, 0, 0, 0, 0, 0, 0, 1}, testKey[:], []byte{'a' ^ testKey[0]}), messages: []string{"a"}},

		tooBig("a frame one above the quota", quotas, text(x(301))),
		tooBig("a fragment one above the quota", quotas, frame(textFrame, x(301))),
		tooBig("a message one above the quota", quotas, frame(textFrame, x(300)), frame(contFrame, x(300)), frame(contFrame, x(300)), frame(fin|contFrame, x(101))),
		tooBig("a message in one frame above the quota", wsconn.Limits{MessageBytes: 1000}, text(x(1001))),
		tooBig("a refused length needs no payload", quotas, announce(fin|textFrame, 1<<62)),

		{name: "binary", in: frame(fin|binFrame, "ab"), code: 1003, reason: "Binary is not supported"},
		{name: "binary in fragments", in: frame(binFrame, "ab"), code: 1003, reason: "Binary is not supported"},

		badText("text that is not UTF-8", text("a\xff")),
		badText("half a rune at the end", text("\xe2\x82")),
		badText("a surrogate", text("\xed\xa0\x80")),
		badText("fragments that are not UTF-8", frame(textFrame, "\xe2\x82"), frame(fin|contFrame, "x")),

		violation("reserved bit 1, compression that was not negotiated", frame(fin|0x40|textFrame, "a")),
		violation("reserved bit 2", frame(fin|0x20|textFrame, "a")),
		violation("reserved bit 3 of a control frame", frame(fin|0x10|pingOp, "a")),
		violation("a frame without a mask", []byte{fin | textFrame, 1, 'a'}),
		violation("a ping without a mask", []byte{fin | pingOp, 0}),
		violation("a control frame in fragments", frame(pingOp, "a")),
		violation("a control frame of 126 bytes", frame(fin|pingOp, x(126))),
		violation("a control frame that announces very much", announce(fin|closeOp, 1<<62)),
		violation("a length with its highest bit", announce(fin|textFrame, 1<<63)),
		violation("a continuation without a start", frame(fin|contFrame, "a")),
		{name: "a continuation after the end", in: join(text("a"), frame(fin|contFrame, "")), messages: []string{"a"}, code: 1002, reason: "Protocol error"},
		violation("a text within fragments", frame(textFrame, "a"), text("b")),
		violation("a close frame with half a code", frame(fin|closeOp, "\x03")),

		remote("a close frame with code and reason", 1000, "bye €", closing(1000, "bye €")),
		remote("a close frame with a code", 1001, "", closing(1001, "")),
		remote("a close frame with a code of an application", 4999, "", closing(4999, "")),
		remote("a close frame with a code of a library", 3000, "", closing(3000, "")),
		remote("a close frame with a registered code", 1014, "", closing(1014, "")),
		remote("a close frame with a reason of 123 bytes", 1000, x(123), closing(1000, x(123))),
		remote("a close frame without a code", 1005, "", frame(fin|closeOp, "")),
		remote("a close frame between fragments", 1000, "", frame(textFrame, "a"), closing(1000, "")),
		badText("a close reason that is not UTF-8", closing(1000, "\xff")),
	}
	for _, n := range []int{125, 126, 127, 65535, 65536} { // where the encoding of the length changes
		cases = append(cases, readCase{name: "a text at a border of the length's form", in: join(text(x(n)), text("after")), messages: []string{x(n), "after"}})
	}
	for op := byte(0); op < 16; op++ {
		if op > binFrame && op < closeOp || op > pongOp {
			cases = append(cases, violation("an unknown opcode", frame(fin|op, "a")))
		}
	}
	for _, code := range []int{0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535} {
		cases = append(cases, violation("a close code that must not be sent", closing(code, "x")))
	}
	return cases
}

func TestConn_Read(t *testing.T) {
	t.Parallel()
	pieces := []struct {
		name string
		n    int
	}{{"in one write", 0}, {"byte by byte", 1}}
	for _, tc := range append(readCases(), deflatedCases()...) {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			for _, p := range pieces {
				if p.n > 0 && len(tc.in) > 10_000 {
					continue // adds nothing new, and is slow
				}
				t.Run(p.name, func(t *testing.T) {
					t.Parallel()
					overTransports(t, tc.limits, func(t *testing.T, c *wsconn.Conn, peer net.Conn) {
						background(t, func() {
							sendNow(peer, tc.in, p.n)
							if tc.code == 0 {
								_ = peer.Close()
							}
						})
						requireReads(t, tc, c)
						c.Close()
					})
				})
			}
		})
	}
}

func requireReads(t *testing.T, tc readCase, c *wsconn.Conn) {
	t.Helper()
	var ctl control
	messages, err := readAll(c, &ctl)
	require.Equal(t, tc.messages, messages)
	require.Equal(t, tc.pings, ctl.pings)
	var ce *wsconn.CloseError
	if tc.code == 0 {
		require.True(t, errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF), "%v", err)
		return
	}
	require.ErrorAs(t, err, &ce)
	require.Equal(t, []any{tc.code, tc.reason, tc.remote}, []any{ce.Code, ce.Reason, ce.Remote}, ce.Detail)
	require.NotEmpty(t, ce.Error())
}

// readAll reads until Read returns an error.
func readAll(c *wsconn.Conn, ctl wsconn.Control) (messages []string, err error) {
	for {
		message, _, err := c.Read(ctl)
		if err != nil {
			return messages, err
		}
		messages = append(messages, string(message))
	}
}
