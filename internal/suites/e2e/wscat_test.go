//go:build unix

package e2e

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestWscat(t *testing.T) {
	outside(t)
	chat := startChat(t, "chat")
	c := chat.dial(t,
		`{"action":"sendmessage","text":"too early"}`,
		`{"action":"join","room":"shell","nickname":"cat"}`,
		`{"action":"sendmessage","text":"hello from wscat"}`,
		`{"action":"fail"}`,
		`{"action":"leave"}`,
	)

	var early struct{ Type, Message, RequestID string }
	c.message(t, 1, &early)
	require.Equal(t, "error", early.Type)
	require.Equal(t, "join a room first", early.Message)
	require.NotEmpty(t, early.RequestID)

	var members struct {
		Type, Room string
		Members    []struct{ Nickname string }
	}
	c.message(t, 2, &members)
	require.Equal(t, "members", members.Type)
	require.Equal(t, "shell", members.Room)
	require.Len(t, members.Members, 1)
	require.Equal(t, "cat", members.Members[0].Nickname)

	var joined struct{ Type, Room, Nickname, ConnectionID string }
	c.message(t, 3, &joined)
	require.Equal(t, "joined", joined.Type)
	require.Equal(t, "shell", joined.Room)
	require.Equal(t, "cat", joined.Nickname)
	require.Equal(t, c.connectionID, joined.ConnectionID)

	var message struct{ Type, Nickname, Text string }
	c.message(t, 4, &message)
	require.Equal(t, "message", message.Type)
	require.Equal(t, "cat", message.Nickname)
	require.Equal(t, "hello from wscat", message.Text)

	require.Regexp(t, `^\{"message": "Internal server error", "connectionId":"`+c.connectionID+`", "requestId":"[^"]+"\}$`, c.line(t, 5))

	require.JSONEq(t, `{"type":"left","room":"shell"}`, c.line(t, 6))

	require.Zero(t, chat.terminate(t), "a SIGTERM ends the server with status 0")
	chat.stderr.contains(t, "disconnected", c.connectionID, "status=1001")
	c.waitEnd(t)
}
