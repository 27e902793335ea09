package outbox

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/gateway/internal/wsconn"
)

// Each form of a message for many clients is made once, and only if a client needs it.
func TestShared(t *testing.T) {
	t.Parallel()
	windows := wsconn.NewWindows(wsconn.Limits{}, wsconn.Deflate{Threshold: 100, Level: 1})
	large, small := windows[15].Deflate, windows[8].Deflate
	t.Run("both forms", func(t *testing.T) {
		t.Parallel()
		s := Share([]byte(strings.Repeat("hello ", 100)), false)
		packed := s.Frames(large)
		require.Nil(t, s.plain)
		require.Same(t, &packed[0], &s.Frames(large)[0])
		plain := s.Frames(nil)
		require.Equal(t, TextFrame(s.data), plain)
		require.Same(t, &plain[0], &s.Frames(nil)[0])
		require.Same(t, &plain[0], &s.Frames(small)[0], "it is longer than the window")
		require.Less(t, len(packed), len(plain)/4)
	})
	t.Run("below the threshold", func(t *testing.T) {
		t.Parallel()
		s := Share([]byte("hello"), false)
		require.Equal(t, TextFrame(s.data), s.Frames(large))
		require.False(t, s.packing)
	})
	t.Run("binary", func(t *testing.T) {
		t.Parallel()
		s := Share([]byte(strings.Repeat("\xff", 300)), true)
		require.True(t, s.Binary())
		require.Equal(t, BinaryFrame(s.data), s.Frames(nil))
		require.Equal(t, byte(0x82), s.Frames(nil)[0])
		require.Equal(t, byte(0xc2), s.Frames(large)[0])
		require.Less(t, len(s.Frames(large)), 50)
	})
	t.Run("what becomes no shorter is tried once", func(t *testing.T) {
		t.Parallel()
		s := &Shared{data: []byte(strings.Repeat("hello ", 100)), packing: true}
		require.Equal(t, TextFrame(s.data), s.Frames(large))
	})
}
