package wsconn_test

import (
	"bufio"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"nhooyr.io/websocket"

	"example.com/gateway/internal/wsconn"
)

// TestWorkarounds records how nhooyr.io/websocket v1.8.17 behaves where this package
// relies on it or works around it. If a case fails, the code that it names can become
// simpler or has to change.
func TestWorkarounds(t *testing.T) {
	t.Parallel()
	accept := func(t *testing.T, request string) (*httptest.ResponseRecorder, error) {
		t.Helper()
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(request)))
		require.NoError(t, err)
		w := httptest.NewRecorder()
		_, err = websocket.Accept(hijackable{w}, r, nil)
		require.Error(t, err)
		return w, err
	}
	t.Run("CheckHandshake needs a recorder: Accept says 101 before it hijacks, in one call", func(t *testing.T) {
		t.Parallel()
		w, err := accept(t, upgrade())
		require.ErrorIs(t, err, errHijack) // the cause can still be found
		require.Equal(t, http.StatusSwitchingProtocols, w.Code)
		require.Equal(t, sampleAccept, w.Header().Get("Sec-WebSocket-Accept"))
	})
	t.Run("CheckHandshake changes the status for a wrong version: Accept answers 400", func(t *testing.T) {
		t.Parallel()
		w, _ := accept(t, upgrade("Sec-WebSocket-Version: 8"))
		require.Equal(t, http.StatusBadRequest, w.Code)
		require.Equal(t, "13", w.Header().Get("Sec-WebSocket-Version"))
		require.Empty(t, w.Header().Get("Upgrade"))
	})
	t.Run("CheckHandshake adds Upgrade for HTTP/1.0: Accept leaves it out", func(t *testing.T) {
		t.Parallel()
		w, _ := accept(t, upgrade("GET /path HTTP/1.0"))
		require.Equal(t, http.StatusUpgradeRequired, w.Code)
		require.Empty(t, w.Header().Get("Upgrade"))
	})
	t.Run("CheckHandshake adds Allow for POST: Accept leaves it out", func(t *testing.T) {
		t.Parallel()
		w, _ := accept(t, upgrade("POST /path HTTP/1.1"))
		require.Equal(t, http.StatusMethodNotAllowed, w.Code)
		require.Empty(t, w.Header().Get("Allow"))
	})
	t.Run("CheckHandshake refuses a body: Accept takes it", func(t *testing.T) {
		t.Parallel()
		w, _ := accept(t, upgrade("Content-Length: 3")+"abc")
		require.Equal(t, http.StatusSwitchingProtocols, w.Code)
	})
	t.Run("WriteFragments makes one frame more than its parts", func(t *testing.T) {
		t.Parallel()
		p := dial(t, wsconn.Limits{})
		require.NoError(t, p.client.WriteFragments(p.ctx, []byte("a")))
		_, _, err := p.server.Read(&control{})
		require.NoError(t, err)
		// With a quota of one byte the empty last frame is still accepted.
		p = dial(t, wsconn.Limits{FrameBytes: 1, MessageBytes: 1})
		require.NoError(t, p.client.WriteFragments(p.ctx, []byte("a")))
		_, _, err = p.server.Read(&control{})
		require.NoError(t, err)
	})
	t.Run("Client.Read answers a close frame with the same one, so that Discard ends", func(t *testing.T) {
		t.Parallel()
		p := dial(t, wsconn.Limits{})
		background(t, func() { _, _, _ = p.client.Read(p.ctx) })
		require.NoError(t, p.server.Write(wsconn.AppendClose(nil, 4321, "why"), within(patience)))
		_, _, err := p.server.Read(&control{})
		var ce *wsconn.CloseError
		require.ErrorAs(t, err, &ce)
		require.Equal(t, []any{4321, "why"}, []any{ce.Code, ce.Reason})
	})
}

var errHijack = errors.New("no socket here")

// hijackable has a Hijack method that always fails.
type hijackable struct{ *httptest.ResponseRecorder }

func (hijackable) Hijack() (net.Conn, *bufio.ReadWriter, error) { return nil, nil, errHijack }
