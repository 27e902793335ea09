//go:build unix

package e2e

import (
	"strings"
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

	// The list of members comes by itself, so it may be at any place.
	var answers []string
	for n := range 6 {
		if line := c.line(t, n+1); !strings.HasPrefix(line, `{"type":"here","room":"shell"`) {
			answers = append(answers, line)
		}
	}
	require.Len(t, answers, 5)
	isError := func(message string) string {
		return `^\{"message": "` + message + `", "connectionId":"` + c.connectionID + `", "requestId":"[^"]+"\}$`
	}
	require.Regexp(t, isError("join a room first"), answers[0])
	require.Regexp(t, `^\{"type":"joined","room":"shell","nickname":"cat","member":"\w+","connectionId":"`+c.connectionID+`"\}$`, answers[1])
	require.Regexp(t, `^\{"type":"message","room":"shell","nickname":"cat","member":"\w+","text":"hello from wscat","sentAt":"[^"]+"\}$`, answers[2])
	require.Regexp(t, isError("Internal server error"), answers[3])
	require.JSONEq(t, `{"type":"left","room":"shell"}`, answers[4])

	require.Zero(t, chat.terminate(t), "a SIGTERM ends the server with status 0")
	chat.stderr.contains(t, "disconnected", c.connectionID, "status=1001")
	c.waitEnd(t)
}
