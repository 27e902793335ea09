package gateway_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
)

// ahead is a client that sends many messages before it reads a reply.
type ahead struct {
	nc net.Conn
	br *bufio.Reader
}

// socketKinds are the transports of a server, which write in different ways.
func socketKinds() map[string]func(*testing.T, http.Handler) ahead {
	return map[string]func(*testing.T, http.Handler) ahead{
		"tcp": func(t *testing.T, h http.Handler) ahead {
			t.Helper()
			srv := httptest.NewServer(h)
			t.Cleanup(srv.Close)
			return sendAhead(t, func() (net.Conn, error) { return net.Dial("tcp", srv.Listener.Addr().String()) })
		},
		"tls": func(t *testing.T, h http.Handler) ahead {
			t.Helper()
			srv := httptest.NewTLSServer(h)
			t.Cleanup(srv.Close)
			return sendAhead(t, func() (net.Conn, error) {
				return tls.Dial("tcp", srv.Listener.Addr().String(), &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // to ourselves
			})
		},
		"unix": func(t *testing.T, h http.Handler) ahead {
			t.Helper()
			l, err := net.Listen("unix", t.TempDir()+"/s")
			require.NoError(t, err)
			srv := httptest.NewUnstartedServer(h)
			_ = srv.Listener.Close()
			srv.Listener = l
			srv.Start()
			t.Cleanup(srv.Close)
			return sendAhead(t, func() (net.Conn, error) { return net.Dial("unix", l.Addr().String()) })
		},
	}
}

func sendAhead(t *testing.T, dial func() (net.Conn, error)) ahead {
	t.Helper()
	nc, err := dial()
	require.NoError(t, err)
	t.Cleanup(func() { _ = nc.Close() })
	require.NoError(t, nc.SetDeadline(time.Now().Add(time.Minute)))
	_, err = fmt.Fprint(nc, "GET /test HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
	require.NoError(t, err)
	br := bufio.NewReader(nc)
	resp, err := http.ReadResponse(br, nil) //nolint:bodyclose // a 101 has none
	require.NoError(t, err)
	require.Equal(t, http.StatusSwitchingProtocols, resp.StatusCode)
	return ahead{nc, br}
}

// send writes all messages in one go, beside what is read meanwhile.
func (a ahead) send(messages ...string) <-chan error {
	var all []byte
	for _, m := range messages {
		all = append(all, largeFrame(finText, m)...)
	}
	failed := make(chan error, 1)
	go func() { // ends when all is written, or with the connection
		_, err := a.nc.Write(all)
		failed <- err
	}()
	return failed
}

// largeFrame is frame for payloads of any size.
func largeFrame(first byte, payload string) []byte {
	b := []byte{first}
	switch n := len(payload); {
	case n < 126:
		b = append(b, 0x80|byte(n))
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, 0x80|126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 0x80|127), uint64(n))
	}
	return append(append(b, 0, 0, 0, 0), payload...)
}

// receive returns the payload of the next frame, or of the next fragmented message.
func (a ahead) receive(t *testing.T) string {
	t.Helper()
	var message strings.Builder
	for {
		var head [2]byte
		_, err := io.ReadFull(a.br, head[:])
		require.NoError(t, err)
		n := uint64(head[1])
		switch n {
		case 126:
			var length [2]byte
			_, err = io.ReadFull(a.br, length[:])
			n = uint64(binary.BigEndian.Uint16(length[:]))
		case 127:
			var length [8]byte
			_, err = io.ReadFull(a.br, length[:])
			n = binary.BigEndian.Uint64(length[:])
		}
		require.NoError(t, err)
		_, err = io.CopyN(&message, a.br, int64(n))
		require.NoError(t, err)
		if head[0]&0x80 != 0 {
			return message.String()
		}
	}
}

// However many messages a client sends ahead, each gets its reply, in order: with
// any bound of the send buffer, over any socket, whether the integrations return at
// once or not until the client has had all replies before.
func TestPipelining_everyMessageIsAnswered(t *testing.T) {
	t.Parallel()
	type bound struct{ messages, bytes int }
	bounds := []bound{{0, 0}, {1, 0}, {2, 0}, {8, 0}, {0, 1}, {0, 64}, {0, 3000}, {3, 64}, {-1, -1}}
	depths := []int{1, 2, 7, 8, 9, 64, 255, 256, 257, 300, 1000, 5000}
	for socket, dial := range socketKinds() {
		for _, quick := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, quick %v", socket, quick), func(t *testing.T) {
				t.Parallel()
				for _, b := range bounds {
					for _, inFlight := range []int{1, 4, -1} {
						for _, depth := range depths {
							if inFlight != 1 && (depth > 300 || !quick) || !quick && depth > 64 {
								continue // the order of overlapping integrations is free; slow ones take their time
							}
							quotas := gateway.Quotas{SendBufferMessages: b.messages, SendBufferBytes: b.bytes, InFlight: inFlight}
							pipeline(t, dial, quotas, depth, quick)
						}
					}
				}
			})
		}
	}
}

func pipeline(t *testing.T, dial func(*testing.T, http.Handler) ahead, quotas gateway.Quotas, depth int, quick bool) {
	t.Helper()
	gw, err := gateway.New(gateway.WithQuotas(quotas))
	require.NoError(t, err)
	defer gw.Close()
	var received atomic.Int64
	arrived := make(chan struct{}, depth)
	gw.HandleFunc("$default", func(ctx context.Context, req *gateway.Request) (*gateway.Response, error) {
		var n int64
		if _, err := fmt.Sscan(string(req.Body), &n); err != nil {
			return nil, err
		}
		for !quick && n%5 == 4 && received.Load() < n { // a reply before is held back no longer than this runs
			select {
			case <-arrived:
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
		return &gateway.Response{Body: []byte(strings.Repeat(string(req.Body)+" ", 1+int(n%3)*20))}, nil
	}, gateway.WithRouteResponse())
	c := dial(t, gw.Handler())
	messages := make([]string, depth)
	want := map[string]bool{}
	for n := range messages {
		messages[n] = fmt.Sprint(n)
		want[messages[n]] = true
	}
	failed := c.send(messages...)
	for n := range depth {
		number, _, _ := strings.Cut(c.receive(t), " ")
		require.True(t, want[number], "an answer to %s, %+v", number, quotas)
		delete(want, number)
		if quotas.InFlight == 1 {
			require.Equal(t, messages[n], number, "%+v", quotas)
		}
		received.Add(1)
		arrived <- struct{}{}
	}
	require.NoError(t, <-failed)
}

// A connection can be sent ahead to for ever: what its replies count for is given
// back.
func TestPipelining_forEver(t *testing.T) {
	t.Parallel()
	for reply, received := range map[string]string{
		"": "", "x": "x", "\xff\xfe\xfd": "\uFFFD\uFFFD\uFFFD", strings.Repeat("y", 200): strings.Repeat("y", 200),
	} {
		t.Run(fmt.Sprintf("%d bytes", len(reply)), func(t *testing.T) {
			t.Parallel()
			gw, err := gateway.New(gateway.WithQuotas(gateway.Quotas{SendBufferBytes: 4 << 10}))
			require.NoError(t, err)
			defer gw.Close()
			gw.HandleFunc("$default", func(_ context.Context, req *gateway.Request) (*gateway.Response, error) {
				return &gateway.Response{Body: append([]byte(reply), req.Body...)}, nil
			}, gateway.WithRouteResponse())
			c := socketKinds()["tcp"](t, gw.Handler())
			for range 4 << 10 {
				failed := c.send("1", "2", "3")
				for _, want := range []string{"1", "2", "3"} {
					require.Equal(t, received+want, c.receive(t))
				}
				require.NoError(t, <-failed)
			}
		})
	}
}

// A reply that is ready does not wait for the messages behind it, however quick each
// of them is.
func TestPipelining_repliesAreNotHeldBack(t *testing.T) {
	t.Parallel()
	for name, replies := range map[string]bool{"with replies": true, "without": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const messages, busy = 300, 700 * time.Microsecond
			gw, err := gateway.New()
			require.NoError(t, err)
			defer gw.Close()
			var ran atomic.Int64
			gw.HandleFunc("$default", func(_ context.Context, req *gateway.Request) (*gateway.Response, error) {
				if ran.Add(1) == 1 {
					return &gateway.Response{Body: []byte("first")}, nil
				}
				for end := time.Now().Add(busy); time.Now().Before(end); { //nolint:revive // it is busy
				}
				if !replies && string(req.Body) != "last" {
					return nil, nil
				}
				return &gateway.Response{Body: req.Body}, nil
			}, gateway.WithRouteResponse())
			c := socketKinds()["tcp"](t, gw.Handler())
			all := make([]string, messages)
			for n := range all {
				all[n] = "next"
			}
			all[messages-1] = "last"
			failed := c.send(all...)
			require.Equal(t, "first", c.receive(t))
			require.Less(t, ran.Load(), int64(messages/2), "it came long before the others had run")
			for last := ""; last != "last"; last = c.receive(t) { //nolint:revive // it only reads
			}
			require.NoError(t, <-failed)
		})
	}
}
