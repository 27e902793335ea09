package gateway_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
	"example.com/gateway/gatewaytest"
	"example.com/gateway/internal/suites/wiretest"
)

// A body that does not come is given up after a minute, whoever may call and whatever the
// path is. The caller gets an answer.
func TestManagement_BodyThatNeverComes(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, line string
		opts       []gateway.Option
		status     int
	}{
		{"a post", "POST /prod/@connections/ID", nil, 500},
		{"to an audience", "POST /prod/@connections?all=true", []gateway.Option{gateway.WithManagementExtensions()}, 500},
		{"a state", "PUT /prod/@connections/ID/state", []gateway.Option{gateway.WithManagementExtensions()}, 500},
		{"a call that nobody knows", "PUT /prod/@connections/x/y", nil, 403},
	} {
		for name, body := range map[string]string{
			"nothing": "Content-Length: 10\r\n\r\n", "a part": "Content-Length: 10\r\n\r\nabc", "a chunk": "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
		} {
			t.Run(tt.name+"/"+name, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					srv := gatewaytest.New(t, tt.opts...)
					c := srv.Dial(t)
					w := wiretest.Dial(t, srv.HTTPClient())
					began := time.Now()
					w.MustWriteString(strings.ReplaceAll(tt.line, "ID", url.QueryEscape(c.ConnectionID())) + " HTTP/1.1\r\nHost: x\r\n" + body)
					require.Equal(t, tt.status, w.MustReadAnswer().Status)
					require.Equal(t, time.Minute, time.Since(began))
					w.ExpectEnd()
					require.NoError(t, srv.PostToConnection(t.Context(), c.ConnectionID(), []byte("end")))
					require.Equal(t, "end", c.Receive(), "nothing was posted")
				})
			})
		}
	}
}

// slowReader gives some bytes each second.
type slowReader struct {
	rest  io.Reader
	bytes int64
}

func (r slowReader) Read(b []byte) (int, error) {
	time.Sleep(time.Second) //nolint:forbidigo // in a synctest bubble
	return r.rest.Read(b[:min(int64(len(b)), r.bytes)])
}

// A long body that comes slowly has more time than a short one. One that is too slow is given up.
func TestManagement_BodyThatComesSlowly(t *testing.T) {
	t.Parallel()
	line := `{"to":{"id":"a"},"data":"` + strings.Repeat("x", 1000) + `"}` + "\n"
	batch := strings.Repeat(line, (1<<20)/len(line))
	for name, row := range map[string]struct {
		bytesEachSecond int64
		status          int
		least           time.Duration
	}{
		"a line of a village":       {4 << 10, 200, 4 * time.Minute},
		"less than 64 KiB a minute": {1 << 10, 500, time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				srv := gatewaytest.New(t, gateway.WithManagementExtensions())
				began := time.Now()
				req, err := http.NewRequest(http.MethodPost, srv.ManagementURL()+"/@connections", slowReader{strings.NewReader(batch), row.bytesEachSecond})
				require.NoError(t, err)
				req.Header.Set("Content-Type", ndjson)
				req.ContentLength = int64(len(batch))
				resp, err := srv.HTTPClient().Do(req)
				require.NoError(t, err)
				defer resp.Body.Close()
				_, err = io.ReadAll(resp.Body)
				require.NoError(t, err)
				require.Equal(t, row.status, resp.StatusCode)
				took := time.Since(began)
				require.GreaterOrEqual(t, took, row.least)
				require.Less(t, took, row.least+time.Minute)
				time.Sleep(time.Hour) //nolint:forbidigo // in a synctest bubble: the client reads the body to its end
			})
		})
	}
}

// The time of a body ends with it: it bounds neither the ManagementAuth nor the next calls
// on the same network connection.
func TestManagement_BodyThatHasComeIsNotTimed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv := gatewaytest.New(t, gateway.WithManagementExtensions(), gateway.WithManagementAuth(gateway.ManagementAuthFunc(func(ctx context.Context, _ *gateway.ManagementCall) error {
			select {
			case <-ctx.Done():
			case <-time.After(3 * time.Minute):
			}
			return ctx.Err()
		})))
		c := srv.Dial(t)
		w := wiretest.Dial(t, srv.HTTPClient())
		for n := range 3 {
			text := fmt.Sprint(n)
			require.Equal(t, 200, w.MustAsk("POST /prod/@connections/"+url.QueryEscape(c.ConnectionID())+" HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n"+text).Status)
			require.Equal(t, text, c.Receive())
			require.Equal(t, 200, w.MustAsk("GET /prod/@connections HTTP/1.1\r\nHost: x\r\n\r\n").Status)
		}
	})
}

// A caller that reads nothing holds up its call for 30 s, however long the answer is.
func TestManagement_CallerReadsNothing(t *testing.T) {
	t.Parallel()
	batch := strings.Repeat(`{"to":{"id":["a","b"]},"data":""}`+"\n", 5000)
	for name, request := range map[string]string{
		"batch": fmt.Sprintf("POST /prod/@connections HTTP/1.1\r\nHost: x\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s", ndjson, len(batch), batch),
		"list":  "GET /prod/@connections HTTP/1.1\r\nHost: x\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				gw, err := gateway.New(gateway.WithManagementExtensions(), gateway.WithoutManagementAuth())
				require.NoError(t, err)
				t.Cleanup(func() { require.NoError(t, gw.Close()) })
				gw.HandleFunc("$connect", answerNothing)
				took := make(chan time.Duration, 1)
				mux := http.NewServeMux()
				mux.Handle("/ws", gw.Handler())
				mux.HandleFunc("/prod/@connections", func(w http.ResponseWriter, r *http.Request) {
					began := time.Now()
					gw.ManagementHandler().ServeHTTP(w, r)
					took <- time.Since(began)
				})
				service := gatewaytest.ServeHandler(t, mux)
				for range 20 {
					c := service.Dial(t, gatewaytest.Path("/ws"))
					require.NoError(t, gw.SetState(t.Context(), c.ConnectionID(), []byte(strings.Repeat("x", 4000))))
				}
				w := wiretest.Dial(t, service.HTTPClient())
				w.MustWriteString(request)
				require.Equal(t, 30*time.Second, <-took)
			})
		})
	}
}

// A caller that reads slowly, but reads, gets the whole answer.
func TestManagement_CallerReadsSlowly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv := gatewaytest.New(t, gateway.WithManagementExtensions())
		batch := strings.Repeat(`{"to":{"id":"a"},"data":""}`+"\n", 1000)
		resp, err := srv.HTTPClient().Post(srv.ManagementURL()+"/@connections", ndjson, strings.NewReader(batch))
		require.NoError(t, err)
		defer resp.Body.Close()
		var answer strings.Builder
		began := time.Now()
		for err == nil {
			_, err = io.CopyN(&answer, resp.Body, 8<<10)
			time.Sleep(20 * time.Second) //nolint:forbidigo // in a synctest bubble: the caller is slow
		}
		require.ErrorIs(t, err, io.EOF)
		require.Equal(t, 1000, strings.Count(answer.String(), "\n"))
		require.Greater(t, time.Since(began), 5*time.Minute)
	})
}
