package jwtauthorizer_test

import (
	"context"
	"crypto"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
	"example.com/gateway/jwtauthorizer"
)

func TestAuthorizer_Algorithms(t *testing.T) {
	t.Parallel()
	keys := map[string]crypto.Signer{
		"RS256": rsaKey(), "RS384": rsaKey(), "RS512": rsaKey(), "PS256": rsaKey(), "PS384": rsaKey(), "PS512": rsaKey(),
		"ES256": p256(), "ES384": p384(), "ES512": p521(), "EdDSA": edKey(),
	}
	for alg, k := range keys {
		t.Run(alg, func(t *testing.T) {
			t.Parallel()
			token := sign(alg, k, object{"kid": "k"}, good(nil))
			requireAdmitted(t, newIssuer(jwk("k", k, nil)).authorizer(t), token)
			requireAdmitted(t, newIssuer(jwk("k", k, object{"alg": alg, "use": "sig"})).authorizer(t), token)
			only := func(c *jwtauthorizer.Config) { c.Algorithms = []string{alg} }
			requireAdmitted(t, newIssuer(jwk("k", k, nil)).authorizer(t, only), token)

			for other := range keys {
				if other == alg {
					continue
				}
				not := func(c *jwtauthorizer.Config) { c.Algorithms = []string{other} }
				requireRefused(t, newIssuer(jwk("k", k, nil)).authorizer(t, not, jwksURL), token, gateway.ErrUnauthorized, "algorithm is not accepted")
				requireRefused(t, newIssuer(jwk("k", k, object{"alg": other}), jwk("ed", otherEd(), nil)).authorizer(t), token,
					gateway.ErrUnauthorized, "no key of the issuer")
				lies := signRaw(alg, k, `{"alg":"`+other+`","kid":"k"}`, string(must(json.Marshal(good(nil)))))
				requireRefused(t, newIssuer(jwk("k", k, nil)).authorizer(t), lies, gateway.ErrUnauthorized, "")
			}
		})
	}
}

func jwksURL(c *jwtauthorizer.Config) { c.JWKSURL = keysURL }

// The attacks on the algorithm in RFC 8725, section 2.1, and similar ones.
func TestAuthorizer_AlgorithmConfusion(t *testing.T) {
	t.Parallel()
	der := must(x509.MarshalPKIXPublicKey(rsaKey().Public()))
	publicPEM := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	claims := string(must(json.Marshal(good(nil))))
	embedded := func() string {
		header := object{"alg": "EdDSA", "kid": "ed", "jwk": jwk("ed", otherEd(), nil)}
		return signRaw("EdDSA", otherEd(), string(must(json.Marshal(header))), claims)
	}
	for name, token := range map[string]string{
		"none":                                    sign("none", nil, object{"kid": "rsa"}, good(nil)),
		"None":                                    signRaw("none", nil, `{"alg":"None","kid":"rsa"}`, claims),
		"no alg":                                  signRaw("none", nil, `{"kid":"rsa"}`, claims),
		"HS256 with the public key in PEM":        sign("HS256", publicPEM, object{"kid": "rsa"}, good(nil)),
		"HS256 with the public key in DER":        sign("HS256", der, object{"kid": "rsa"}, good(nil)),
		"HS256 with a symmetric key of the set":   sign("HS256", []byte("secret"), object{"kid": "oct"}, good(nil)),
		"RS256 said, HS256 meant":                 signRaw("HS256", der, `{"alg":"RS256","kid":"rsa"}`, claims),
		"RS256 said, an ECDSA key named":          signRaw("ES256", p256(), `{"alg":"RS256","kid":"ec"}`, claims),
		"ES256 with a key on P-384":               signRaw("ES256", p256(), `{"alg":"ES256","kid":"p384"}`, claims),
		"PS256 said, RS256 meant":                 signRaw("RS256", rsaKey(), `{"alg":"PS256","kid":"rsa"}`, claims),
		"a key for encryption":                    sign("RS256", otherRSA(), object{"kid": "enc"}, good(nil)),
		"a key that is not for verifying":         sign("EdDSA", otherEd(), object{"kid": "ops"}, good(nil)),
		"a key for another algorithm":             sign("RS256", otherRSA(), object{"kid": "rs512"}, good(nil)),
		"an RSA key of 1024 bits":                 sign("RS256", smallRSA(), object{"kid": "small"}, good(nil)),
		"a key that the token brings":             embedded(),
		"a signature that is all zero":            strings.TrimRight(sign("none", nil, object{"kid": "ed", "alg": "EdDSA"}, good(nil)), ".") + "." + b64(make([]byte, 64)),
		"ES256 all zero":                          strings.TrimRight(sign("none", nil, object{"kid": "ec", "alg": "ES256"}, good(nil)), ".") + "." + b64(make([]byte, 64)),
		"a header that must be understood":        sign("EdDSA", edKey(), object{"kid": "ed", "crit": []string{"exp"}}, good(nil)),
		"a payload that is not encoded":           sign("EdDSA", edKey(), object{"kid": "ed", "crit": []string{"b64"}, "b64": false}, good(nil)),
		"a key ID that is no string":              sign("EdDSA", edKey(), object{"kid": 1}, good(nil)),
		"a private key of the set":                sign("EdDSA", otherEd(), object{"kid": "private"}, good(nil)),
		"the signature of another token":          edToken(nil)[:strings.LastIndex(edToken(nil), ".")] + edToken(object{"sub": "mallory"})[strings.LastIndex(edToken(object{"sub": "mallory"}), "."):],
		"a key of a stranger under a key ID ours": sign("EdDSA", otherEd(), object{"kid": "ed"}, good(nil)),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i := newIssuer(
				jwk("rsa", rsaKey(), nil), jwk("ec", p256(), nil), jwk("p384", p384(), nil), jwk("ed", edKey(), nil),
				jwk("enc", otherRSA(), object{"use": "enc"}), jwk("rs512", otherRSA(), object{"alg": "RS512"}),
				jwk("ops", otherEd(), object{"key_ops": []string{"sign"}}), jwk("small", smallRSA(), nil),
				jwk("private", otherEd(), object{"d": b64(otherEd().Seed())}),
				object{"kty": "oct", "kid": "oct", "k": b64([]byte("secret"))},
			)
			requireRefused(t, i.authorizer(t), token, gateway.ErrUnauthorized, "")
		})
	}
}

func TestAuthorizer_Claims(t *testing.T) {
	t.Parallel()
	now := time.Now().Unix()
	for name, test := range map[string]struct {
		claims object
		text   string // of the refusal; "": admitted
	}{
		"as it should be":              {nil, ""},
		"one audience of many":         {object{"aud": []string{"mail", "chat"}}, ""},
		"no audience, but client_id":   {object{"aud": nil, "client_id": "chat"}, ""},
		"client_id of another kind":    {object{"client_id": 7}, ""},
		"exp that is no whole number":  {object{"exp": float64(now) + 3600.5}, ""},
		"no iat":                       {object{"iat": nil}, ""},
		"nbf that is over":             {object{"nbf": now}, ""},
		"another issuer":               {object{"iss": "https://evil.test"}, "https://evil.test"},
		"the issuer with a slash":      {object{"iss": issuerURL + "/"}, "the token is by"},
		"no issuer":                    {object{"iss": nil}, "the token is by"},
		"an issuer in upper case":      {object{"iss": nil, "ISS": issuerURL}, "the token is by"},
		"another audience":             {object{"aud": "mail"}, `for ["mail"]`},
		"another audience, client_id":  {object{"aud": "mail", "client_id": "chat"}, "the token is for"},
		"an empty audience, client_id": {object{"aud": []string{}, "client_id": "chat"}, "the token is for"},
		"an audience that is null":     {object{"aud": json.RawMessage("null"), "client_id": "chat"}, "malformed"},
		"another client_id":            {object{"aud": nil, "client_id": "mail"}, "the token is for"},
		"no audience":                  {object{"aud": nil}, "the token is for"},
		"no exp":                       {object{"exp": nil}, "no exp"},
		"exp that is null":             {object{"exp": json.RawMessage("null")}, "no exp"},
		"exp that is text":             {object{"exp": "9999999999"}, "malformed"},
		"exp beyond all time":          {object{"exp": 1e300}, "malformed"},
		"exp that is over":             {object{"exp": now - 3600}, "expired"},
		"exp before 1970":              {object{"exp": -1}, "expired"},
		"nbf to come":                  {object{"nbf": now + 3600}, "not valid yet"},
		"iat to come":                  {object{"iat": now + 3600}, "issued in the future"},
		"sub that is no text":          {object{"sub": 7}, "malformed"},
		"an aud in two kinds":          {object{"aud": []any{"chat", 7}}, "malformed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := edIssuer().authorizer(t)
			if test.text == "" {
				requireAdmitted(t, a, edToken(test.claims))
				return
			}
			requireRefused(t, a, edToken(test.claims), gateway.ErrUnauthorized, test.text)
		})
	}
	t.Run("payloads that are no claims", func(t *testing.T) {
		t.Parallel()
		a := edIssuer().authorizer(t)
		for _, payload := range []string{"", "null", "[]", `"x"`, "{", `{"iss":"a","iss":"` + issuerURL + `"}`, "\xff"} {
			requireRefused(t, a, signRaw("EdDSA", edKey(), `{"alg":"EdDSA","kid":"ed"}`, payload), gateway.ErrUnauthorized, "")
		}
	})
	t.Run("any audience", func(t *testing.T) {
		t.Parallel()
		a := edIssuer().authorizer(t, func(c *jwtauthorizer.Config) { c.Audience, c.AnyAudience = nil, true })
		requireAdmitted(t, a, edToken(object{"aud": "mail"}))
		requireAdmitted(t, a, edToken(object{"aud": nil}))
	})
}

// Each bound is tested to the second, on either side.
func TestAuthorizer_Skew(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ skew, allowed time.Duration }{
		"default": {0, time.Minute},
		"set":     {5 * time.Second, 5 * time.Second},
		"none":    {-1, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				a := edIssuer().authorizer(t, func(c *jwtauthorizer.Config) { c.Skew = test.skew })
				at := func(d time.Duration) int64 { return time.Now().Add(d).Unix() }
				requireAdmitted(t, a, edToken(object{"exp": at(time.Second - test.allowed)}))
				requireRefused(t, a, edToken(object{"exp": at(-test.allowed)}), gateway.ErrUnauthorized, "expired")
				for _, claim := range []string{"nbf", "iat"} {
					requireAdmitted(t, a, edToken(object{claim: at(test.allowed)}))
					requireRefused(t, a, edToken(object{claim: at(test.allowed + time.Second)}), gateway.ErrUnauthorized, "")
				}
			})
		})
	}
}

func TestAuthorizer_Scopes(t *testing.T) {
	t.Parallel()
	a := edIssuer().authorizer(t, func(c *jwtauthorizer.Config) { c.Scopes = []string{"chat.read", "chat.write"} })
	for _, claims := range []object{
		{"scope": "openid chat.read"},
		{"scope": []string{"openid", "chat.write"}},
		{"scp": "chat.read"},
		{"scp": []string{"chat.read"}, "scope": "openid"},
	} {
		requireAdmitted(t, a, edToken(claims))
	}
	for _, claims := range []object{
		nil,
		{"scope": ""},
		{"scope": "chat.reader chat"},
		{"scope": "CHAT.READ"},
		{"scope": "openid\tchat.read"},
		{"scope": "openid\u00a0chat.read"},
		{"scope": "openid\u2003chat.read\n"},
		{"scope": 7, "scp": object{"chat.read": true}},
		{"scp": []any{7, "openid"}},
	} {
		requireRefused(t, a, edToken(claims), gateway.ErrForbidden, "scopes")
	}
	requireRefused(t, a, edToken(object{"exp": 1}), gateway.ErrUnauthorized, "expired") // before the scopes
}

// Every one of RequiredScopes is needed, and one of Scopes.
func TestAuthorizer_RequiredScopes(t *testing.T) {
	t.Parallel()
	a := edIssuer().authorizer(t, func(c *jwtauthorizer.Config) {
		c.RequiredScopes, c.Scopes = []string{"read", "write"}, []string{"eu", "us"}
	})
	for _, claims := range []object{
		{"scope": "write eu read"},
		{"scp": []string{"read", "write", "us"}},
		{"scp": []string{"read"}, "scope": "write eu"},
	} {
		requireAdmitted(t, a, edToken(claims))
	}
	for _, tt := range []struct {
		claims object
		text   string
	}{
		{object{"scope": "eu read"}, `lacks the scope "write"`},
		{object{"scope": "eu READ write"}, `lacks the scope "read"`},
		{object{"scope": "eu read,write"}, `lacks the scope "read"`},
		{object{"scp": []string{"eu", "read write"}}, `lacks the scope "read"`},
		{object{"scope": "read write"}, "none of the scopes"},
		{nil, "scopes"},
	} {
		requireRefused(t, a, edToken(tt.claims), gateway.ErrForbidden, tt.text)
	}
}

func TestAuthorizer_RequiredClaims(t *testing.T) {
	t.Parallel()
	a := edIssuer().authorizer(t, func(c *jwtauthorizer.Config) {
		c.RequiredClaims = map[string][]string{"email_verified": {"true"}, "role": {"agent", "admin"}, "level": {"7"}}
	})
	with := func(changes object) object {
		claims := object{"email_verified": true, "role": "admin", "level": 7}
		for name, value := range changes {
			claims[name] = value
		}
		return claims
	}
	for _, changes := range []object{
		nil,
		{"role": "agent"},
		{"role": []string{"guest", "agent"}},
		{"email_verified": "true", "level": "7"},
		{"role": []any{nil, 1, object{}, "admin"}},
	} {
		requireAdmitted(t, a, edToken(with(changes)))
	}
	for _, tt := range []struct {
		changes object
		claim   string
	}{
		{object{"role": nil}, "role"},
		{object{"role": json.RawMessage("null")}, "role"},
		{object{"role": "Admin"}, "role"},
		{object{"role": "private-guest"}, "role"},
		{object{"role": "agent admin"}, "role"},
		{object{"role": []string{}}, "role"},
		{object{"role": []any{[]string{"admin"}}}, "role"},
		{object{"role": object{"admin": "admin"}}, "role"},
		{object{"role": nil, "Role": "admin"}, "role"},
		{object{"email_verified": false}, "email_verified"},
		{object{"email_verified": 1}, "email_verified"},
		{object{"level": json.RawMessage("7.0")}, "level"},
	} {
		requireRefused(t, a, edToken(with(tt.changes)), gateway.ErrUnauthorized, `lacks the claim "`+tt.claim+`"`)
		_, err := a.Authorize(t.Context(), bearer(edToken(with(tt.changes))))
		require.NotContains(t, err.Error(), "private-guest")
	}
	twice := signRaw("EdDSA", edKey(), `{"alg":"EdDSA","kid":"ed"}`,
		strings.TrimSuffix(string(must(json.Marshal(good(with(nil))))), "}")+`,"role":"agent"}`)
	requireRefused(t, a, twice, gateway.ErrUnauthorized, "malformed")
}

func TestAuthorizer_Context(t *testing.T) {
	t.Parallel()
	a := edIssuer().authorizer(t, func(c *jwtauthorizer.Config) {
		c.Claims = []string{"sub", "email", "email_verified", "level", "id", "groups", "address", "nothing", "absent"}
	})
	got, err := a.Authorize(t.Context(), bearer(edToken(object{
		"email": "alice@example.com", "email_verified": true, "level": 2.5, "id": json.RawMessage("9007199254740993"),
		"groups": json.RawMessage(`["a", "b"]`), "address": json.RawMessage(`{ "city": "Ulm" }`),
		"nothing": json.RawMessage("null"), "secret": "not asked for",
	})))
	require.NoError(t, err)
	require.Equal(t, &gateway.Authorization{PrincipalID: "alice", Context: object{
		"sub": "alice", "email": "alice@example.com", "email_verified": true, "level": json.Number("2.5"),
		"id": json.Number("9007199254740993"), "groups": `["a","b"]`, "address": `{"city":"Ulm"}`, "nothing": nil,
	}}, got)
}

func TestAuthorizer_MalformedTokens(t *testing.T) {
	t.Parallel()
	token := edToken(nil)
	parts := strings.Split(token, ".")
	a := edIssuer().authorizer(t)
	for name, bad := range map[string]string{
		"one part":          parts[1],
		"two parts":         parts[0] + "." + parts[1],
		"four parts":        token + ".x",
		"no signature":      parts[0] + "." + parts[1] + ".",
		"no header":         "." + parts[1] + "." + parts[2],
		"standard base64":   parts[0] + "." + parts[1] + ".+/" + parts[2][2:],
		"padding":           token + "==",
		"a line end within": parts[0] + "." + parts[1] + "." + parts[2][:9] + "\n" + parts[2][9:],
		"a blank within":    parts[0] + " " + parts[1],
		"JSON":              `{"payload":"` + parts[1] + `","protected":"` + parts[0] + `","signature":"` + parts[2] + `"}`,
		"encrypted":         b64([]byte(`{"alg":"dir","enc":"A128GCM"}`)) + "....",
		"a header cut off":  parts[0][4:] + "." + parts[1] + "." + parts[2],
		"too large":         edToken(object{"padding": strings.Repeat("x", 10<<10)}),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			requireRefused(t, a, bad, gateway.ErrUnauthorized, "")
		})
	}
	// The largest: 10,240 bytes.
	size := base64.RawURLEncoding.DecodedLen(10<<10 - len(edToken(object{"padding": ""})))
	requireAdmitted(t, a, edToken(object{"padding": strings.Repeat("x", size)}))
}

func TestNew_InvalidConfig(t *testing.T) {
	t.Parallel()
	for text, change := range map[string]func(*jwtauthorizer.Config){
		"Issuer is empty":    func(c *jwtauthorizer.Config) { c.Issuer = "" },
		"Audience is empty":  func(c *jwtauthorizer.Config) { c.Audience = nil },
		"both Audience":      func(c *jwtauthorizer.Config) { c.AnyAudience = true },
		"empty entry":        func(c *jwtauthorizer.Config) { c.Audience = []string{""} },
		"https://":           func(c *jwtauthorizer.Config) { c.Issuer = "http://issuer.test" },
		"Issuer: want":       func(c *jwtauthorizer.Config) { c.Issuer = "accounts.test" },
		"Issuer: parse":      func(c *jwtauthorizer.Config) { c.Issuer = "https://[" },
		"neither a query":    func(c *jwtauthorizer.Config) { c.Issuer = "https://issuer.test?a=b" },
		"JWKSURL: want":      func(c *jwtauthorizer.Config) { c.JWKSURL = "http://192.0.2.1/keys" },
		"want an https":      func(c *jwtauthorizer.Config) { c.JWKSURL = "file:///keys" },
		"a user and":         func(c *jwtauthorizer.Config) { c.JWKSURL = "https://user:secret@issuer.test/keys" },
		`"none" is not one`:  func(c *jwtauthorizer.Config) { c.Algorithms = []string{"RS256", "none"} },
		`"HS256" is not one`: func(c *jwtauthorizer.Config) { c.Algorithms = []string{"HS256"} },
		"for HS256 set Sec":  func(c *jwtauthorizer.Config) { c.Algorithms = []string{"HS256"} },
		`Cookie "a b" is no`: func(c *jwtauthorizer.Config) { c.Cookie = "a b" },
		"an empty entry":     func(c *jwtauthorizer.Config) { c.RequiredScopes = []string{""} },
		`scope "a b"`:        func(c *jwtauthorizer.Config) { c.RequiredScopes = []string{"a b"} },
		`claim "role": want`: func(c *jwtauthorizer.Config) { c.RequiredClaims = map[string][]string{"role": nil} },
		`claim "": want`:     func(c *jwtauthorizer.Config) { c.RequiredClaims = map[string][]string{"": {"x"}} },
		`claim "r": want`:    func(c *jwtauthorizer.Config) { c.RequiredClaims = map[string][]string{"r": {"x", ""}} },
		`"a b" is no`:        func(c *jwtauthorizer.Config) { c.Subprotocol = "a b" },
		"is negative":        func(c *jwtauthorizer.Config) { c.RefreshInterval = -1 },
		`claim "principalId"`: func(c *jwtauthorizer.Config) {
			c.Claims = []string{"principalId"}
		},
	} {
		t.Run(text, func(t *testing.T) {
			t.Parallel()
			i := edIssuer()
			cfg := i.config()
			change(&cfg)
			a, err := jwtauthorizer.New(cfg)
			require.ErrorIs(t, err, gateway.ErrInvalidOption)
			require.ErrorContains(t, err, text)
			require.NotContains(t, err.Error(), "secret")
			require.Nil(t, a)
			require.Zero(t, i.count(discoveryURL))
		})
	}
	for _, issuer := range []string{"http://localhost:8080/realms/x", "http://127.0.0.1", "http://[::1]:80", "https://issuer.test/a/"} {
		_, err := jwtauthorizer.New(jwtauthorizer.Config{Issuer: issuer, AnyAudience: true})
		require.NoError(t, err)
	}
}

// A Config may be changed once New has it.
func TestNew_Copies(t *testing.T) {
	t.Parallel()
	cfg := edIssuer().config()
	cfg.RequiredScopes, cfg.RequiredClaims = []string{"read"}, map[string][]string{"role": {"admin"}}
	a, err := jwtauthorizer.New(cfg)
	require.NoError(t, err)
	cfg.Audience[0], cfg.RequiredScopes[0], cfg.RequiredClaims["role"][0] = "mail", "write", "guest"
	cfg.RequiredClaims["more"] = []string{"x"}
	cfg.Client.Transport = nil
	requireAdmitted(t, a, edToken(object{"scope": "read", "role": "admin"}))
	require.Nil(t, cfg.Client.CheckRedirect)
}

// An Authorizer that New did not make is refused where it is set, and admits nobody.
func TestAuthorizer_NotMade(t *testing.T) {
	t.Parallel()
	for says, a := range map[string]*jwtauthorizer.Authorizer{"was not made by New": {}, "nil *jwtauthorizer.Authorizer": nil} {
		gw, err := gateway.New()
		require.NoError(t, err)
		err = gw.Deploy(gateway.Deployment{Routes: []gateway.Route{{RouteKey: "$connect", Integration: &gateway.MockIntegration{}, Authorizer: a}}})
		require.ErrorIs(t, err, gateway.ErrInvalidOption)
		require.ErrorContains(t, err, says)
	}
	_, err := (&jwtauthorizer.Authorizer{}).Authorize(t.Context(), bearer(edToken(nil)))
	require.ErrorContains(t, err, "was not made by New")
}

// An issuer need not be a URL, unless the key set is found by it.
func TestAuthorizer_JWKSURL(t *testing.T) {
	t.Parallel()
	i := edIssuer()
	a := i.authorizer(t, jwksURL, func(c *jwtauthorizer.Config) { c.Issuer = "accounts.test" })
	requireAdmitted(t, a, edToken(object{"iss": "accounts.test"}))
	require.Zero(t, i.count(discoveryURL))
	_, err := a.Authorize(context.Background(), &gateway.Request{})
	require.ErrorIs(t, err, gateway.ErrUnauthorized)
	require.Equal(t, 1, i.count(keysURL))
}
