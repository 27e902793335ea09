package gateway_test

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
	"example.com/gateway/gatewaytest"
)

// A client's value in the URI of an HTTP integration stays where the URI has it. One
// that cannot stay there fails the integration, and nothing is sent.
func TestHTTPIntegration_ClientValueInURI(t *testing.T) {
	t.Parallel()
	const failed = "" // no path: the endpoint is not called
	for _, tt := range []struct {
		name, uri, message string
		path               string
		query              url.Values
	}{
		{"a segment", "/users/{id}/x", `{"id":"7"}`, "/users/7/x", url.Values{}},
		{"an escape of the client's", "/users/{id}/x", `{"id":"%2e%2e"}`, "/users/%2e%2e/x", url.Values{}},
		{"dots", "/users/{id}/x", `{"id":".."}`, failed, nil},
		{"a dot", "/users/{id}/x", `{"id":"."}`, failed, nil},
		{"a climb", "/users/{id}/x", `{"id":"../admin"}`, failed, nil},
		{"a slash", "/users/{id}/x", `{"id":"7/x"}`, failed, nil},
		{"a backslash", "/users/{id}/x", `{"id":"..\\admin"}`, failed, nil},
		{"a line of its own", "/users/{id}/x", `{"id":"7\r\nX-Evil: 1"}`, failed, nil},
		{"a line in the query", "/?user={id}", `{"id":"7\r\nX-Evil: 1"}`, "/", url.Values{"user": {"7\r\nX-Evil: 1"}}},
		{"two values that are dots together", "/{id}{id}/x", `{"id":"."}`, failed, nil},
		{"dots together with the URI", "/.{id}/x", `{"id":"."}`, failed, nil},
		{"a missing value", "/items/{id}", `{}`, failed, nil},
		{"a null", "/items/{id}", `{"id":null}`, failed, nil},
		{"an empty value", "/items/{id}", `{"id":""}`, failed, nil},
		{"no JSON", "/items/{id}", `7`, failed, nil},
		{"a value in the query", "/?user={id}&role=user", `{"id":"7"}`, "/", url.Values{"user": {"7"}, "role": {"user"}}},
		{"a parameter in the query", "/?user={id}&role=user", `{"id":"1&role=admin"}`, "/", url.Values{"user": {"1&role=admin"}, "role": {"user"}}},
		{"the other separator", "/?user={id}", `{"id":"1;role=admin"}`, "/", url.Values{"user": {"1;role=admin"}}},
		{"a new parameter", "/?user={id}", `{"id":"&admin=1"}`, "/", url.Values{"user": {"&admin=1"}}},
		{"a plus sign in the query", "/?user={id}", `{"id":"a+b %41"}`, "/", url.Values{"user": {"a+b %41"}}},
		{"a fragment in the query", "/?user={id}", `{"id":"#x?y/.."}`, "/", url.Values{"user": {"#x?y/.."}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			e := newEndpoint(t, says("served"))
			ask, _ := twoWay(t, &gateway.HTTPIntegration{
				URI: e.URL + tt.uri, RequestParameters: map[string]string{"integration.request.path.id": "route.request.body.id"},
			})
			got := ask(tt.message)
			if tt.path == failed {
				require.Contains(t, got, `{"message": "Internal server error"`)
				require.Zero(t, e.count())
				return
			}
			require.Equal(t, "served", got)
			require.Equal(t, tt.path, e.last(t).URL.Path)
			require.Equal(t, tt.query, e.last(t).URL.Query())
		})
	}
	t.Run("on $connect it is 500", func(t *testing.T) {
		t.Parallel()
		e := newEndpoint(t, ok)
		srv := gatewaytest.New(t)
		srv.Handle("$connect", &gateway.HTTPIntegration{
			URI: e.URL + "/items/{id}", Method: http.MethodDelete,
			RequestParameters: map[string]string{"integration.request.path.id": "route.request.querystring.id"},
		})
		requireRefused(t, srv, 500, `"Internal server error"`)
		requireRefused(t, srv, 500, `"Internal server error"`, gatewaytest.Query("id", ".."))
		require.Zero(t, e.count())
	})
}

// What the URI says, no client changes: neither the parameters of its query, however
// they are separated and escaped, nor its credentials.
func TestHTTPIntegration_URISaysItself(t *testing.T) {
	t.Parallel()
	t.Run("parameters", func(t *testing.T) {
		t.Parallel()
		e := newEndpoint(t, ok)
		srv := gatewaytest.New(t)
		srv.Handle("$connect", &gateway.HTTPIntegration{URI: e.URL + "/?role=user;internal&rate=100%25"})
		srv.Dial(t, gatewaytest.Query("role", "admin"), gatewaytest.Query("internal", "no"), gatewaytest.Query("rate", "0"), gatewaytest.Query("room", "7"))
		require.Equal(t, url.Values{"role": {"user"}, "internal": {""}, "rate": {"100%"}, "room": {"7"}}, e.last(t).URL.Query())
	})
	for _, tt := range []struct {
		name, user string
		parameters map[string]string
		want       []string
	}{
		{"credentials", "service:secret@", nil, []string{"Basic c2VydmljZTpzZWNyZXQ="}},
		{"credentials without a password", "service@", nil, []string{"Basic c2VydmljZTo="}},
		{"credentials that are escaped", "a%40b:c%3Ad@", nil, []string{"Basic YUBiOmM6ZA=="}},
		{"a mapping goes before them", "service:secret@", map[string]string{"integration.request.header.authorization": "'mapped'"}, []string{"mapped"}},
		{"a mapping without a value", "service:secret@", map[string]string{"integration.request.header.Authorization": "stageVariables.none"}, nil},
		{"no credentials", "", nil, []string{"of the client"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			e := newEndpoint(t, ok)
			srv := gatewaytest.New(t)
			srv.Handle("$connect", &gateway.HTTPIntegration{URI: "http://" + tt.user + e.Listener.Addr().String(), RequestParameters: tt.parameters})
			srv.Dial(t, gatewaytest.Header("Authorization", "of the client"))
			require.Equal(t, tt.want, e.last(t).Header["Authorization"])
		})
	}
}
