package sigv4_test

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
)

// BenchmarkVerify measures one verification of what a client sent.
func BenchmarkVerify(b *testing.B) {
	for _, bench := range []struct{ form, file string }{
		{"header", "jsv3-post-session-token.http"},
		{"query", "botocore-presigned-connect-session-token.http"},
	} {
		c := captureNamed(b, bench.file)
		v := c.verifier(b)
		r, body := c.request(b)
		b.Run("form="+bench.form, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := v.Verify(r, body); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	c := captureNamed(b, "boto3-post.http")
	v := c.verifier(b)
	r, _ := c.request(b)
	r.RequestURI = "/prod"
	body := bytes.Repeat([]byte("x"), 128<<10)
	_, err := v.Verify(r, body)
	require.Error(b, err)
	b.Run("form=header/body=128KiB/refused", func(b *testing.B) {
		b.ReportAllocs()
		b.SetBytes(int64(len(body)))
		for b.Loop() {
			_, _ = v.Verify(r, body)
		}
	})
}
