package gateway_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
	"example.com/gateway/gatewaytest"
	"example.com/gateway/internal/connid"
)

// FuzzManagement calls the management handler with any target, in which ID is the
// ID of an open connection, and any body. Only the last two segments of the path
// say what is meant, nothing happens without permission, and every answer is one
// of the service's.
func FuzzManagement(f *testing.F) {
	for _, target := range []string{
		"/prod/@connections/ID", "/prod/%40connections/ID?a=b", "//@connections/ID", "/@connections/x/@connections/ID", "/@connections/ID/", "/@connections/ID/x", "/@connections/x/ID", "/@connections/", "/@connections%2FID",
		"/@connections/x/../ID", "/@connections/ID%2F", "/@connections/+ID", "/@connections/IDx", "http://evil.example/@connections/ID", "/@connections/AAAAAAAAAAAAAAA%3D", "/@Connections/ID", "/@connections/%zz", "*", "?", "/@connections/ID#x", "/@connections/%0d%0aID",
	} {
		for n, method := range append(operations(), "PUT") {
			f.Add(method, target, strings.Repeat("\xffhi", n), n != 2)
		}
	}
	f.Fuzz(func(t *testing.T, method, target, body string, admit bool) {
		asked := 0
		srv := gatewaytest.New(t, gateway.WithManagementAuth(gateway.ManagementAuthFunc(func(_ context.Context, call *gateway.ManagementCall) error {
			got := call.Body
			asked++
			require.Equal(t, body, string(got))
			if admit {
				return nil
			}
			return gateway.ErrForbidden
		})))
		c := srv.Dial(t)
		id := c.ConnectionID()
		target = strings.ReplaceAll(target, "ID", url.PathEscape(id))
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(fmt.Sprintf("%s %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", method, target, len(body), body))))
		if err != nil || r.ContentLength != int64(len(body)) {
			return
		}
		w := httptest.NewRecorder()
		srv.ManagementHandler().ServeHTTP(w, r)

		meant, named := meantConnection(r.URL.EscapedPath())
		known := r.Method == "POST" || r.Method == "GET" || r.Method == "DELETE"
		_, issued := connid.Parse(meant)
		want := map[string]int{"POST": 200, "GET": 200, "DELETE": 204}[r.Method]
		switch {
		case !named || !known:
			want = 403
		case !issued:
			want = 400
		case !admit:
			want = 403
		case meant != id:
			want = 410
		}
		require.Equal(t, want, w.Code, "%s %q", r.Method, target)
		require.Equal(t, named && known && issued, asked == 1, "permission is asked for once")
		if w.Body.Len() > 0 {
			require.True(t, json.Valid(w.Body.Bytes()), w.Body.String())
		}
		if want == 400 {
			message, err := json.Marshal(map[string]string{"message": "Invalid connectionId: " + meant})
			require.NoError(t, err)
			require.JSONEq(t, string(message), w.Body.String())
		}
		for name, values := range w.Header() {
			require.NotContains(t, name+strings.Join(values, ""), "\n")
		}
		done := want == 200 || want == 204
		if done && r.Method == "POST" {
			require.Equal(t, string([]rune(body)), c.Receive())
		}
		err = srv.PostToConnection(t.Context(), id, []byte("end"))
		if done && r.Method == "DELETE" {
			require.ErrorIs(t, err, gateway.ErrGone)
			return
		}
		require.NoError(t, err, "nothing else closes it")
		require.Equal(t, "end", c.Receive(), "nothing else was sent")
	})
}

// meantConnection is the connection that a path is about: the segment behind a
// last but one that is @connections.
func meantConnection(path string) (id string, ok bool) {
	segments := strings.Split(path, "/")
	if len(segments) < 3 {
		return "", false
	}
	name, err := url.PathUnescape(segments[len(segments)-2])
	if err != nil || name != "@connections" {
		return "", false
	}
	id, err = url.PathUnescape(segments[len(segments)-1])
	return id, err == nil && id != ""
}
