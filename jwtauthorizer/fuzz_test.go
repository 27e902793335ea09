package jwtauthorizer_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"example.com/gateway/jwtauthorizer"
)

// FuzzAuthorize checks that nobody gets in, whatever the token, the Authorization
// header and the subprotocols say. The seeds are good but for their signatures,
// which are by keys that the issuer does not have.
func FuzzAuthorize(f *testing.F) {
	i := newIssuer(jwk("ed", edKey(), nil), jwk("rsa", rsaKey(), nil), jwk("ec", p256(), nil))
	a := i.authorizer(f, func(c *jwtauthorizer.Config) { c.Claims = []string{"email"} })
	claims := string(must(json.Marshal(good(nil))))
	for _, seed := range []string{
		"", ".", "..", "...", "Bearer ", "bearer",
		sign("EdDSA", otherEd(), object{"kid": "ed"}, good(nil)),
		sign("RS256", otherRSA(), object{"kid": "rsa"}, good(nil)),
		sign("PS512", otherRSA(), object{"kid": "rsa"}, good(nil)),
		sign("ES256", newEC(p256().Curve), object{"kid": "ec"}, good(nil)),
		sign("HS256", []byte("ed"), object{"kid": "ed"}, good(nil)),
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
			{query: url.Values{"access_token": {token}}},
		} {
			authorization, err := a.Authorize(t.Context(), upgrade(req.header, req.query))
			if err == nil || authorization != nil {
				t.Fatalf("admitted: %v", authorization)
			}
			if len(token) > 100 && strings.Contains(err.Error(), token) {
				t.Fatalf("the error has the token: %v", err)
			}
		}
	})
}
