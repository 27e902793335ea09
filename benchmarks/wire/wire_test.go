package wire_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/gateway/benchmarks/wire"
)

// All variants get messages of the same size, and the messages are valid.
func TestDialect_Messages(t *testing.T) {
	t.Parallel()
	for _, message := range []string{
		wire.WebSocket().Request, wire.TCP().Request, wire.Centrifuge().Request, wire.Message(0), wire.Message(12345678),
	} {
		require.Len(t, message, wire.MessageBytes)
		require.True(t, json.Valid([]byte(message)), message)
	}
	require.NotEqual(t, wire.Message(1), wire.Message(2))
}

func TestDialect_Frames(t *testing.T) {
	t.Parallel()
	require.Equal(t, "\x00\x00\x00\x02ok", string(wire.TCP().AppendRequest(nil, "ok")))
	require.Equal(t, "\x00\x00\x00\x02ok", string(wire.TCP().AppendReply(nil, "ok")))
	require.Equal(t, "\x81\x82\x37\xfa\x21\x3d\x58\x91", string(wire.WebSocket().AppendRequest(nil, "ok")))
	require.Equal(t, "\x81\x02ok", string(wire.WebSocket().AppendReply(nil, "ok")))
	require.Equal(t, "\x88\x82\x37\xfa\x21\x3d\x34\x12", string(wire.AppendClose(nil)))
}
