package forward_test

import (
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway/internal/endpoint"
	"example.com/gateway/internal/event"
	"example.com/gateway/internal/forward"
	"example.com/gateway/internal/mapping"
)

func TestReserved(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]bool{
		"Connection": true, "connection": true, "TE": true, "Transfer_Encoding": true, "content-length": true, "Expect": true, "Upgrade": true,
		"Host": false, "Authorization": false, "Content-Type": false, "X-Connection": false, "": false,
	} {
		require.Equal(t, want, forward.Reserved(name), name)
	}
	require.False(t, forward.HopByHop("Expect"))
	require.True(t, forward.HopByHop("keep-alive"))
}

func TestNamedInConnection(t *testing.T) {
	t.Parallel()
	headers := http.Header{"Connection": {"Upgrade, x-one", " X-Two"}}
	for name, want := range map[string]bool{"X-One": true, "x-two": true, "upgrade": true, "X-Three": false, "": false} {
		require.Equal(t, want, forward.NamedInConnection(headers, name), name)
	}
}

// noValues resolves nothing.
type noValues struct{}

func (noValues) Values(mapping.Place, string) []string { return nil }
func (noValues) Body(mapping.Place) ([]byte, bool)     { return nil, false }

func TestCall_Do(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			panic(err)
		}
		for name := range r.Header {
			w.Header().Set("Got-"+name, r.Header.Get(name))
		}
		if len(body) == 0 {
			body = []byte(r.URL.String())
		}
		w.WriteHeader(http.StatusAccepted)
		_, _ = w.Write(body)
	}))
	t.Cleanup(srv.Close)
	uri, err := mapping.ParseURI(srv.URL + "/a?own=1")
	require.NoError(t, err)
	own := new(endpoint.Client)
	t.Cleanup(own.Close)
	at := time.Unix(0x65abb3f1, 0)

	message := &forward.Event{Type: "MESSAGE", RouteKey: "say", ConnectionID: "c==", RequestID: "r=", APIID: "api", Stage: "prod", SourceIP: "203.0.113.7", RequestTime: at, Payload: []byte("hello"), Values: noValues{}}
	connect := &forward.Event{
		Type: "CONNECT", APIID: "api", RequestTime: at, Values: noValues{},
		Sent: http.Header{"Connection": {"Upgrade, X-Hop"}},
		Headers: event.Headers{
			{Name: "X-Hop", Values: []string{"no"}},
			{Name: "X-Mine", Values: []string{"yes"}},
			{Name: "Sec-WebSocket-Key", Values: []string{"no"}},
			{Name: "Proxy_Authorization", Values: []string{"no"}},
			{Name: "X-Forwarded-For", Values: []string{"198.51.100.1, 203.0.113.7"}},
		},
		Query: map[string][]string{"own": {"2"}, "sent": {"3"}},
	}
	for _, tt := range []struct {
		name  string
		call  forward.Call
		event *forward.Event
		body  string
		got   map[string]string // "": the endpoint got no such header
	}{
		{
			"a message", forward.Call{Proxy: true, CallbackURL: "https://x.example/prod/"}, message, "hello", map[string]string{
				"Content-Type": "application/json", "User-Agent": "AmazonAPIGateway_api", "X-Forwarded-For": "203.0.113.7",
				"Connectionid": "c==", "Routekey": "say", "Eventtype": "MESSAGE", "Callbackurl": "https://x.example/prod/@connections/c%3D%3D",
			},
		},
		{"without a callback URL", forward.Call{Proxy: true}, message, "hello", map[string]string{"Connectionid": "", "Callbackurl": ""}},
		{
			"a connect by proxy", forward.Call{Proxy: true}, connect, "/a?own=1&sent=3", map[string]string{
				"X-Mine": "yes", "X-Hop": "", "Sec-Websocket-Key": "", "Proxy_authorization": "", "X-Forwarded-For": "198.51.100.1, 203.0.113.7", "Content-Type": "",
			},
		},
		{"with the headers of the upgrade", forward.Call{Proxy: true, UpgradeHeaders: true}, connect, "/a?own=1&sent=3", map[string]string{"Sec-Websocket-Key": "no"}},
		{"no proxy passes nothing on", forward.Call{}, connect, "/a?own=1", map[string]string{"X-Mine": "", "Content-Type": "application/json"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.call.URI, tt.call.Method, tt.call.Own, tt.call.ResponseBytes = uri, http.MethodPost, own, 100
			resp, err := tt.call.Do(t.Context(), tt.event)
			require.NoError(t, err)
			require.Equal(t, http.StatusAccepted, resp.StatusCode)
			require.Equal(t, tt.body, string(resp.Body))
			for name, want := range tt.got {
				require.Equal(t, want, resp.Header.Get("Got-"+name), name)
			}
		})
	}
	t.Run("a body that is too long", func(t *testing.T) {
		t.Parallel()
		call := forward.Call{URI: uri, Method: http.MethodPost, Own: own, ResponseBytes: 4}
		_, err := call.Do(t.Context(), message)
		require.EqualError(t, err, "the endpoint's body is above 4 bytes")
	})
	t.Run("the bound of a body", func(t *testing.T) {
		t.Parallel()
		want, err := (&forward.Call{URI: uri, Method: http.MethodPost, Own: own, ResponseBytes: 100}).Do(t.Context(), message)
		require.NoError(t, err)
		n := len(want.Body)
		require.Positive(t, n)
		for _, most := range []int{n, n + 1, math.MaxInt - 1, math.MaxInt} {
			got, err := (&forward.Call{URI: uri, Method: http.MethodPost, Own: own, ResponseBytes: most}).Do(t.Context(), message)
			require.NoError(t, err)
			require.Equal(t, string(want.Body), string(got.Body), "%d", most)
		}
		_, err = (&forward.Call{URI: uri, Method: http.MethodPost, Own: own, ResponseBytes: n - 1}).Do(t.Context(), message)
		require.Error(t, err)
	})
	t.Run("nobody answers", func(t *testing.T) {
		t.Parallel()
		gone := httptest.NewServer(http.NotFoundHandler())
		gone.Close()
		nobody, err := mapping.ParseURI(gone.URL + "/?secret=x")
		require.NoError(t, err)
		call := forward.Call{URI: nobody, Method: http.MethodPost, Own: own, ResponseBytes: 4}
		_, err = call.Do(t.Context(), message)
		var failed *forward.Error
		require.ErrorAs(t, err, &failed)
		require.Equal(t, http.StatusGatewayTimeout, failed.StatusCode)
		require.NotContains(t, err.Error(), "secret")
	})
}
