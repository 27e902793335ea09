package gateway_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
	"example.com/gateway/gatewaytest"
)

func TestManagement_Payloads(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, body, want string }{
		{"an empty body is an empty message", "", ""},
		{"JSON is not looked at", `{"message": "x"}`, `{"message": "x"}`},
		{"every character", "a\x00\r\n\u2028ü€😀", "a\x00\r\n\u2028ü€😀"},
		{"a byte that is no UTF-8", "a\xffb", "a\uFFFDb"},
		{"each byte of a run that is none", "\xff\xfe\x80", "\uFFFD\uFFFD\uFFFD"},
		{"each byte of a character that is cut off", "ab\xe2\x82", "ab\uFFFD\uFFFD"},
		{"only bad bytes, at the quota", strings.Repeat("\xff", 131072), strings.Repeat("\uFFFD", 131072)},
		{"32768 bytes", strings.Repeat("x", 32768), strings.Repeat("x", 32768)},
		{"32769 bytes", strings.Repeat("x", 32769), strings.Repeat("x", 32769)},
		{"131072 bytes, with more than one byte to a character", strings.Repeat("ü€abc", 16384), strings.Repeat("ü€abc", 16384)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			srv := gatewaytest.New(t)
			c := srv.Dial(t)
			requireManagement(t, call(t, srv, "POST", c.ConnectionID(), tc.body), 200, "", "")
			got := c.Receive()
			require.Len(t, got, len(tc.want))
			require.Equal(t, tc.want, got)
		})
	}
}

func TestManagement_TooLarge(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name  string
		lines []string
		body  string
	}{
		{"one byte too many", []string{"Content-Length: 131073"}, strings.Repeat("x", 131073)},
		{"chunks", []string{"Transfer-Encoding: chunked"}, fmt.Sprintf("10000\r\n%s\r\n10001\r\n%s\r\n0\r\n\r\n", strings.Repeat("x", 0x10000), strings.Repeat("x", 0x10001))},
		{"much too many", []string{"Content-Length: 200000"}, strings.Repeat("x", 200_000)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { // so that LastActiveAt is exact
				srv := gatewaytest.New(t)
				c := srv.Dial(t)
				before, err := srv.GetConnection(t.Context(), c.ConnectionID())
				require.NoError(t, err)
				w := wireTo(t, srv)
				request := httpText("POST /test/@connections/"+c.ConnectionID()+" HTTP/1.1", append([]string{"Host: x"}, tc.lines...)...) + tc.body
				go func() { _, _ = w.nc.Write([]byte(request)) }() // the rest may never be read
				requireBare413(t, w.reply())
				after, err := srv.GetConnection(t.Context(), c.ConnectionID())
				require.NoError(t, err)
				require.Equal(t, before, after, "the connection is unaffected")
				requireManagement(t, call(t, srv, "POST", c.ConnectionID(), "next"), 200, "", "")
				require.Equal(t, "next", c.Receive())
				_ = w.nc.Close()
				time.Sleep(time.Second) //nolint:forbidigo // in a synctest bubble: net/http waits before it closes
			})
		})
	}
}

func TestManagement_Requests(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name  string
		lines []string
		body  string
	}{
		{"no content type", []string{"Content-Length: 5"}, "hello"},
		{"octet stream", []string{"Content-Length: 5", "Content-Type: application/octet-stream"}, "hello"},
		{"a form, which is not parsed", []string{"Content-Length: 5", "Content-Type: application/x-www-form-urlencoded"}, "hello"},
		{"a content type that is none", []string{"Content-Length: 5", "Content-Type: ;;"}, "hello"},
		{"in chunks", []string{"Transfer-Encoding: chunked"}, "2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n"},
		{"with headers that are not ours", []string{"Content-Length: 5", "amz-sdk-request: attempt=1", "Authorization: x", "Upgrade: h2c"}, "hello"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			srv := gatewaytest.New(t)
			c := srv.Dial(t)
			w := wireTo(t, srv)
			for range 2 { // on a connection that stays open
				r := w.ask(httpText("POST /prod/@connections/"+c.ConnectionID()+" HTTP/1.1", append([]string{"Host: x"}, tc.lines...)...) + tc.body)
				requireManagement(t, r, 200, "", "")
				require.Equal(t, "hello", c.Receive())
			}
		})
	}
}

func TestManagement_SequentialPostsStayInOrder(t *testing.T) {
	t.Parallel()
	srv := gatewaytest.NewTCP(t)
	c := srv.Dial(t)
	w := wireTo(t, srv)
	for n := range 200 {
		var err error
		if n%2 == 0 {
			requireManagement(t, w.ask(managementText("POST", c.ConnectionID(), fmt.Sprint(n))), 200, "", "")
		} else {
			err = srv.PostToConnection(t.Context(), c.ConnectionID(), []byte(fmt.Sprint(n)))
		}
		require.NoError(t, err)
	}
	for n := range 200 {
		require.Equal(t, fmt.Sprint(n), c.Receive())
	}
}

func TestManagement_SlowClient(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name     string
		quotas   gateway.Quotas
		bytes    int
		accepted int
	}{
		{"by messages", gateway.Quotas{SendBufferMessages: 3}, 10, 3},
		{"by bytes", gateway.Quotas{SendBufferBytes: 25_000}, 10_000, 2},
		{"by bytes, but one message always has room", gateway.Quotas{SendBufferBytes: 1}, 10_000, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				type refused struct {
					id    string
					bytes int
				}
				refusals := make(chan refused, 10)
				srv := gatewaytest.New(t, gateway.WithQuotas(tc.quotas), gateway.WithObserver(&gateway.Observer{
					PostFailed: func(_ context.Context, id string, bytes int, err error) {
						if err != nil {
							refusals <- refused{id, bytes}
						}
					},
				}))
				slow, quick := srv.Dial(t), srv.Dial(t)
				slow.Pause()
				start := time.Now()
				body := func(n int) string { return fmt.Sprint(n) + strings.Repeat("x", tc.bytes-1) }
				for n := range tc.accepted {
					require.Equal(t, 200, call(t, srv, "POST", slow.ConnectionID(), body(n)).status)
					synctest.Wait()
				}
				for range 2 {
					requireManagement(t, call(t, srv, "POST", slow.ConnectionID(), body(9)), 429, "LimitExceededException", "")
					require.Equal(t, refused{slow.ConnectionID(), tc.bytes}, <-refusals)
				}
				require.ErrorIs(t, srv.PostToConnection(t.Context(), slow.ConnectionID(), []byte(body(9))), gateway.ErrLimitExceeded)

				require.Equal(t, 200, call(t, srv, "POST", quick.ConnectionID(), "quick").status)
				require.Equal(t, "quick", quick.Receive())
				require.Equal(t, 200, call(t, srv, "GET", slow.ConnectionID(), "").status)
				require.Equal(t, start, time.Now(), "nobody waited")

				slow.Resume()
				for n := range tc.accepted {
					require.Equal(t, body(n), slow.Receive())
				}
				require.Equal(t, 200, call(t, srv, "POST", slow.ConnectionID(), "again").status)
				require.Equal(t, "again", slow.Receive(), "what was refused never comes")
			})
		})
	}
}

func TestManagement_RefusedPostIsNoActivity(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv := gatewaytest.New(t, gateway.WithQuotas(gateway.Quotas{SendBufferMessages: 1}))
		c := srv.Dial(t)
		c.Pause()
		require.NoError(t, srv.PostToConnection(t.Context(), c.ConnectionID(), []byte("waits")))
		synctest.Wait()
		last := time.Now()
		time.Sleep(time.Second) //nolint:forbidigo // in a synctest bubble
		require.Equal(t, 429, call(t, srv, http.MethodPost, c.ConnectionID(), "x").status)
		got, err := srv.GetConnection(t.Context(), c.ConnectionID())
		require.NoError(t, err)
		require.True(t, got.LastActiveAt.Equal(last))
		c.Resume()
	})
}
