package load

import (
	"bytes"
	"net"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/gateway/benchmarks/wire"
)

// A wrong answer of a server is noticed.
func TestConn_Expect(t *testing.T) {
	t.Parallel()
	text := func(payloads ...string) string {
		var b []byte
		for _, p := range payloads {
			b = wire.WebSocket().AppendReply(b, p)
		}
		return string(b)
	}
	long := strings.Repeat("x", 200)
	for name, c := range map[string]struct {
		sent  string
		want  *answers
		fails bool
	}{
		"what was asked for":      {sent: text("ok", "ok"), want: answersOf(wire.WebSocket(), "ok", 2)},
		"a long message":          {sent: text(long), want: answersOf(wire.WebSocket(), long, 1)},
		"one too few":             {sent: text("ok"), want: answersOf(wire.WebSocket(), "ok", 2), fails: true},
		"another message":         {sent: text("ok", "no"), want: answersOf(wire.WebSocket(), "ok", 2), fails: true},
		"lines in one frame":      {sent: text("ok\nok", "ok"), want: linesOf("ok", 3)},
		"a long line":             {sent: text(long), want: linesOf(long, 1)},
		"one line too few":        {sent: text("ok\nok"), want: linesOf("ok", 3), fails: true},
		"one line too many":       {sent: text("ok\nok\nok\nok"), want: linesOf("ok", 3), fails: true},
		"another line":            {sent: text("ok\nno\nok"), want: linesOf("ok", 3), fails: true},
		"lines, a broken-off one": {sent: text("ok", "ok")[:7], want: linesOf("ok", 2), fails: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client, server := net.Pipe()
			go func() {
				for chunk := range bytes.SplitAfterSeq([]byte(c.sent), []byte("k")) { // in pieces, as a network may deliver it
					_, _ = server.Write(chunk)
				}
				_ = server.Close()
			}()
			err := (&conn{Conn: client}).expect(c.want, make([]byte, scratchBytes))
			require.Equal(t, c.fails, err != nil, "%v", err)
			require.NoError(t, client.Close())
		})
	}
}

func linesOf(message string, n int) *answers {
	return answersOf(&wire.Dialect{Lines: true}, message, n)
}

func TestFit(t *testing.T) {
	t.Parallel()
	n, reason := Fit(1)
	require.Equal(t, 1, n)
	require.Empty(t, reason)
	n, reason = Fit(1 << 31)
	require.Zero(t, n)
	require.NotEmpty(t, reason)
}
