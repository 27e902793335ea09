package jwtauthorizer_test

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
	"example.com/gateway/gatewaytest"
	"example.com/gateway/jwtauthorizer"
)

// secret returns one of the secrets of the tests.
func secret(n byte) []byte {
	return bytes.Repeat([]byte{n, 0xa5}, 16)
}

// hs256 returns a token that is signed with a secret.
func hs256(secret []byte, changes object) string { return sign("HS256", secret, nil, good(changes)) }

// secretAuthorizer takes tokens of the secrets.
func secretAuthorizer(tb testing.TB, change func(*jwtauthorizer.Config), secrets ...[]byte) *jwtauthorizer.Authorizer {
	tb.Helper()
	cfg := jwtauthorizer.Config{Secrets: secrets, Audience: []string{"chat"}, Cookie: "token"}
	if change != nil {
		change(&cfg)
	}
	a, err := jwtauthorizer.New(cfg)
	require.NoError(tb, err)
	return a
}

func TestSecrets_Tokens(t *testing.T) {
	t.Parallel()
	a := secretAuthorizer(t, nil, secret(1), secret(2))
	for name, token := range map[string]string{
		"the first secret":           hs256(secret(1), nil),
		"the other one":              hs256(secret(2), nil),
		"a key ID, which is ignored": sign("HS256", secret(2), object{"kid": "7"}, good(nil)),
		"no issuer":                  hs256(secret(1), object{"iss": nil}),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			requireAdmitted(t, a, token)
		})
	}
	for name, tt := range map[string]struct{ token, text string }{
		"another secret":   {hs256(secret(3), nil), "signature is wrong"},
		"a longer secret":  {hs256(append(secret(1), 7), nil), "signature is wrong"},
		"a shorter secret": {hs256(secret(1)[:31], nil), "signature is wrong"},
		"no secret":        {hs256(nil, nil), "signature is wrong"},
		"another audience": {hs256(secret(1), object{"aud": "mail"}), "the token is for"},
		"no exp":           {hs256(secret(1), object{"exp": nil}), "no exp"},
		"expired":          {hs256(secret(1), object{"exp": 1}), "expired"},
		"changed":          {tampered(hs256(secret(1), nil)), "signature is wrong"},
		"no signature":     {signRaw("none", nil, `{"alg":"HS256"}`, `{}`), "signature is wrong"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			requireRefused(t, a, tt.token, gateway.ErrUnauthorized, tt.text)
		})
	}
	requireRefused(t, secretAuthorizer(t, nil, secret(2)), hs256(secret(1), nil), gateway.ErrUnauthorized, "signature is wrong") // rotated out

	issuer := secretAuthorizer(t, func(c *jwtauthorizer.Config) { c.Issuer = "login" }, secret(1))
	requireAdmitted(t, issuer, hs256(secret(1), object{"iss": "login"}))
	requireRefused(t, issuer, hs256(secret(1), nil), gateway.ErrUnauthorized, "the token is by")
	requireRefused(t, issuer, hs256(secret(1), object{"iss": nil}), gateway.ErrUnauthorized, "the token is by")
}

// tampered returns a token with another payload under the same signature.
func tampered(token string) string {
	parts := bytes.Split([]byte(token), []byte("."))
	parts[1] = []byte(b64(must(json.Marshal(good(object{"sub": "mallory"})))))
	return string(bytes.Join(parts, []byte(".")))
}

// An authorizer with secrets accepts no algorithm for public keys, and the other way
// round. (RFC 8725, section 2.1.)
func TestSecrets_AlgorithmConfusion(t *testing.T) {
	t.Parallel()
	a := secretAuthorizer(t, nil, secret(1))
	claims := string(must(json.Marshal(good(nil))))
	for name, token := range map[string]string{
		"none":                     sign("none", nil, nil, good(nil)),
		"HS384":                    sign("HS384", secret(1), nil, good(nil)),
		"HS512":                    sign("HS512", secret(1), nil, good(nil)),
		"RS256":                    sign("RS256", rsaKey(), nil, good(nil)),
		"ES256":                    sign("ES256", p256(), nil, good(nil)),
		"EdDSA":                    edToken(nil),
		"EdDSA said, HS256 meant":  signRaw("HS256", secret(1), `{"alg":"EdDSA"}`, claims),
		"hs256":                    signRaw("HS256", secret(1), `{"alg":"hs256"}`, claims),
		"a secret that it brings":  signRaw("HS256", secret(9), `{"alg":"HS256","jwk":{"kty":"oct","k":"`+b64(secret(9))+`"}}`, claims),
		"a header that must be":    signRaw("HS256", secret(1), `{"alg":"HS256","crit":["exp"]}`, claims),
		"a payload not encoded":    signRaw("HS256", secret(1), `{"alg":"HS256","crit":["b64"],"b64":false}`, claims),
		"an algorithm named twice": signRaw("HS256", secret(1), `{"alg":"none","alg":"HS256"}`, claims),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			requireRefused(t, a, token, gateway.ErrUnauthorized, "")
		})
	}
	// An authorizer with public keys accepts no token that is signed with a secret.
	requireRefused(t, edIssuer().authorizer(t), hs256(secret(1), nil), gateway.ErrUnauthorized, "algorithm is not accepted")
}

func TestSecrets_InvalidConfig(t *testing.T) {
	t.Parallel()
	der := must(x509.MarshalPKIXPublicKey(rsaKey().Public()))
	for text, change := range map[string]func(*jwtauthorizer.Config){
		"Secrets[0] has 31 bytes, want at least 32": func(c *jwtauthorizer.Config) { c.Secrets = [][]byte{secret(1)[:31]} },
		`make one with "openssl rand -hex 32"`:      func(c *jwtauthorizer.Config) { c.Secrets[0] = nil },
		"Secrets[1] has 0 bytes":                    func(c *jwtauthorizer.Config) { c.Secrets = append(c.Secrets, nil) },
		"Secrets is empty, but not nil":             func(c *jwtauthorizer.Config) { c.Secrets = [][]byte{} },
		"there are 9 Secrets":                       func(c *jwtauthorizer.Config) { c.Secrets = slices.Repeat(c.Secrets, 9) },
		"one byte again and again":                  func(c *jwtauthorizer.Config) { c.Secrets[0] = make([]byte, 32) },
		"Secrets[0] looks like a key in PEM": func(c *jwtauthorizer.Config) {
			c.Secrets[0] = append([]byte("\n"), pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})...)
		},
		"SSH or JWK":              func(c *jwtauthorizer.Config) { c.Secrets[0] = must(json.Marshal(jwk("rsa", rsaKey(), nil))) },
		"JWKSURL":                 func(c *jwtauthorizer.Config) { c.JWKSURL = keysURL },
		"either secrets or":       func(c *jwtauthorizer.Config) { c.Client = http.DefaultClient },
		"RefreshInterval":         func(c *jwtauthorizer.Config) { c.RefreshInterval = 1 },
		"UnknownKeyInterval":      func(c *jwtauthorizer.Config) { c.UnknownKeyInterval = 1 },
		"MaxStale":                func(c *jwtauthorizer.Config) { c.MaxStale = -1 },
		`"RS256" is not one`:      func(c *jwtauthorizer.Config) { c.Algorithms = []string{"HS256", "RS256"} },
		`"none" is not one`:       func(c *jwtauthorizer.Config) { c.Algorithms = []string{"none"} },
		"leave Secrets out to":    func(c *jwtauthorizer.Config) { c.Algorithms = []string{"EdDSA"} },
		"Audience is empty: name": func(c *jwtauthorizer.Config) { c.Audience = nil },
	} {
		t.Run(text, func(t *testing.T) {
			t.Parallel()
			cfg := jwtauthorizer.Config{Secrets: [][]byte{secret(1)}, Audience: []string{"chat"}}
			change(&cfg)
			a, err := jwtauthorizer.New(cfg)
			require.ErrorIs(t, err, gateway.ErrInvalidOption)
			require.ErrorContains(t, err, text)
			require.NotContains(t, err.Error(), string(secret(1)[:31]))
			require.Nil(t, a)
		})
	}
	requireAdmitted(t, secretAuthorizer(t, func(c *jwtauthorizer.Config) { c.Algorithms = []string{"HS256"} }, secret(1)), hs256(secret(1), nil))
}

// A public key is no secret, in whatever format it comes.
func TestSecrets_PublicKeys(t *testing.T) {
	t.Parallel()
	der := must(x509.MarshalPKIXPublicKey(rsaKey().Public()))
	pemText := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	pkcs1 := x509.MarshalPKCS1PublicKey(&rsaKey().PublicKey)
	base64Lines := pemText[bytes.IndexByte(pemText, '\n'):bytes.LastIndex(pemText, []byte("-----END"))]
	for name, secret := range map[string][]byte{
		"PEM":                          pemText,
		"PEM with Windows' line ends":  bytes.ReplaceAll(pemText, []byte("\n"), []byte("\r\n")),
		"PEM in one line":              bytes.ReplaceAll(pemText, []byte("\n"), []byte(`\n`)),
		"PEM in quotes":                fmt.Appendf(nil, "%q", pemText),
		"PEM behind a byte order mark": append([]byte("\ufeff"), pemText...),
		"PEM behind a comment":         append([]byte("# the key\n"), pemText...),
		"DER":                          der,
		"PKCS #1":                      pkcs1,
		"base64":                       []byte(base64.StdEncoding.EncodeToString(der)),
		"base64 of PKCS #1":            []byte(base64.StdEncoding.EncodeToString(pkcs1) + "\n"),
		"base64 in lines":              base64Lines,
		"SSH":                          []byte("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBWb ann@example"),
		"JWK":                          must(json.Marshal(jwk("rsa", rsaKey(), nil))),
		"a list of JWKs":               must(json.Marshal([]any{jwk("rsa", rsaKey(), nil)})),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := jwtauthorizer.New(jwtauthorizer.Config{Secrets: [][]byte{secret}, Audience: []string{"chat"}})
			require.ErrorContains(t, err, "Secrets[0] looks like a key in PEM, DER, SSH or JWK format")
		})
	}
	for _, secret := range []string{strings.Repeat("0af3", 16), "MIIB" + strings.Repeat("aB3/", 10), "correct horse battery staple, and more"} {
		secretAuthorizer(t, nil, []byte(secret))
	}
}

// The caller may overwrite the secrets after New, and printing an authorizer does not show
// them.
func TestSecrets_AreKept(t *testing.T) {
	t.Parallel()
	mine := secret(1)
	a := secretAuthorizer(t, nil, mine)
	clear(mine)
	requireAdmitted(t, a, hs256(secret(1), nil))
	requireRefused(t, a, hs256(make([]byte, 32), nil), gateway.ErrUnauthorized, "signature is wrong")
	for _, verb := range []string{"%v", "%+v", "%#v"} {
		text := fmt.Sprintf(verb, a)
		require.NotContains(t, text, "1 165 1 165")
		require.NotContains(t, text, "0x1, 0xa5")
	}
}

// The log of a refusal has the name of the claim, but neither its value nor the token.
func TestSecrets_LogKeepsValues(t *testing.T) {
	t.Parallel()
	a := secretAuthorizer(t, func(c *jwtauthorizer.Config) { c.RequiredClaims = map[string][]string{"plan": {"gold"}} }, secret(1))
	log := &logBuffer{}
	srv := gatewaytest.New(t, gateway.WithLogger(log.logger()))
	srv.HandleFunc(gateway.RouteKeyConnect, connect, gateway.WithAuthorizer(a))
	token := hs256(secret(1), object{"plan": "secret-plan"})
	_, refused := srv.TryDial(t, gatewaytest.Header("Cookie", "token="+token))
	require.Equal(t, http.StatusUnauthorized, refused.StatusCode)
	require.NotContains(t, refused.Body, "plan")
	require.Contains(t, log.String(), "plan")
	require.NotContains(t, log.String(), "secret-plan")
	require.NotContains(t, log.String(), token)
	srv.Dial(t, gatewaytest.Header("Cookie", "token="+hs256(secret(1), object{"plan": "gold"})))
}
