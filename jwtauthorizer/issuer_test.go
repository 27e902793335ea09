package jwtauthorizer_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"io"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
	"example.com/gateway/jwtauthorizer"
)

// The keys of the tests. They are made once, because to make an RSA key takes time.
var (
	rsaKey   = sync.OnceValue(func() *rsa.PrivateKey { return newRSA(2048) })
	otherRSA = sync.OnceValue(func() *rsa.PrivateKey { return newRSA(2048) })
	smallRSA = sync.OnceValue(func() *rsa.PrivateKey { return newRSA(1024) })
	p256     = sync.OnceValue(func() *ecdsa.PrivateKey { return newEC(elliptic.P256()) })
	p384     = sync.OnceValue(func() *ecdsa.PrivateKey { return newEC(elliptic.P384()) })
	p521     = sync.OnceValue(func() *ecdsa.PrivateKey { return newEC(elliptic.P521()) })
	edKey    = sync.OnceValue(newEd)
	otherEd  = sync.OnceValue(newEd)
)

func newRSA(bits int) *rsa.PrivateKey {
	k, err := rsa.GenerateKey(rand.Reader, bits)
	return must(k, err)
}

func newEC(curve elliptic.Curve) *ecdsa.PrivateKey {
	k, err := ecdsa.GenerateKey(curve, rand.Reader)
	return must(k, err)
}

func newEd() ed25519.PrivateKey {
	_, k, err := ed25519.GenerateKey(rand.Reader)
	return must(k, err)
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// object is a JSON object.
type object = map[string]any

func b64(data []byte) string { return base64.RawURLEncoding.EncodeToString(data) }

// jwk writes a public key in the format of RFC 7518, section 6, and RFC 8037, with more
// members.
func jwk(kid string, k crypto.Signer, more object) object {
	var m object
	switch k := k.Public().(type) {
	case *rsa.PublicKey:
		m = object{"kty": "RSA", "n": b64(k.N.Bytes()), "e": b64(big.NewInt(int64(k.E)).Bytes())}
	case *ecdsa.PublicKey:
		point := must(k.Bytes())
		half := len(point) / 2
		m = object{"kty": "EC", "crv": k.Params().Name, "x": b64(point[1 : 1+half]), "y": b64(point[1+half:])}
	case ed25519.PublicKey:
		m = object{"kty": "OKP", "crv": "Ed25519", "x": b64(k)}
	}
	if kid != "" {
		m["kid"] = kid
	}
	for name, value := range more {
		m[name] = value
	}
	return m
}

// sign makes a token. It uses nothing of the package under test, so that both have to
// follow RFC 7515.
func sign(alg string, k any, header, claims object) string {
	h := object{"alg": alg, "typ": "JWT"}
	for name, value := range header {
		h[name] = value
	}
	return signRaw(alg, k, string(must(json.Marshal(h))), string(must(json.Marshal(claims))))
}

func signRaw(alg string, k any, header, claims string) string {
	input := b64([]byte(header)) + "." + b64([]byte(claims))
	return input + "." + b64(signature(alg, k, []byte(input)))
}

func signature(alg string, k any, input []byte) []byte {
	if alg == "none" {
		return nil
	}
	if alg == "EdDSA" {
		return ed25519.Sign(k.(ed25519.PrivateKey), input)
	}
	hash := map[string]crypto.Hash{"256": crypto.SHA256, "384": crypto.SHA384, "512": crypto.SHA512}[alg[2:]]
	digest := hash.New()
	digest.Write(input)
	sum := digest.Sum(nil)
	switch alg[:2] {
	case "RS":
		return must(rsa.SignPKCS1v15(rand.Reader, k.(*rsa.PrivateKey), hash, sum))
	case "PS":
		return must(rsa.SignPSS(rand.Reader, k.(*rsa.PrivateKey), hash, sum, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}))
	case "ES":
		r, s, err := ecdsa.Sign(rand.Reader, k.(*ecdsa.PrivateKey), sum)
		size := (k.(*ecdsa.PrivateKey).Params().BitSize + 7) / 8
		out := make([]byte, 2*size)
		must(r, err).FillBytes(out[:size])
		s.FillBytes(out[size:])
		return out
	default: // HS
		mac := hmac.New(hash.New, k.([]byte))
		mac.Write(input)
		return mac.Sum(nil)
	}
}

const (
	issuerURL    = "https://issuer.test"
	discoveryURL = issuerURL + "/.well-known/openid-configuration"
	keysURL      = issuerURL + "/keys"
)

// issuer is an OpenID Connect issuer in memory: a transport that answers its two
// URLs.
type issuer struct {
	mu      sync.Mutex // guards the fields below
	answers map[string]func(*http.Request) (*http.Response, error)
	fetches map[string]int
}

// newIssuer returns an issuer with keys.
func newIssuer(keys ...object) *issuer {
	i := &issuer{fetches: map[string]int{}, answers: map[string]func(*http.Request) (*http.Response, error){}}
	i.answer(discoveryURL, http.StatusOK, object{"issuer": issuerURL, "jwks_uri": keysURL})
	i.setKeys(keys...)
	return i
}

func (i *issuer) setKeys(keys ...object) {
	if keys == nil {
		keys = []object{}
	}
	i.answer(keysURL, http.StatusOK, object{"keys": keys})
}

// answer sets the answer for a URL: a text is sent unchanged, another body as JSON.
func (i *issuer) answer(where string, status int, body any) {
	text, ok := body.(string)
	if !ok {
		text = string(must(json.Marshal(body)))
	}
	i.respond(where, func(r *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: status, Body: io.NopCloser(strings.NewReader(text)), Request: r}, nil
	})
}

func (i *issuer) respond(where string, f func(*http.Request) (*http.Response, error)) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.answers[where] = f
}

// redirectKeys makes the issuer redirect from the URL of its keys.
func (i *issuer) redirectKeys(to string) {
	i.respond(keysURL, func(r *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: http.StatusFound, Header: http.Header{"Location": {to}}, Body: http.NoBody, Request: r}, nil
	})
}

// count returns how often a URL has been fetched.
func (i *issuer) count(where string) int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.fetches[where]
}

func (i *issuer) RoundTrip(r *http.Request) (*http.Response, error) {
	i.mu.Lock()
	i.fetches[r.URL.String()]++
	answer := i.answers[r.URL.String()]
	i.mu.Unlock()
	if answer == nil {
		return &http.Response{StatusCode: http.StatusNotFound, Body: http.NoBody, Request: r}, nil
	}
	return answer(r)
}

// config is for tokens of i to audience "chat".
func (i *issuer) config() jwtauthorizer.Config {
	return jwtauthorizer.Config{
		Issuer: issuerURL, Audience: []string{"chat"}, Client: &http.Client{Transport: i},
		QueryParameter: "access_token", Subprotocol: "bearer", Cookie: "token",
	}
}

func (i *issuer) authorizer(tb testing.TB, change ...func(*jwtauthorizer.Config)) *jwtauthorizer.Authorizer {
	tb.Helper()
	cfg := i.config()
	for _, f := range change {
		f(&cfg)
	}
	a, err := jwtauthorizer.New(cfg)
	require.NoError(tb, err)
	return a
}

// good returns good claims with changes. A nil value removes a claim.
func good(changes object) object {
	c := object{"iss": issuerURL, "aud": "chat", "sub": "alice", "exp": time.Now().Add(time.Hour).Unix(), "iat": time.Now().Unix()}
	for name, value := range changes {
		c[name] = value
		if value == nil {
			delete(c, name)
		}
	}
	return c
}

// edToken is a token by edKey, whose ID is "ed".
func edToken(changes object) string {
	return sign("EdDSA", edKey(), object{"kid": "ed"}, good(changes))
}

func edIssuer() *issuer { return newIssuer(jwk("ed", edKey(), nil)) }

// upgrade is a CONNECT request.
func upgrade(header http.Header, query url.Values) *gateway.Request {
	r := httptest.NewRequest(http.MethodGet, "/prod?"+query.Encode(), nil)
	for name, values := range header {
		r.Header[name] = values
	}
	return &gateway.Request{Upgrade: r}
}

func bearer(token string) *gateway.Request {
	return upgrade(http.Header{"Authorization": {"Bearer " + token}}, nil)
}

// requireRefused checks that a refuses a token with the error want, and that the text of
// the error does not contain the token.
func requireRefused(t *testing.T, a *jwtauthorizer.Authorizer, token string, want error, text string) {
	t.Helper()
	authorization, err := a.Authorize(context.Background(), bearer(token))
	require.ErrorIs(t, err, want)
	require.ErrorContains(t, err, text)
	require.Nil(t, authorization)
	for part := range strings.SplitSeq(token, ".") {
		if len(part) > 8 {
			require.NotContains(t, err.Error(), part)
		}
	}
}

func requireAdmitted(t *testing.T, a *jwtauthorizer.Authorizer, token string) {
	t.Helper()
	authorization, err := a.Authorize(context.Background(), bearer(token))
	require.NoError(t, err)
	require.Equal(t, "alice", authorization.PrincipalID)
}

// logBuffer is a log that may be read while it is written.
type logBuffer struct {
	mu sync.Mutex // guards the field below
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
