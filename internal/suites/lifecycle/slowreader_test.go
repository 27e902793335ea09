package lifecycle_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
	"example.com/gateway/internal/suites/wiretest"
	"example.com/gateway/internal/testutil"
)

// A client that reads all the time, but slowly, gets every message that was accepted and
// the Close frame, although that takes longer than a client has that reads nothing.
func TestConnection_SlowReaderGetsAllAtTheEnd(t *testing.T) {
	t.Parallel()
	testutil.NeedsLong(t) // the rate of the client
	for kind, serve := range wiretest.Sockets() {
		for name, end := range map[string]struct {
			code   int
			reason string
			begin  func(gw *gateway.Gateway, id string) error
		}{
			"DeleteConnection": {1000, "Connection Closed Normally", func(gw *gateway.Gateway, id string) error {
				return gw.DeleteConnection(context.Background(), id)
			}},
			"Shutdown": {1001, "Going away", func(gw *gateway.Gateway, _ string) error {
				return gw.Shutdown(context.Background())
			}},
		} {
			t.Run(kind+"/"+name, func(t *testing.T) {
				t.Parallel()
				told := make(chan *gateway.Request, 1)
				gw, err := gateway.New()
				require.NoError(t, err)
				t.Cleanup(func() { _ = gw.Close() })
				gw.HandleFunc("$disconnect", func(_ context.Context, req *gateway.Request) (*gateway.Response, error) {
					told <- req
					return nil, nil
				})
				p := serve(t, gw.Handler())
				p.MustOpen()
				size, posts := 100_000, 10
				if kind == "unix" {
					size = 10_000 // the kernel holds less, so that the client is slower
				}
				id := connectionIDs(gw)[0]
				for range posts {
					require.NoError(t, gw.PostToConnection(t.Context(), id, bytes.Repeat([]byte("x"), size)))
				}
				ended := make(chan error, 1)
				go func() { ended <- end.begin(gw, id) }() // the test waits for its end
				got := readSlowly(t, p, size/10)
				closeFrame := append([]byte{wiretest.Close, byte(2 + len(end.reason))}, binary.BigEndian.AppendUint16(nil, uint16(end.code))...)
				require.True(t, bytes.HasSuffix(got, append(closeFrame, end.reason...)), "the last frame is the Close frame")
				require.Equal(t, posts*size, bytes.Count(got, []byte("x")))
				require.NoError(t, <-ended)
				e := <-told
				require.Equal(t, end.code, e.DisconnectStatusCode)
				require.Equal(t, end.reason, e.DisconnectReason)
			})
		}
	}
}

// readSlowly reads n bytes every 100 ms until the end of the stream.
func readSlowly(t *testing.T, p *wiretest.Peer, n int) (all []byte) {
	t.Helper()
	for b := make([]byte, n); ; <-time.After(100 * time.Millisecond) {
		n, err := p.Conn.Conn.Read(b)
		if all = append(all, b[:n]...); err != nil {
			require.ErrorIs(t, err, io.EOF, "the stream ends, and is not reset")
			return all
		}
	}
}
