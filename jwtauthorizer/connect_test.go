package jwtauthorizer_test

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
	"example.com/gateway/gatewaytest"
	"example.com/gateway/jwtauthorizer"
)

// connect answers as the package's documentation says.
func connect(_ context.Context, req *gateway.Request) (*gateway.Response, error) {
	resp := &gateway.Response{Header: http.Header{}}
	if req.Upgrade.Header.Get("Sec-WebSocket-Protocol") != "" {
		resp.Header.Set("Sec-WebSocket-Protocol", "bearer")
	}
	return resp, nil
}

// newServer returns a gateway with an authorizer for i, and all that it logs.
func newServer(t *testing.T, i *issuer, change ...func(*jwtauthorizer.Config)) (*gatewaytest.Server, *logBuffer) {
	t.Helper()
	log := &logBuffer{}
	logger := log.logger()
	change = append(change, func(c *jwtauthorizer.Config) { c.Logger = logger })
	srv := gatewaytest.New(t, gateway.WithLogger(logger))
	srv.HandleFunc(gateway.RouteKeyConnect, connect, gateway.WithAuthorizer(i.authorizer(t, change...)))
	return srv, log
}

func TestConnect_TokenSources(t *testing.T) {
	t.Parallel()
	for name, dial := range map[string]func(token string) gatewaytest.DialOption{
		"header": func(token string) gatewaytest.DialOption { return gatewaytest.Header("Authorization", "Bearer "+token) },
		"header, scheme": func(token string) gatewaytest.DialOption {
			return gatewaytest.Header("Authorization", "bEARER  "+token)
		},
		"query parameter": func(token string) gatewaytest.DialOption { return gatewaytest.Query("access_token", token) },
		"cookie": func(token string) gatewaytest.DialOption {
			return gatewaytest.Header("Cookie", "theme=dark; token="+token)
		},
		"subprotocol": func(token string) gatewaytest.DialOption { return gatewaytest.Subprotocols("bearer", token) },
		"subprotocols": func(token string) gatewaytest.DialOption {
			return gatewaytest.Subprotocols("chat", "bearer", token, "x")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv, log := newServer(t, edIssuer())
			token, forged := edToken(nil), sign("EdDSA", otherEd(), object{"kid": "ed"}, good(nil))
			c := srv.Dial(t, dial(token))
			require.NotContains(t, c.ResponseHeader(), token)
			if name == "subprotocol" || name == "subprotocols" {
				require.Equal(t, "bearer", c.Subprotocol())
			}
			_, refused := srv.TryDial(t, dial(forged))
			require.Equal(t, http.StatusUnauthorized, refused.StatusCode)
			require.Contains(t, refused.Body, `{"message": "Unauthorized"`)
			require.Contains(t, log.String(), "signature is wrong")
			require.NotContains(t, log.String(), token)
			require.NotContains(t, log.String(), forged)
		})
	}
}

// A token is found after ";" and after "&", and two tokens are two, whichever separates
// them.
func TestAuthorize_QuerySeparators(t *testing.T) {
	t.Parallel()
	a := edIssuer().authorizer(t)
	token := edToken(nil)
	for raw, in := range map[string]bool{
		"access_token=" + token:                             true,
		"room=7;access_token=" + token:                      true,
		"access_token=" + token + ";room=7":                 true,
		"access_token=" + token + ";access_token=" + token:  false,
		"access_token=" + token + "&access_token=x;":        false,
		"access_token=" + token + "%3Broom=7":               false,
		"room=100%&access_token=" + token:                   false,
		"room=7;Access_token=" + token:                      false,
		"access_token%3D" + token + ";access_token=":        false,
		"access_token=;access_token=" + token + ";&;":       true,
		"access%5Ftoken=" + token + ";access_token=&room=7": true,
	} {
		req := upgrade(nil, nil)
		req.Upgrade.URL.RawQuery = raw
		_, err := a.Authorize(t.Context(), req)
		if in {
			require.NoError(t, err, raw)
		} else {
			require.ErrorIs(t, err, gateway.ErrUnauthorized, raw)
		}
	}
}

func TestConnect_Statuses(t *testing.T) {
	t.Parallel()
	i := edIssuer()
	srv, _ := newServer(t, i, func(c *jwtauthorizer.Config) { c.Scopes = []string{"chat"} })
	for name, test := range map[string]struct {
		dial []gatewaytest.DialOption
		want int
	}{
		"no token":      {nil, http.StatusUnauthorized},
		"no good token": {[]gatewaytest.DialOption{gatewaytest.Query("access_token", "x.y.z")}, http.StatusUnauthorized},
		"expired":       {[]gatewaytest.DialOption{gatewaytest.Query("access_token", edToken(object{"exp": 1}))}, http.StatusUnauthorized},
		"no scope":      {[]gatewaytest.DialOption{gatewaytest.Query("access_token", edToken(nil))}, http.StatusForbidden},
	} {
		_, refused := srv.TryDial(t, test.dial...)
		require.NotNil(t, refused, name)
		require.Equal(t, test.want, refused.StatusCode, name)
	}

	down := edIssuer()
	down.answer(keysURL, http.StatusBadGateway, "")
	srv, log := newServer(t, down)
	_, refused := srv.TryDial(t, gatewaytest.Query("access_token", edToken(nil)))
	require.Equal(t, http.StatusInternalServerError, refused.StatusCode)
	require.Contains(t, refused.Body, "Internal server error")
	require.NotContains(t, refused.Body, "issuer.test")
	require.Contains(t, log.String(), "status 502")
}

// What the token says reaches every event of the connection.
func TestConnect_ClaimsOnEveryEvent(t *testing.T) {
	t.Parallel()
	srv, _ := newServer(t, edIssuer(), func(c *jwtauthorizer.Config) { c.Claims = []string{"email", "level", "groups", "exp"} })
	srv.HandleFunc("$default", func(context.Context, *gateway.Request) (*gateway.Response, error) { return nil, nil })
	srv.HandleFunc(gateway.RouteKeyDisconnect, func(context.Context, *gateway.Request) (*gateway.Response, error) { return nil, nil })
	c := srv.Dial(t, gatewaytest.Subprotocols("bearer", edToken(object{
		"email": "alice@example.com", "level": 3, "groups": []string{"a", "b"}, "exp": 4102444800,
	})))
	c.Send("{}")
	message := srv.WaitEvent(func(e gatewaytest.Event) bool { return e.EventType == gateway.EventMessage })
	c.Close(1000, "")
	for _, e := range []gatewaytest.Event{message, srv.WaitDisconnect(c.ConnectionID())} {
		require.Equal(t, object{
			"principalId": "alice", "email": "alice@example.com", "level": "3", "groups": `["a","b"]`, "exp": "4102444800",
		}, e.Authorizer)
	}
}

// A browser also sends the cookie for a page of another host. The gateway refuses the page
// before anybody reads the cookie, unless its origin is allowed.
func TestConnect_CookieFromAnotherSite(t *testing.T) {
	t.Parallel()
	i := edIssuer()
	token := gatewaytest.Header("Cookie", "token="+edToken(nil))
	from := func(origin string) gatewaytest.DialOption { return gatewaytest.Header("Origin", origin) }

	srv, log := newServer(t, i)
	for _, origin := range []string{"https://evil.example", "null", "https://gateway.test.evil.example"} {
		_, refused := srv.TryDial(t, token, from(origin))
		require.NotNil(t, refused, origin)
		require.Equal(t, http.StatusForbidden, refused.StatusCode, origin)
	}
	require.Zero(t, i.count(discoveryURL), "the authorizer was asked")
	srv.Dial(t, token, from("http://gateway.test"))
	srv.Dial(t, token) // no browser
	require.NotContains(t, log.String(), edToken(nil))

	srv = gatewaytest.New(t, gateway.WithOriginPatterns("https://app.example"))
	srv.HandleFunc(gateway.RouteKeyConnect, connect, gateway.WithAuthorizer(i.authorizer(t)))
	srv.Dial(t, token, from("https://app.example"))
	_, refused := srv.TryDial(t, token, from("https://evil.example"))
	require.Equal(t, http.StatusForbidden, refused.StatusCode)
}

func TestAuthorizer_Tokens(t *testing.T) {
	t.Parallel()
	token := edToken(nil)
	auth := func(values ...string) http.Header { return http.Header{"Authorization": values} }
	offer := func(values ...string) http.Header { return http.Header{"Sec-Websocket-Protocol": values} }
	query := func(values ...string) url.Values { return url.Values{"access_token": values} }
	cookie := func(values ...string) http.Header { return http.Header{"Cookie": values} }
	off := func(c *jwtauthorizer.Config) { c.QueryParameter, c.Subprotocol, c.Cookie = "", "", "" }
	for name, test := range map[string]struct {
		header http.Header
		query  url.Values
		change func(*jwtauthorizer.Config)
		text   string // of the refusal; "": admitted
	}{
		"blanks around":                     {header: auth("  Bearer   " + token + " ")},
		"another scheme, and a parameter":   {header: auth("Basic YTpi"), query: query(token)},
		"two headers of two schemes":        {header: auth("Basic YTpi", "Bearer "+token)},
		"an empty header, and a parameter":  {header: auth("Bearer "), query: query(token)},
		"an empty parameter, and another":   {query: query("", token)},
		"offered on two lines":              {header: offer("chat, bearer", token+", x")},
		"nothing":                           {text: "there is no token"},
		"empty":                             {header: auth("Bearer"), query: query(""), text: "there is no token"},
		"another scheme":                    {header: auth("Basic " + token), text: "there is no token"},
		"no scheme":                         {header: auth(token)},
		"no scheme, and blanks around":      {header: auth(" \t" + token + "\t ")},
		"a tab after the scheme":            {header: auth("Bearer\t" + token)},
		"tabs and blanks after the scheme":  {header: auth("bearer \t " + token)},
		"no scheme, two headers":            {header: auth(token, token), text: "more than one"},
		"no scheme, and one with it":        {header: auth(token, "Bearer "+token), text: "more than one"},
		"no scheme, and a parameter":        {header: auth(token), query: query(token), text: "more than one"},
		"no scheme, two in a header":        {header: auth(token + "," + token), text: "there is no token"},
		"another scheme, after a tab":       {header: auth("Basic\t" + token), text: "there is no token"},
		"the scheme without a blank":        {header: auth("Bearer" + token), text: "malformed"},
		"no scheme, and no token either":    {header: auth("d3.x"), query: query(token)},
		"another parameter":                 {query: url.Values{"token": {token}}, text: "there is no token"},
		"no parameter is read":              {query: query(token), change: off, text: "there is no token"},
		"no subprotocol is read":            {header: offer("bearer, " + token), change: off, text: "there is no token"},
		"nothing after the subprotocol":     {header: offer("chat, bearer"), text: "there is no token"},
		"the token before the subprotocol":  {header: offer(token + ", bearer"), text: "there is no token"},
		"a subprotocol in upper case":       {header: offer("Bearer, " + token), text: "there is no token"},
		"two headers":                       {header: auth("Bearer "+token, "Bearer "+token), text: "more than one"},
		"two parameters":                    {query: query(token, token), text: "more than one"},
		"two subprotocols":                  {header: offer("bearer, " + token + ", bearer, " + token), text: "more than one"},
		"a header and a parameter":          {header: auth("Bearer " + token), query: query(token), text: "more than one"},
		"a good one and a bad one":          {header: auth("Bearer " + token), query: query("x"), text: "more than one"},
		"a parameter and a subprotocol":     {header: offer("bearer, " + token), query: query(token), text: "more than one"},
		"a cookie":                          {header: cookie("token=" + token)},
		"a cookie among others":             {header: cookie("a=b;c; token=" + token + " ;token2=x")},
		"a cookie on the second line":       {header: cookie("a=b", "token="+token)},
		"an empty cookie, and another":      {header: cookie("token=; token=" + token)},
		"no cookie is read":                 {header: cookie("token=" + token), change: off, text: "there is no token"},
		"a cookie in upper case":            {header: cookie("Token=" + token), text: "there is no token"},
		"a cookie in a longer name":         {header: cookie("xtoken=" + token), text: "there is no token"},
		"two cookies":                       {header: cookie("token=" + token + "; token=" + token), text: "more than one"},
		"two cookies on two lines":          {header: cookie("token="+token, "token="+token), text: "more than one"},
		"a cookie that cannot be read":      {header: cookie("token=\"\x7f; token=" + token), text: "more than one"},
		"a cookie and a parameter":          {header: cookie("token=" + token), query: query(token), text: "more than one"},
		"a cookie in quotes":                {header: cookie(`token="` + token + `"`)},
		"a cookie in one quote":             {header: cookie(`token="` + token), text: "malformed"},
		"a cookie that is a quote":          {header: cookie(`token="`), text: "malformed"},
		"a cookie in two pairs of quotes":   {header: cookie(`token=""` + token + `""`), text: "malformed"},
		"a cookie of quotes, and another":   {header: cookie(`token=""; token=` + token)},
		"two cookies, one in quotes":        {header: cookie(`token="x"; token=` + token), text: "more than one"},
		"a token that is a cookie's name":   {header: cookie(token), text: "there is no token"},
		"just as many cookies as allowed":   {header: cookie("token="+token, "a="+strings.Repeat("x", 10<<10-len("token="+token)-2))},
		"more cookies than allowed":         {header: cookie("token="+token, "a="+strings.Repeat("x", 10<<10-len("token="+token)-1)), text: "more than 10240 bytes"},
		"two tokens in one header":          {header: auth("Bearer " + token + ", Bearer " + token), text: "malformed"},
		"something else after bearer, once": {header: offer("bearer, chat"), text: "malformed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			change := test.change
			if change == nil {
				change = func(*jwtauthorizer.Config) {}
			}
			_, err := edIssuer().authorizer(t, change).Authorize(t.Context(), upgrade(test.header, test.query))
			if test.text == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorIs(t, err, gateway.ErrUnauthorized)
			require.ErrorContains(t, err, test.text)
			require.NotContains(t, err.Error(), token)
		})
	}
}
