package jwtauthorizer_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
	"example.com/gateway/jwtauthorizer"
)

// otherToken is a token by otherEd, with a key ID that edIssuer does not have.
func otherToken() string { return sign("EdDSA", otherEd(), object{"kid": "new"}, good(nil)) }

// requireFailure checks that a cannot decide whether a token is good.
func requireFailure(t *testing.T, a *jwtauthorizer.Authorizer, token, text string) {
	t.Helper()
	_, err := a.Authorize(context.Background(), bearer(token))
	require.ErrorContains(t, err, text)
	require.NotErrorIs(t, err, gateway.ErrUnauthorized)
	require.NotErrorIs(t, err, gateway.ErrForbidden)
	require.NotContains(t, err.Error(), token)
}

// pass lets time pass.
func pass(d time.Duration) { time.Sleep(d) } //nolint:forbidigo // in a synctest bubble

func TestKeys_FetchedOnFirstUse(t *testing.T) {
	t.Parallel()
	i := edIssuer()
	a := i.authorizer(t)
	require.Zero(t, i.count(discoveryURL))
	for range 3 {
		requireAdmitted(t, a, edToken(nil))
	}
	require.Equal(t, 1, i.count(discoveryURL))
	require.Equal(t, 1, i.count(keysURL))
}

func TestKeys_Rotation(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		i := edIssuer()
		a := i.authorizer(t)
		requireAdmitted(t, a, edToken(nil))

		// There is a new key: its first token makes the authorizer fetch the set, once.
		pass(time.Minute)
		i.setKeys(jwk("ed", edKey(), nil), jwk("new", otherEd(), nil))
		for range 3 {
			requireAdmitted(t, a, otherToken())
			requireAdmitted(t, a, edToken(nil))
		}
		require.Equal(t, 2, i.count(keysURL))

		// The old key is withdrawn: it is good until the refresh, 15 minutes after the last.
		i.setKeys(jwk("new", otherEd(), nil))
		pass(15*time.Minute - time.Second)
		requireAdmitted(t, a, edToken(nil))
		require.Equal(t, 2, i.count(keysURL))
		pass(time.Second)
		requireRefused(t, a, edToken(nil), gateway.ErrUnauthorized, "no key of the issuer")
		require.Equal(t, 3, i.count(keysURL))
		requireAdmitted(t, a, otherToken())
	})
}

// A key set may move.
func TestKeys_Move(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		i := edIssuer()
		a := i.authorizer(t)
		requireAdmitted(t, a, edToken(nil))
		pass(time.Hour)
		i.answer(discoveryURL, http.StatusOK, object{"issuer": issuerURL, "jwks_uri": "https://keys.test/new"})
		i.answer("https://keys.test/new", http.StatusOK, object{"keys": []object{jwk("new", otherEd(), nil)}})
		requireAdmitted(t, a, otherToken())
	})
}

func TestKeys_UnknownKeyFlood(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		i := edIssuer()
		a := i.authorizer(t, jwksURL)
		start := time.Now()
		for n := range 1000 { // for 100 s, 10 at a time
			var wg sync.WaitGroup
			for m := range 10 {
				wg.Go(func() {
					token := sign("EdDSA", otherEd(), object{"kid": fmt.Sprint(n, m)}, good(nil))
					_, err := a.Authorize(context.Background(), bearer(token))
					if !errors.Is(err, gateway.ErrUnauthorized) {
						t.Errorf("got %v", err)
					}
				})
			}
			wg.Wait()
			pass(100 * time.Millisecond)
		}
		require.Equal(t, 100*time.Second, time.Since(start))
		require.Equal(t, 4, i.count(keysURL), "the first, and one in 30 s")

		// Meanwhile good tokens are admitted, and a new key is found.
		requireAdmitted(t, a, edToken(nil))
		i.setKeys(jwk("new", otherEd(), nil))
		pass(20 * time.Second)
		requireAdmitted(t, a, otherToken())
	})
}

// An issuer may make a new key under its old ID or without an ID, or may change its
// algorithm. A signature that no key fits makes the authorizer fetch the set, as often as
// an unknown key ID does.
func TestKeys_NewKeyUnderOldID(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		before, after object
		old, new      func() string
	}{
		"the same kind": {
			jwk("ed", edKey(), nil), jwk("ed", otherEd(), nil),
			func() string { return edToken(nil) },
			func() string { return sign("EdDSA", otherEd(), object{"kid": "ed"}, good(nil)) },
		},
		"another kind": {
			jwk("ed", edKey(), nil), jwk("ed", p256(), nil),
			func() string { return edToken(nil) },
			func() string { return sign("ES256", p256(), object{"kid": "ed"}, good(nil)) },
		},
		"no ID": {
			jwk("", edKey(), nil), jwk("", otherEd(), nil),
			func() string { return sign("EdDSA", edKey(), nil, good(nil)) },
			func() string { return sign("EdDSA", otherEd(), nil, good(nil)) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				i := newIssuer(test.before)
				a := i.authorizer(t)
				requireAdmitted(t, a, test.old())
				i.setKeys(test.after)
				pass(30*time.Second - time.Nanosecond)
				requireRefused(t, a, test.new(), gateway.ErrUnauthorized, "")
				requireAdmitted(t, a, test.old())
				require.Equal(t, 1, i.count(keysURL))
				pass(time.Nanosecond)
				for range 3 {
					requireAdmitted(t, a, test.new())
				}
				require.Equal(t, 2, i.count(keysURL))
				requireRefused(t, a, test.old(), gateway.ErrUnauthorized, "")
				require.Equal(t, 2, i.count(keysURL))
			})
		})
	}
}

// Invented signatures cost the issuer one request in 30 seconds, and delay nobody else.
func TestKeys_WrongSignatureFlood(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		i := edIssuer()
		a := i.authorizer(t, jwksURL)
		requireAdmitted(t, a, edToken(nil))
		for n := range 1000 { // for 100 s
			token, text := sign("EdDSA", otherEd(), object{"kid": "ed"}, good(nil)), "signature"
			if n%2 == 1 {
				token, text = sign("ES256", p256(), object{"kid": "ed"}, good(nil)), "no key"
			}
			requireRefused(t, a, token, gateway.ErrUnauthorized, text)
			pass(100 * time.Millisecond)
		}
		require.Equal(t, 4, i.count(keysURL), "the first, and one in 30 s")

		// While the issuer hangs, a good token does not wait.
		pass(time.Minute)
		release := i.held(jwk("ed", edKey(), nil))
		forged, refused := sign("EdDSA", otherEd(), object{"kid": "ed"}, good(nil)), make(chan error, 1)
		go func() {
			_, err := a.Authorize(context.Background(), bearer(forged))
			refused <- err
		}()
		synctest.Wait()
		start := time.Now()
		requireAdmitted(t, a, edToken(nil))
		require.Zero(t, time.Since(start))
		release()
		require.ErrorIs(t, <-refused, gateway.ErrUnauthorized)

		// A failed fetch changes nothing: good tokens are admitted, others refused.
		pass(time.Minute)
		i.answer(keysURL, http.StatusInternalServerError, "")
		requireRefused(t, a, forged, gateway.ErrUnauthorized, "signature")
		requireAdmitted(t, a, edToken(nil))
	})
}

// Keys and tokens may call EdDSA by its newer name, Ed25519. (RFC 9864.)
func TestKeys_Ed25519(t *testing.T) {
	t.Parallel()
	edDSA := func(c *jwtauthorizer.Config) { c.Algorithms = []string{"EdDSA"} }
	rs256 := func(c *jwtauthorizer.Config) { c.Algorithms = []string{"RS256"} }
	byName := func(header object) string { return sign("EdDSA", edKey(), header, good(nil)) }
	for _, alg := range []any{"Ed25519", "EdDSA", nil} {
		more := object{"alg": alg}
		if alg == nil {
			more = nil
		}
		i := newIssuer(jwk("ed", edKey(), more))
		for _, change := range []func(*jwtauthorizer.Config){edDSA, func(*jwtauthorizer.Config) {}} {
			requireAdmitted(t, i.authorizer(t, change), byName(object{"kid": "ed"}))
			requireAdmitted(t, i.authorizer(t, change), byName(object{"kid": "ed", "alg": "Ed25519"}))
			requireRefused(t, i.authorizer(t, change), sign("EdDSA", otherEd(), object{"kid": "ed", "alg": "Ed25519"}, good(nil)), gateway.ErrUnauthorized, "signature")
		}
		requireRefused(t, i.authorizer(t, edDSA), byName(object{"kid": "ed", "alg": "Ed448"}), gateway.ErrUnauthorized, "algorithm")
		requireRefused(t, i.authorizer(t, edDSA), byName(object{"kid": "ed", "alg": "ed25519"}), gateway.ErrUnauthorized, "algorithm")
		both := newIssuer(jwk("ed", edKey(), more), jwk("rsa", rsaKey(), nil))
		requireRefused(t, both.authorizer(t, rs256), byName(object{"kid": "ed", "alg": "Ed25519"}), gateway.ErrUnauthorized, "algorithm")
	}
	i := newIssuer(jwk("rsa", rsaKey(), object{"alg": "Ed25519"}), jwk("ed", edKey(), nil))
	requireRefused(t, i.authorizer(t), byName(object{"kid": "rsa", "alg": "Ed25519"}), gateway.ErrUnauthorized, "no key")
	requireRefused(t, i.authorizer(t), sign("RS256", rsaKey(), object{"kid": "rsa"}, good(nil)), gateway.ErrUnauthorized, "no key")
}

func TestKeys_NoKeyID(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		token := sign("EdDSA", edKey(), nil, good(nil))
		requireAdmitted(t, edIssuer().authorizer(t), token)
		requireAdmitted(t, newIssuer(jwk("", edKey(), nil)).authorizer(t), token)
		requireAdmitted(t, newIssuer(jwk("ed", edKey(), nil), jwk("enc", otherEd(), object{"use": "enc"})).authorizer(t), token)
		requireAdmitted(t, newIssuer(jwk("ed", edKey(), nil), jwk("small", smallRSA(), nil)).authorizer(t), token)

		i := newIssuer(jwk("ed", edKey(), nil), jwk("rsa", rsaKey(), nil))
		a := i.authorizer(t)
		requireRefused(t, a, token, gateway.ErrUnauthorized, "no key")
		pass(time.Minute)
		requireRefused(t, a, token, gateway.ErrUnauthorized, "no key")
		require.Equal(t, 1, i.count(keysURL))
		requireRefused(t, edIssuer().authorizer(t), sign("ES256", p256(), nil, good(nil)), gateway.ErrUnauthorized, "no key")
		requireRefused(t, newIssuer(jwk("", edKey(), nil)).authorizer(t), edToken(nil), gateway.ErrUnauthorized, "no key")
	})
}

// Two keys may share an ID: RFC 7517, section 4.5.
func TestKeys_SharedKeyID(t *testing.T) {
	t.Parallel()
	a := newIssuer(jwk("ed", rsaKey(), nil), jwk("ed", otherEd(), nil), jwk("ed", edKey(), nil)).authorizer(t)
	requireAdmitted(t, a, edToken(nil))
	requireAdmitted(t, a, sign("PS384", rsaKey(), object{"kid": "ed"}, good(nil)))
}

// Only a few keys are tried, because each takes time, and an issuer must not choose how
// much.
func TestKeys_ManyOfOneKeyID(t *testing.T) {
	t.Parallel()
	others := func(n int) (keys []object) {
		for range n {
			keys = append(keys, jwk("ed", newEd(), nil), jwk("ed", rsaKey(), nil), jwk("x", otherEd(), nil))
		}
		return append(keys, jwk("ed", edKey(), nil))
	}
	requireAdmitted(t, newIssuer(others(7)...).authorizer(t), edToken(nil))
	requireRefused(t, newIssuer(others(8)...).authorizer(t), edToken(nil), gateway.ErrUnauthorized, "signature")
	requireRefused(t, newIssuer(others(800)...).authorizer(t), edToken(nil), gateway.ErrUnauthorized, "signature")
}

// held makes the issuer send its keys only after release is called.
func (i *issuer) held(keys ...object) (release func()) {
	gate := make(chan struct{})
	i.setKeys(keys...)
	i.mu.Lock()
	answer := i.answers[keysURL]
	i.mu.Unlock()
	i.respond(keysURL, func(r *http.Request) (*http.Response, error) {
		select {
		case <-gate:
			return answer(r)
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
	})
	return func() { close(gate) }
}

func TestKeys_ConcurrentFirstUse(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		i := newIssuer()
		release := i.held(jwk("ed", edKey(), nil))
		a := i.authorizer(t)
		token := edToken(nil)
		errs := make(chan error, 100)
		for range cap(errs) {
			go func() {
				_, err := a.Authorize(context.Background(), bearer(token))
				errs <- err
			}()
		}
		synctest.Wait()
		release()
		for range cap(errs) {
			require.NoError(t, <-errs)
		}
		require.Equal(t, 1, i.count(keysURL))
	})
}

// While one call refreshes the keys, the others use the present ones.
func TestKeys_RefreshHoldsUpOneCall(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		i := edIssuer()
		a := i.authorizer(t)
		requireAdmitted(t, a, edToken(nil))
		pass(15 * time.Minute)
		release := i.held(jwk("new", otherEd(), nil))
		token := edToken(nil)
		refreshed := make(chan error, 1)
		go func() {
			_, err := a.Authorize(context.Background(), bearer(token))
			refreshed <- err
		}()
		synctest.Wait()
		requireAdmitted(t, a, edToken(nil))

		// A call that needs a new key waits until its context ends.
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := a.Authorize(ctx, bearer(otherToken()))
		require.ErrorIs(t, err, context.DeadlineExceeded)
		token = otherToken()
		found := make(chan error, 1)
		go func() {
			_, err := a.Authorize(context.Background(), bearer(token))
			found <- err
		}()
		synctest.Wait()
		release()
		require.ErrorIs(t, <-refreshed, gateway.ErrUnauthorized)
		require.NoError(t, <-found)
		require.Equal(t, 2, i.count(keysURL))
	})
}

// If a call gives up, the next one fetches.
func TestKeys_FirstCallGivesUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		i := newIssuer()
		release := i.held(jwk("ed", edKey(), nil))
		a := i.authorizer(t)
		token := edToken(nil)
		ctx, cancel := context.WithCancel(t.Context())
		first, second := make(chan error, 1), make(chan error, 1)
		go func() {
			_, err := a.Authorize(ctx, bearer(token))
			first <- err
		}()
		synctest.Wait()
		go func() {
			_, err := a.Authorize(context.Background(), bearer(token))
			second <- err
		}()
		synctest.Wait()
		cancel()
		err := <-first
		require.ErrorIs(t, err, context.Canceled)
		require.NotErrorIs(t, err, gateway.ErrUnauthorized)
		release()
		require.NoError(t, <-second)
	})
}

func TestKeys_DownAtStart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		i := edIssuer()
		i.answer(keysURL, http.StatusServiceUnavailable, "")
		a := i.authorizer(t)
		for range 100 {
			requireFailure(t, a, edToken(nil), "status 503")
		}
		require.Equal(t, 1, i.count(keysURL), "one request a second")
		i.setKeys(jwk("ed", edKey(), nil))
		pass(time.Second)
		requireAdmitted(t, a, edToken(nil))
	})
}

func TestKeys_NoAnswer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		i := newIssuer()
		i.held()
		a := i.authorizer(t)
		start := time.Now()
		requireFailure(t, a, edToken(nil), "deadline")
		require.Equal(t, 10*time.Second, time.Since(start))
	})
}

func TestKeys_DownAtRefresh(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		i := edIssuer()
		log := &logBuffer{}
		a := i.authorizer(t, func(c *jwtauthorizer.Config) { c.Logger = slog.New(slog.NewTextHandler(log, nil)) })
		requireAdmitted(t, a, edToken(nil))
		require.Empty(t, log.String())
		i.answer(keysURL, http.StatusInternalServerError, "secret of the issuer")

		// Stale keys are good for two hours. The authorizer tries to fetch every 30 s.
		pass(15 * time.Minute)
		for range 240 {
			requireAdmitted(t, a, edToken(nil))
			requireRefused(t, a, otherToken(), gateway.ErrUnauthorized, "no key")
			pass(30 * time.Second)
		}
		require.Equal(t, 1+240, i.count(keysURL))
		require.Equal(t, 240, strings.Count(log.String(), "key set not refreshed"))
		require.NotContains(t, log.String(), "secret")
		requireFailure(t, a, edToken(nil), "status 500")

		i.setKeys(jwk("ed", edKey(), nil))
		pass(time.Second)
		requireAdmitted(t, a, edToken(nil))
	})
}

func TestKeys_MaxStale(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		i := edIssuer()
		a := i.authorizer(t, func(c *jwtauthorizer.Config) { c.RefreshInterval, c.MaxStale = time.Minute, -1 })
		requireAdmitted(t, a, edToken(nil))
		i.answer(keysURL, http.StatusInternalServerError, "")
		pass(time.Minute - time.Second)
		requireAdmitted(t, a, edToken(nil))
		pass(time.Second)
		requireFailure(t, a, edToken(nil), "status 500")
	})
}

// When an issuer withdraws all keys, no token is good any more.
func TestKeys_AllWithdrawn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		i := edIssuer()
		a := i.authorizer(t)
		requireAdmitted(t, a, edToken(nil))
		i.setKeys()
		pass(15 * time.Minute)
		requireFailure(t, a, edToken(nil), "no key that we can use")
	})
}

func TestKeys_BadAnswers(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		arrange func(*issuer)
		text    string
	}{
		"no JSON":            {func(i *issuer) { i.answer(keysURL, 200, "<html>") }, "invalid character"},
		"no key set":         {func(i *issuer) { i.answer(keysURL, 200, object{}) }, "is no key set"},
		"keys that are none": {func(i *issuer) { i.setKeys(object{"kty": "LAMP"}, object{"kty": "RSA"}) }, "no key that we can use"},
		"too large":          {func(i *issuer) { i.answer(keysURL, 200, strings.Repeat(" ", 1<<20+1)) }, "more than 1048576 bytes"},
		"another issuer": {func(i *issuer) {
			i.answer(discoveryURL, 200, object{"issuer": "https://evil.test", "jwks_uri": keysURL})
		}, "https://evil.test"},
		"jwks_uri over HTTP": {func(i *issuer) {
			i.answer(discoveryURL, 200, object{"issuer": issuerURL, "jwks_uri": "http://issuer.test/keys"})
		}, "want an https"},
		"jwks_uri on loopback": {func(i *issuer) {
			i.answer(discoveryURL, 200, object{"issuer": issuerURL, "jwks_uri": "http://127.0.0.1/keys"})
		}, "another scheme"},
		"no jwks_uri":          {func(i *issuer) { i.answer(discoveryURL, 200, object{"issuer": issuerURL}) }, "want an https"},
		"no discovery":         {func(i *issuer) { i.answer(discoveryURL, 404, "") }, "status 404"},
		"redirect to HTTP":     {func(i *issuer) { i.redirectKeys("http://issuer.test/keys") }, "another scheme"},
		"redirect to loopback": {func(i *issuer) { i.redirectKeys("http://127.0.0.1/keys") }, "another scheme"},
		"redirect to itself":   {func(i *issuer) { i.redirectKeys(keysURL) }, "more than 5 redirects"},
		"an error that is ours": {func(i *issuer) {
			i.respond(keysURL, func(*http.Request) (*http.Response, error) { return nil, gateway.ErrUnauthorized })
		}, "unauthorized"},
		"a body that breaks off": {func(i *issuer) {
			i.respond(keysURL, func(r *http.Request) (*http.Response, error) {
				return &http.Response{StatusCode: 200, Body: io.NopCloser(io.MultiReader(strings.NewReader("{"), broken{})), Request: r}, nil
			})
		}, "broken"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i := edIssuer()
			test.arrange(i)
			requireFailure(t, i.authorizer(t), edToken(nil), test.text)
			require.LessOrEqual(t, i.count(keysURL), 6)
		})
	}
	t.Run("a redirect that is fine", func(t *testing.T) {
		t.Parallel()
		i := edIssuer()
		i.redirectKeys("https://keys.test/")
		i.answer("https://keys.test/", http.StatusOK, object{"keys": []object{jwk("ed", edKey(), nil)}})
		requireAdmitted(t, i.authorizer(t), edToken(nil))
	})
	t.Run("a redirect from loopback to another host", func(t *testing.T) {
		t.Parallel()
		i := edIssuer()
		i.respond("http://127.0.0.1/keys", func(r *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: http.StatusFound, Header: http.Header{"Location": {"http://issuer.test/keys"}}, Body: http.NoBody, Request: r}, nil
		})
		a := i.authorizer(t, func(c *jwtauthorizer.Config) { c.JWKSURL = "http://127.0.0.1/keys" })
		requireFailure(t, a, edToken(nil), "want an https")
		require.Zero(t, i.count("http://issuer.test/keys"))
	})
	t.Run("a redirect that the caller's client forbids", func(t *testing.T) {
		t.Parallel()
		i := edIssuer()
		i.redirectKeys("https://keys.test/")
		a := i.authorizer(t, func(c *jwtauthorizer.Config) {
			c.Client.CheckRedirect = func(*http.Request, []*http.Request) error { return errors.New("not there") }
		})
		requireFailure(t, a, edToken(nil), "not there")
	})
	t.Run("keys that are good among others", func(t *testing.T) {
		t.Parallel()
		i := newIssuer(object{"kty": "LAMP"}, object{"kty": "EC", "crv": "secp256k1"}, object{"kty": "RSA", "kid": 7}, jwk("ed", edKey(), nil))
		requireAdmitted(t, i.authorizer(t), edToken(nil))
	})
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errors.New("broken") }

// A slash at the end of an issuer is part of the issuer, but not of the URL that is made
// from it. (OpenID Connect Discovery, section 4.1.)
func TestKeys_IssuerWithSlash(t *testing.T) {
	t.Parallel()
	i := edIssuer()
	i.answer(discoveryURL, http.StatusOK, object{"issuer": issuerURL + "/", "jwks_uri": keysURL})
	a := i.authorizer(t, func(c *jwtauthorizer.Config) { c.Issuer = issuerURL + "/" })
	requireAdmitted(t, a, edToken(object{"iss": issuerURL + "/"}))
	requireRefused(t, a, edToken(nil), gateway.ErrUnauthorized, "the token is by")
}

// The issuer on a real socket, over plain HTTP on loopback.
func TestKeys_OverTCP(t *testing.T) {
	t.Parallel()
	mux := http.NewServeMux()
	server := httptest.NewServer(mux)
	defer server.Close()
	mux.HandleFunc("/.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"issuer":%q,"jwks_uri":%q}`, server.URL+"/", server.URL+"/keys")
	})
	i := edIssuer()
	mux.HandleFunc("/keys", func(w http.ResponseWriter, r *http.Request) {
		resp, err := i.RoundTrip(must(http.NewRequest(http.MethodGet, keysURL, nil)).WithContext(r.Context()))
		if err == nil {
			_, _ = io.Copy(w, resp.Body)
			_ = resp.Body.Close()
		}
	})
	a, err := jwtauthorizer.New(jwtauthorizer.Config{Issuer: server.URL + "/", Audience: []string{"chat"}, Client: server.Client()})
	require.NoError(t, err)
	requireAdmitted(t, a, edToken(object{"iss": server.URL + "/"}))
	requireRefused(t, a, edToken(object{"iss": server.URL}), gateway.ErrUnauthorized, "the token is by")
}
