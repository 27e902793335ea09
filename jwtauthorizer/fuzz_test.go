package jwtauthorizer_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"example.com/gateway/jwtauthorizer"
)

// FuzzAuthorize checks that nobody is admitted, whatever is in the token, the Authorization
// header, the cookies and the subprotocols. The seeds are good except for their
// signatures, whose keys the authorizers do not have.
func FuzzAuthorize(f *testing.F) {
	i := newIssuer(jwk("ed", edKey(), nil), jwk("rsa", rsaKey(), nil), jwk("ec", p256(), nil))
	public := i.authorizer(f, func(c *jwtauthorizer.Config) { c.Claims = []string{"email"} })
	secrets := secretAuthorizer(f, func(c *jwtauthorizer.Config) { c.QueryParameter, c.Subprotocol = "access_token", "bearer" }, secret(1), secret(2))
	claims := string(must(json.Marshal(good(nil))))
	for _, seed := range []string{
		"", ".", "..", "...", "Bearer ", "bearer",
		sign("EdDSA", otherEd(), object{"kid": "ed"}, good(nil)),
		sign("RS256", otherRSA(), object{"kid": "rsa"}, good(nil)),
		sign("PS512", otherRSA(), object{"kid": "rsa"}, good(nil)),
		sign("ES256", newEC(p256().Curve), object{"kid": "ec"}, good(nil)),
		sign("HS256", []byte("ed"), object{"kid": "ed"}, good(nil)),
		hs256(secret(3), nil),
		sign("none", nil, object{"kid": "ed"}, good(nil)),
		signRaw("none", nil, `{"alg":"EdDSA","kid":"ed","crit":["b64"],"b64":false}`, claims),
		signRaw("none", nil, `{"alg":"ES256","kid":"ec","jwk":{"kty":"EC"}}`, claims),
		signRaw("none", nil, `{"alg":"RS256","kid":"rsa","x5c":["AA"]}`, claims),
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, token string) {
		for _, req := range []struct {
			header http.Header
			query  url.Values
		}{
			{header: http.Header{"Authorization": {"Bearer " + token}}},
			{header: http.Header{"Authorization": {token}}},
			{header: http.Header{"Sec-Websocket-Protocol": {"bearer, " + token}}},
			{header: http.Header{"Sec-Websocket-Protocol": {token}}},
			{header: http.Header{"Cookie": {"token=" + token}}},
			{header: http.Header{"Cookie": {token}}},
			{query: url.Values{"access_token": {token}}},
		} {
			for _, a := range []*jwtauthorizer.Authorizer{public, secrets} {
				authorization, err := a.Authorize(t.Context(), upgrade(req.header, req.query))
				if err == nil || authorization != nil {
					t.Fatalf("admitted: %v", authorization)
				}
				if len(token) > 100 && strings.Contains(err.Error(), token) {
					t.Fatalf("the error has the token: %v", err)
				}
			}
		}
	})
}

// FuzzCookies checks that nobody is admitted whose cookies another program reads
// differently: net/http has to find exactly the one token. TOKEN in the header stands for
// a good token.
func FuzzCookies(f *testing.F) {
	a, token := edIssuer().authorizer(f), edToken(nil)
	for _, seed := range []string{
		"token=TOKEN", "a=b; token=TOKEN", "token=; token=TOKEN", "token=TOKEN;token=TOKEN", "TOKEN", "token = TOKEN ;",
		`token="TOKEN"`, "token=TOKEN,token=x", "token=x; token=TOKEN", "Token=x; token=TOKEN", "token==TOKEN", ";;token=TOKEN;", "token=\tTOKEN", "token=TOKEN\t; a=b",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		header := http.Header{"Cookie": {strings.ReplaceAll(text, "TOKEN", token)}}
		authorization, err := a.Authorize(t.Context(), upgrade(header, nil))
		if err != nil {
			if authorization != nil || strings.Contains(err.Error(), token) {
				t.Fatalf("%v, %v", authorization, err)
			}
			return
		}
		var found []string
		cookies, err := http.ParseCookie(header.Get("Cookie"))
		if err != nil {
			cookies = (&http.Request{Header: header}).Cookies() // without those that it cannot read
		}
		for _, c := range cookies {
			if value := strings.Trim(c.Value, " \t"); c.Name == "token" && value != "" {
				found = append(found, value)
			}
		}
		if len(found) != 1 || found[0] != token {
			t.Fatalf("admitted with %q, of which net/http reads %q", text, found)
		}
	})
}
