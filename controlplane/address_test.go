package controlplane

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
	"example.com/gateway/gatewaytest"
)

// town serves two APIs with the stages prod and beta, and custom domain names before them.
func town(t testing.TB, cfg *Config) *lab {
	t.Helper()
	cfg.Functions = Functions{"where": answering("%v %v %v", "requestContext.apiId", "requestContext.stage", "requestContext.domainName")}
	l := newLab(t, cfg)
	for _, id := range []string{"aaaaaaaaaa", "bbbbbbbbbb"} {
		s := twoWay(t, `"integrationType":"AWS_PROXY","integrationUri":"where"`)
		s.API["apiId"] = id
		for _, stage := range []string{"prod", "beta"} {
			require.NoError(t, l.sync(s.API, document{"stageName": stage}, s))
		}
	}
	l.syncDomains(map[string][]document{
		"chat.example.com": {
			{"apiId": "aaaaaaaaaa", "stage": "prod"},
			{"apiId": "bbbbbbbbbb", "stage": "beta", "apiMappingKey": "v2"},
			{"apiId": "bbbbbbbbbb", "stage": "prod", "apiMappingKey": "v2/deep"},
		},
		"Keyed.example.com":  {{"apiId": "aaaaaaaaaa", "stage": "beta", "apiMappingKey": "k"}, {"apiId": "aaaaaaaaaa", "stage": "gone", "apiMappingKey": "lost"}},
		"*.wild.example.com": {{"apiId": "bbbbbbbbbb", "stage": "prod", "apiMappingKey": ""}},
	})
	return l
}

// Clients find a stage by path, by the host of its API and by a custom domain name, and
// events have the name that they used.
func TestAddress_Upgrades(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ host, path, want string }{
		{"gateway.test", "/aaaaaaaaaa/prod", "aaaaaaaaaa prod gateway.test"},
		{"127.0.0.1:4567", "/aaaaaaaaaa/beta", "aaaaaaaaaa beta 127.0.0.1:4567"},
		{"[::1]:4567", "/aaaaaaaaaa/beta", "aaaaaaaaaa beta [::1]:4567"},
		{"localhost:4567", "/bbbbbbbbbb/beta/", "bbbbbbbbbb beta localhost:4567"},
		{"any.localhost:4567", "/bbbbbbbbbb/%62eta", "bbbbbbbbbb beta any.localhost:4567"},
		{"api.internal", "/bbbbbbbbbb/prod", "bbbbbbbbbb prod api.internal"},
		{"aaaaaaaaaa.execute-api.us-east-1.localhost:4567", "/prod", "aaaaaaaaaa prod aaaaaaaaaa.execute-api.us-east-1.localhost:4567"},
		{"BBBBBBBBBB.Execute-API.us-east-1.gateway.test", "/beta", "bbbbbbbbbb beta BBBBBBBBBB.Execute-API.us-east-1.gateway.test"},
		{"chat.example.com", "/", "aaaaaaaaaa prod chat.example.com"},
		{"chat.example.com", "/v1", "aaaaaaaaaa prod chat.example.com"},
		{"CHAT.example.com.", "/v2", "bbbbbbbbbb beta CHAT.example.com."},
		{"chat.example.com", "/v2/other", "bbbbbbbbbb beta chat.example.com"},
		{"chat.example.com", "/v2/deep", "bbbbbbbbbb prod chat.example.com"},
		{"chat.example.com", "/v22", "aaaaaaaaaa prod chat.example.com"},
		{"keyed.example.com:443", "/k?a=b", "aaaaaaaaaa beta keyed.example.com:443"},
		{"a.wild.example.com", "/x", "bbbbbbbbbb prod a.wild.example.com"},
		{"keyed.example.com", "/", ""},
		{"keyed.example.com", "/lost", ""},
		{"b.a.wild.example.com", "/x", ""},
		{"aaaaaaaaaa.execute-api.us-east-1.localhost", "/gone", ""},
		{"aaaaaaaaaa.execute-api.us-east-1.localhost", "/", ""},
		{"cccccccccc.execute-api.us-east-1.localhost", "/prod", ""},
		{"localhost", "/prod", ""},
		{"localhost", "/aaaaaaaaaa/%zz", ""},
		{"evil.example", "/aaaaaaaaaa/prod", ""},
		{"aaaaaaaaaa.execute-api.us-east-1.evil.example", "/prod", ""},
		{"localhost.evil.example", "/aaaaaaaaaa/prod", ""},
		{"10.0.0.1", "/aaaaaaaaaa/prod", ""},
	} {
		t.Run(tt.host+tt.path, func(t *testing.T) {
			t.Parallel()
			l := town(t, &Config{Endpoint: "ws://API.internal:4567"})
			if strings.Contains(tt.path, "%zz") { // no client can send it
				r := httptest.NewRequest(http.MethodGet, "/", nil)
				r.Host, r.URL.Path, r.URL.RawPath = tt.host, tt.path, tt.path
				w := httptest.NewRecorder()
				l.stages.ServeHTTP(w, r)
				require.Equal(t, http.StatusForbidden, w.Code)
				return
			}
			c, refused := l.TryDial(t, gatewaytest.Header("Host", tt.host), gatewaytest.Path(tt.path))
			if tt.want == "" {
				require.NotNil(t, refused)
				require.Equal(t, http.StatusForbidden, refused.StatusCode)
				require.Contains(t, refused.Body, "Forbidden")
				return
			}
			require.Nil(t, refused)
			c.Send("x")
			require.Equal(t, tt.want, c.Receive())
		})
	}
}

// With a TLS port, the domain name of events is where https leads to.
func TestAddress_DomainNameOfEvents(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		port             int
		host, path, want string
	}{
		{4568, "127.0.0.1:4567", "/aaaaaaaaaa/prod", "localhost:4568"},
		{4568, "[::1]:4567", "/aaaaaaaaaa/prod", "localhost:4568"},
		{4568, "localhost", "/aaaaaaaaaa/prod", "localhost:4568"},
		{4568, "gateway.test:80", "/aaaaaaaaaa/prod", "gateway.test:4568"},
		{4568, "aaaaaaaaaa.execute-api.us-east-1.localhost:4567", "/prod", "aaaaaaaaaa.execute-api.us-east-1.localhost:4568"},
		{443, "chat.example.com", "/", "chat.example.com"},
		{0, "chat.example.com:80", "/", "chat.example.com:80"},
	} {
		t.Run(tt.host, func(t *testing.T) {
			t.Parallel()
			l := town(t, &Config{TLSPort: tt.port})
			c := l.Dial(t, gatewaytest.Header("Host", tt.host), gatewaytest.Path(tt.path))
			c.Send("x")
			require.Equal(t, "aaaaaaaaaa prod "+tt.want, c.Receive())
		})
	}
}

// A page of the same host may connect, whatever name events get.
func TestAddress_OriginOfUpgrades(t *testing.T) {
	t.Parallel()
	l := town(t, &Config{TLSPort: 4568})
	for origin, status := range map[string]int{"http://127.0.0.1:4567": 0, "https://localhost:4568": http.StatusForbidden, "https://evil.example": http.StatusForbidden} {
		_, refused := l.TryDial(t, gatewaytest.Header("Host", "127.0.0.1:4567"), gatewaytest.Path("/aaaaaaaaaa/prod"), gatewaytest.Header("Origin", origin))
		if status == 0 {
			require.Nil(t, refused, origin)
			continue
		}
		require.NotNil(t, refused, origin)
		require.Equal(t, status, refused.StatusCode, origin)
	}
}

// call posts to @connections.
func (l *lab) call(host, path, origin string) (status int, errorType, body string) {
	l.t.Helper()
	return l.callWith(http.MethodPost, host, path, origin)
}

// callWith calls @connections.
func (l *lab) callWith(method, host, path, origin string) (status int, errorType, body string) {
	l.t.Helper()
	r, err := http.NewRequestWithContext(l.t.Context(), method, l.HTTPURL()+path, strings.NewReader("hello"))
	require.NoError(l.t, err)
	r.Host = host
	if origin != "" {
		r.Header.Set("Origin", origin)
	}
	resp, err := l.HTTPClient().Do(r)
	require.NoError(l.t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	require.NoError(l.t, err)
	return resp.StatusCode, resp.Header.Get("X-Amzn-Errortype"), string(text)
}

// The ID of a connection finds its stage, behind every address of its API and every name of
// a stage.
func TestAddress_Connections(t *testing.T) {
	t.Parallel()
	l := town(t, &Config{})
	c := l.Dial(t, gatewaytest.Path("/bbbbbbbbbb/beta"))
	other := l.Dial(t, gatewaytest.Path("/aaaaaaaaaa/prod"))
	t.Cleanup(other.Drop)
	id := strings.ReplaceAll(c.ConnectionID(), "=", "%3D")
	for _, tt := range []struct{ host, path string }{
		{"localhost", "/beta/@connections/"},
		{"localhost", "/prod/@connections/"},
		{"localhost", "/any/%40connections/"},
		{"localhost", "/@connections/"},
		{"localhost", "//@connections/"},
		{"localhost", "/bbbbbbbbbb/beta/@connections/"},
		{"localhost", "/bbbbbbbbbb/gone/@connections/"},
		{"bbbbbbbbbb.execute-api.us-east-1.localhost:4567", "/prod/@connections/"},
		{"chat.example.com", "/v2/@connections/"},
		{"chat.example.com", "/beta/@connections/"},
		{"chat.example.com", "/@connections/"},
	} {
		status, _, body := l.call(tt.host, tt.path+id, "")
		require.Equal(t, http.StatusOK, status, "%s%s: %s", tt.host, tt.path, body)
		require.Equal(t, "hello", c.Receive())
	}
	for _, tt := range []struct {
		host, path, origin string
		status             int
		errorType          string
	}{
		{"aaaaaaaaaa.execute-api.us-east-1.localhost", "/beta/@connections/" + id, "", http.StatusGone, "GoneException"},
		{"localhost", "/aaaaaaaaaa/beta/@connections/" + id, "", http.StatusGone, "GoneException"},
		{"keyed.example.com", "/k/@connections/" + id, "", http.StatusGone, "GoneException"},
		{"localhost", "/beta/@connections/invented", "", http.StatusBadRequest, "BadRequestException"},
		{"localhost", "/cccccccccc/beta/@connections/" + id, "", http.StatusForbidden, "ForbiddenException"},
		{"evil.example", "/beta/@connections/" + id, "", http.StatusForbidden, "ForbiddenException"},
		{"localhost", "/beta/@connections/" + id, "https://evil.example", http.StatusForbidden, "ForbiddenException"},
		{"localhost", "/beta/@connections/" + id, "http://localhost:1", http.StatusForbidden, "ForbiddenException"},
	} {
		status, errorType, body := l.call(tt.host, tt.path, tt.origin)
		require.Equal(t, tt.status, status, "%s%s: %s", tt.host, tt.path, body)
		require.Equal(t, tt.errorType, errorType, "%s%s", tt.host, tt.path)
	}
	status, _, _ := l.call("localhost", "/beta/@connections/"+id, "http://localhost")
	require.Equal(t, http.StatusOK, status, "a page of the same origin")
	require.NoError(t, l.ManagementAt("/beta").DeleteConnection(t.Context(), c.ConnectionID()))
	require.ErrorIs(t, l.ManagementAt("/beta").PostToConnection(t.Context(), c.ConnectionID(), nil), gateway.ErrGone)
}

// By default only this machine may call @connections.
func TestAddress_ConnectionsFromElsewhere(t *testing.T) {
	t.Parallel()
	l := town(t, &Config{})
	c := l.Dial(t, gatewaytest.Path("/aaaaaaaaaa/prod"))
	for from, status := range map[string]int{"127.0.0.9:1": http.StatusOK, "[::1]:1": http.StatusOK, "[::ffff:127.0.0.1]:1": http.StatusOK, "192.0.2.1:1": http.StatusForbidden, "": http.StatusForbidden} {
		r := httptest.NewRequest(http.MethodPost, "/prod/@connections/"+strings.ReplaceAll(c.ConnectionID(), "=", "%3D"), strings.NewReader("x"))
		r.Host, r.RemoteAddr = "localhost", from
		w := httptest.NewRecorder()
		l.stages.ServeHTTP(w, r)
		require.Equal(t, status, w.Code, from)
	}
}

// An API can close its default endpoint. Custom domain names still lead to it.
func TestAddress_DefaultEndpointDisabled(t *testing.T) {
	t.Parallel()
	l := town(t, &Config{})
	s := twoWay(t, `"integrationType":"AWS_PROXY","integrationUri":"where"`)
	s.API["apiId"], s.API["disableExecuteApiEndpoint"] = "aaaaaaaaaa", true
	l.serve(s)
	c := l.Dial(t, gatewaytest.Header("Host", "chat.example.com"), gatewaytest.Path("/"))
	id := strings.ReplaceAll(c.ConnectionID(), "=", "%3D")
	for _, at := range []struct{ host, path string }{{"localhost", "/aaaaaaaaaa/prod"}, {"aaaaaaaaaa.execute-api.us-east-1.localhost", "/prod"}} {
		_, refused := l.TryDial(t, gatewaytest.Header("Host", at.host), gatewaytest.Path(at.path))
		require.NotNil(t, refused)
		require.Equal(t, http.StatusForbidden, refused.StatusCode)
		status, errorType, _ := l.call(at.host, at.path+"/@connections/"+id, "")
		require.Equal(t, http.StatusForbidden, status)
		require.Equal(t, "ForbiddenException", errorType)
	}
	for _, host := range []string{"chat.example.com", "localhost"} {
		status, _, _ := l.call(host, "/@connections/"+id, "")
		require.Equal(t, http.StatusOK, status, host)
	}
}

// The Server asks which requests are for the stages.
func TestAddress_Owns(t *testing.T) {
	t.Parallel()
	l := town(t, &Config{})
	for _, tt := range []struct {
		host, path string
		upgrade    bool
		want       bool
	}{
		{"localhost", "/v2/apis", false, false},
		{"localhost", "/v2/apis/aaaaaaaaaa/stages", true, false},
		{"localhost", "/v2/tags/arn%3Aaws%3Aapigateway%3Aus-east-1%3A%3A%2Fapis%2Fabc", false, false},
		{"localhost", "/", false, false},
		{"localhost", "/2015-03-31/functions", false, false},
		{"localhost", "/%zz", false, false},
		{"localhost", "/aaaaaaaaaa/prod", false, true},
		{"localhost", "/anything", true, true},
		{"localhost", "/prod/@connections/x", false, true},
		{"aaaaaaaaaa.execute-api.us-east-1.localhost", "/v2/apis", false, true},
		{"chat.example.com", "/v2/apis", false, true},
		{"evil.example", "/v2/apis", false, true},
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Host = tt.host
		r.URL.RawPath, r.URL.Path = tt.path, strings.ReplaceAll(strings.ReplaceAll(tt.path, "%3A", ":"), "%2F", "/")
		if tt.upgrade {
			r.Header.Set("Upgrade", "websocket")
		}
		require.Equal(t, tt.want, l.owns(r, l.hostOf(r)), "%s%s", tt.host, tt.path)
	}
}

// Two Gateways may have the same node tag by chance. Then the connection decides.
func TestAddress_SameTag(t *testing.T) {
	t.Parallel()
	l := town(t, &Config{})
	c := l.Dial(t, gatewaytest.Path("/aaaaaaaaaa/prod"))
	for tag, tagged := range l.byTag {
		l.byTag[tag] = append([]*stage{l.byAPI["bbbbbbbbbb"]["beta"]}, tagged...)
	}
	require.NoError(t, l.ManagementAt("/prod").PostToConnection(t.Context(), c.ConnectionID(), []byte("hi")))
	require.Equal(t, "hi", c.Receive())
}
