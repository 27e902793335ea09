package controlplane

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
	"example.com/gateway/gatewaytest"
)

// A call for an audience reaches the connections of one stage: that to which its address
// leads. An address that leads to no stage, or to several, reaches nobody.
func TestAddress_Audience(t *testing.T) {
	t.Parallel()
	l := town(t, &Config{Gateway: []gateway.Option{gateway.WithManagementExtensions()}})
	s := twoWay(t, `"integrationType":"AWS_PROXY","integrationUri":"where"`)
	s.API["apiId"] = "bbbbbbbbbb"
	require.NoError(t, l.sync(s.API, document{"stageName": "only"}, s))
	clients := map[string]*gatewaytest.Client{}
	for _, at := range []string{"aaaaaaaaaa/prod", "aaaaaaaaaa/beta", "bbbbbbbbbb/prod", "bbbbbbbbbb/beta", "bbbbbbbbbb/only"} {
		clients[at] = l.Dial(t, gatewaytest.Path("/"+at))
	}
	for _, tt := range []struct{ host, path, want string }{
		{"localhost", "/aaaaaaaaaa/prod", "aaaaaaaaaa/prod"},
		{"127.0.0.1:4567", "/bbbbbbbbbb/beta", "bbbbbbbbbb/beta"},
		{"localhost", "/only", "bbbbbbbbbb/only"},
		{"aaaaaaaaaa.execute-api.us-east-1.localhost:4567", "/beta", "aaaaaaaaaa/beta"},
		{"chat.example.com", "", "aaaaaaaaaa/prod"},
		{"chat.example.com", "/v2", "bbbbbbbbbb/beta"},
		{"chat.example.com", "/v2/deep", "bbbbbbbbbb/prod"},
		{"a.wild.example.com", "", "bbbbbbbbbb/prod"},

		{"localhost", "/prod", ""}, // of which there are two
		{"localhost", "", ""},
		{"localhost", "/gone", ""},
		{"localhost", "/aaaaaaaaaa/only", ""},
		{"localhost", "/cccccccccc/prod", ""},
		{"localhost", "/x/aaaaaaaaaa/prod", ""},
		{"aaaaaaaaaa.execute-api.us-east-1.localhost", "", ""},
		{"aaaaaaaaaa.execute-api.us-east-1.localhost", "/only", ""},
		{"chat.example.com", "/v1", ""}, // an upgrade would get to prod
		{"chat.example.com", "/v2/other", ""},
		{"keyed.example.com", "", ""},
		{"keyed.example.com", "/lost", ""},
		{"evil.example", "/aaaaaaaaaa/prod", ""},
	} {
		status, errorType, body := l.call(tt.host, tt.path+"/@connections?all=true", "")
		if tt.want == "" {
			require.Equal(t, http.StatusForbidden, status, "%s%s: %s", tt.host, tt.path, body)
			require.Equal(t, "ForbiddenException", errorType)
			continue
		}
		require.Equal(t, http.StatusOK, status, "%s%s: %s", tt.host, tt.path, body)
		require.JSONEq(t, `{"accepted":1,"refused":0,"gone":0,"errors":{},"missing":[]}`, body)
		require.Equal(t, "hello", clients[tt.want].Receive())
	}
	status, _, _ := l.call("localhost", "/aaaaaaaaaa/prod/@connections?all=true", "https://evil.example")
	require.Equal(t, http.StatusForbidden, status, "a page of another origin")
	for at, c := range clients { // nobody has got anything else
		require.NoError(t, l.ManagementAt("/"+at).PostToConnection(t.Context(), c.ConnectionID(), []byte("end")))
		require.Equal(t, "end", c.Receive())
	}
}

// A path with empty segments names no other stage than without them. Who reads it as a call
// with an ID, and who reads it as one for an audience, must not disagree.
func TestAddress_AudienceBehindEmptySegments(t *testing.T) {
	t.Parallel()
	l := town(t, &Config{Gateway: []gateway.Option{gateway.WithManagementExtensions()}})
	s := twoWay(t, `"integrationType":"AWS_PROXY","integrationUri":"where"`)
	s.API["apiId"] = "bbbbbbbbbb"
	require.NoError(t, l.sync(s.API, document{"stageName": "only"}, s))
	clients := map[string]*gatewaytest.Client{}
	for _, at := range []string{"aaaaaaaaaa/prod", "aaaaaaaaaa/beta", "bbbbbbbbbb/prod", "bbbbbbbbbb/beta", "bbbbbbbbbb/only"} {
		clients[at] = l.Dial(t, gatewaytest.Path("/"+at))
	}
	only := strings.ReplaceAll(clients["bbbbbbbbbb/only"].ConnectionID(), "=", "%3D")
	for _, tt := range []struct{ host, path string }{
		{"localhost", "/@connections//@connections"},
		{"localhost", "/prod/@connections//@connections"},
		{"localhost", "/only/@connections//@connections"},
		{"localhost", "/prod/%40connections//%40connections"},
		{"localhost", "/aaaaaaaaaa/prod/@connections//@connections"},
		{"localhost", "/aaaaaaaaaa/nosuch/@connections//@connections"},
		{"localhost", "/aaaaaaaaaa/nosuch/@connections/x/groups//@connections"},
		{"localhost", "/@connections/" + only + "/groups//@connections"},
		{"localhost", "/@connections//" + only + "/groups//@connections"},
		{"localhost", "/@connections///@connections"},
		{"chat.example.com", "/v1/@connections//@connections"},
		{"keyed.example.com", "/@connections//@connections"},
		{"aaaaaaaaaa.execute-api.us-east-1.localhost", "/@connections//@connections"},
	} {
		for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodDelete} {
			status, errorType, body := l.callWith(method, tt.host, tt.path+"?all=true", "")
			require.Equal(t, http.StatusForbidden, status, "%s %s%s: %s", method, tt.host, tt.path, body)
			require.Equal(t, "ForbiddenException", errorType)
		}
	}
	for _, path := range []string{"//aaaaaaaaaa//prod//@connections", "//only//@connections"} { // of clients whose endpoint ends in a slash
		status, _, body := l.call("localhost", path+"?count=true&all=true", "")
		require.Equal(t, http.StatusBadRequest, status, body) // count is no parameter of a post: the stage was found
		status, _, body = l.callWith(http.MethodGet, "localhost", path+"?count=true", "")
		require.Equal(t, http.StatusOK, status, body)
		require.JSONEq(t, `{"count":1}`, body)
	}
	for at, c := range clients { // nobody has got anything, or is closed
		require.NoError(t, l.ManagementAt("/"+at).PostToConnection(t.Context(), c.ConnectionID(), []byte("end")))
		require.Equal(t, "end", c.Receive())
	}
}

// FuzzAddress_Audience looks for paths by which a call for an audience gets to a stage that
// they do not name: without empty segments, only {API ID}/{stage} and the name of a stage
// that one API has stand before the last @connections. A call with an ID must get to the stage
// of its connection.
func FuzzAddress_Audience(f *testing.F) {
	for _, path := range []string{
		"/aaaaaaaaaa/prod/@connections", "/only/@connections", "/@connections", "/@connections//@connections", "/x/@connections/y/groups//@connections",
		"/prod/@connections/ID/state", "//@connections//ID//groups/g", "/@connections/x//@connections/ID", "/aaaaaaaaaa//prod/%40connections", "/@connections/ID/groups//@connections",
	} {
		f.Add(path)
	}
	var calls []*gateway.ManagementCall
	l := town(f, &Config{
		Gateway: []gateway.Option{gateway.WithManagementExtensions()},
		Auth: gateway.ManagementAuthFunc(func(_ context.Context, call *gateway.ManagementCall) error {
			calls = append(calls, call)
			return gateway.ErrForbidden
		}),
	})
	s := twoWay(f, `"integrationType":"AWS_PROXY","integrationUri":"where"`)
	s.API["apiId"] = "bbbbbbbbbb"
	require.NoError(f, l.sync(s.API, document{"stageName": "only"}, s))
	id := l.Dial(f, gatewaytest.Path("/bbbbbbbbbb/only")).ConnectionID()
	f.Fuzz(func(t *testing.T, path string) {
		u, err := url.Parse("http://localhost" + strings.ReplaceAll(path, "ID", url.QueryEscape(id)))
		if err != nil || u.Host != "localhost" {
			t.Skip("no URL of the server")
		}
		for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut} {
			calls = calls[:0]
			l.stages.ServeHTTP(httptest.NewRecorder(), &http.Request{Method: method, URL: &url.URL{Path: u.Path, RawPath: u.RawPath, RawQuery: "all=true"}, Host: "localhost", RemoteAddr: "127.0.0.1:1", Header: http.Header{}, Body: http.NoBody})
			for _, call := range calls {
				if call.ConnectionID == id && len(calls) == 1 {
					require.Equal(t, "bbbbbbbbbb only", call.APIID+" "+call.Stage, path)
				}
				if call.ConnectionID != "" {
					continue
				}
				before := u.EscapedPath()
				before = before[:strings.LastIndexByte(before, '/')]
				var names []string
				for name := range strings.SplitSeq(before, "/") {
					if name, err := url.PathUnescape(name); err == nil && name != "" {
						names = append(names, name)
					}
				}
				want := strings.Join(names, " ")
				if want == "only" {
					want = "bbbbbbbbbb only"
				}
				require.Equal(t, want, call.APIID+" "+call.Stage, path)
			}
		}
	})
}

// Calls with an ID find the stage of the connection behind every address, those that the
// service does not have, too.
func TestAddress_ExtensionsWithAnID(t *testing.T) {
	t.Parallel()
	l := town(t, &Config{Gateway: []gateway.Option{gateway.WithManagementExtensions()}})
	c := l.Dial(t, gatewaytest.Path("/bbbbbbbbbb/beta"))
	for _, path := range []string{"/bbbbbbbbbb/beta", "/bbbbbbbbbb/prod", "/beta", "/prod", ""} {
		api, ctx := l.ManagementAt(path), t.Context()
		require.NoError(t, api.Join(ctx, c.ConnectionID(), "a/b"+path), path)
		require.NoError(t, api.SetState(ctx, c.ConnectionID(), []byte("x"+path)), path)
		got, err := api.GetConnection(ctx, c.ConnectionID())
		require.NoError(t, err)
		require.Contains(t, got.Groups, "a/b"+path)
		require.Equal(t, "x"+path, string(got.State))
	}
	err := l.ManagementAt("/aaaaaaaaaa/prod").Join(t.Context(), c.ConnectionID(), "g")
	require.ErrorIs(t, err, gateway.ErrGone, "of another API")
}

// Without the option a stage answers as the service, whatever the address.
func TestAddress_AudienceIsClosed(t *testing.T) {
	t.Parallel()
	l := town(t, &Config{})
	for _, path := range []string{"/aaaaaaaaaa/prod/@connections?all=true", "/aaaaaaaaaa/prod/@connections", "/aaaaaaaaaa/prod/@connections/x/state"} {
		status, errorType, body := l.call("localhost", path, "")
		require.Equal(t, http.StatusForbidden, status)
		require.Equal(t, "MissingAuthenticationTokenException", errorType, "%s: %s", path, body)
	}
}

// A caller of a group needs a permission for the stage of the connection, and for the one
// that the URL names.
func TestAddress_ExtensionsAskForBothStages(t *testing.T) {
	t.Parallel()
	var asked []string
	l := town(t, &Config{
		Gateway: []gateway.Option{gateway.WithManagementExtensions()},
		Auth: gateway.ManagementAuthFunc(func(_ context.Context, call *gateway.ManagementCall) error {
			asked = append(asked, string(call.Action)+" "+call.Stage+" "+call.Group+call.Audience.Query().Encode())
			return nil
		}),
	})
	c := l.Dial(t, gatewaytest.Path("/bbbbbbbbbb/beta"))
	require.NoError(t, l.ManagementAt("/bbbbbbbbbb/prod").Join(t.Context(), c.ConnectionID(), "g"))
	_, err := l.ManagementAt("/bbbbbbbbbb/beta").Count(t.Context(), gateway.Group("g"))
	require.NoError(t, err)
	require.Equal(t, "Join beta g, Join prod g, Count beta group=g", strings.Join(asked, ", "))
}
