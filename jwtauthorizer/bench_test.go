package jwtauthorizer_test

import (
	"crypto"
	"testing"

	"example.com/gateway/jwtauthorizer"
)

// BenchmarkAuthorize measures the check of a good token when the keys are already there.
func BenchmarkAuthorize(b *testing.B) {
	b.Run("alg=HS256", func(b *testing.B) {
		a := secretAuthorizer(b, nil, secret(1))
		req := bearer(hs256(secret(1), object{"email": "alice@example.com"}))
		b.ReportAllocs()
		for b.Loop() {
			if _, err := a.Authorize(b.Context(), req); err != nil {
				b.Fatal(err)
			}
		}
	})
	for _, bench := range []struct {
		alg string
		key crypto.Signer
	}{{"RS256", rsaKey()}, {"ES256", p256()}, {"EdDSA", edKey()}} {
		b.Run("alg="+bench.alg, func(b *testing.B) {
			a := newIssuer(jwk("k", bench.key, nil)).authorizer(b, func(c *jwtauthorizer.Config) { c.Claims = []string{"email"} })
			req := bearer(sign(bench.alg, bench.key, object{"kid": "k"}, good(object{"email": "alice@example.com"})))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := a.Authorize(b.Context(), req); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
