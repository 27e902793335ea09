package sigv4_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// presignedURL is a URL that a published client signed at signedAt.
type presignedURL struct{ Client, Name, URL, SessionToken string }

func presignedURLs(t testing.TB) (all []presignedURL) {
	t.Helper()
	require.NoError(t, json.Unmarshal(readFile(t, filepath.Join("testdata", "presigned-urls", "urls.json")), &all))
	require.Len(t, all, 40)
	return all
}

// request is the upgrade that a browser would send.
func (p presignedURL) request(t testing.TB) *http.Request {
	t.Helper()
	u, err := url.Parse(p.URL)
	require.NoError(t, err)
	return &http.Request{Method: http.MethodGet, RequestURI: u.RequestURI(), Host: u.Host, Header: http.Header{}}
}

// URLs of clients that write no X-Amz-Expires, and of clients that write a blank in the
// query as "+" but sign it as "%20". They are good for the skew.
func TestVerify_PresignedURLs(t *testing.T) {
	t.Parallel()
	signed := at(t, signedAt)
	for _, p := range presignedURLs(t) {
		t.Run(p.Client+"/"+p.Name, func(t *testing.T) {
			t.Parallel()
			for _, now := range []time.Time{signed, signed.Add(-5 * time.Minute), signed.Add(5 * time.Minute)} {
				signature, err := exampleVerifier(now, "execute-api", p.SessionToken).Verify(p.request(t), nil)
				require.NoError(t, err)
				require.True(t, signature.Presigned)
				require.Equal(t, exampleID, signature.Caller.AccessKeyID)
			}
			for _, now := range []time.Time{signed.Add(-5*time.Minute - time.Second), signed.Add(5*time.Minute + time.Second), signed.Add(time.Hour)} {
				_, err := exampleVerifier(now, "execute-api", p.SessionToken).Verify(p.request(t), nil)
				requireRefused(t, err, invalid)
			}
			_, err := exampleVerifier(signed, "execute-api", p.SessionToken+"x").Verify(p.request(t), nil)
			requireRefused(t, err, unrecognized)
		})
	}
}

// A changed parameter in such a URL is refused, and so is an X-Amz-Expires that was added
// later.
func TestVerify_PresignedURLsChanged(t *testing.T) {
	t.Parallel()
	for _, p := range presignedURLs(t) {
		t.Run(p.Client+"/"+p.Name, func(t *testing.T) {
			t.Parallel()
			v := exampleVerifier(at(t, signedAt), "execute-api", p.SessionToken)
			r := p.request(t)
			path, query, _ := strings.Cut(r.RequestURI, "?")
			pairs := strings.Split(query, "&")
			refused := func(changed ...string) {
				t.Helper()
				r := r.Clone(t.Context())
				r.RequestURI = path + "?" + strings.Join(changed, "&")
				_, err := v.Verify(r, nil)
				require.Error(t, err, r.RequestURI)
				requireRefused(t, err, errorCode(err))
			}
			for _, more := range []string{"X-Amz-Expires=300", "X-Amz-Expires=604800", "X-Amz-Expires=", "x-amz-expires=1", "room=", "+=", "a=+"} {
				refused(append(slices.Clone(pairs), more)...)
				refused(append([]string{more}, pairs...)...)
			}
			for i, pair := range pairs {
				change := func(text string) { refused(slices.Replace(slices.Clone(pairs), i, i+1, text)...) }
				refused(slices.Delete(slices.Clone(pairs), i, i+1)...)
				change(pair + "x")
				change(pair + "+")
				change(pair[:len(pair)-1])
				if strings.Contains(pair, "+") { // a plus sign is no blank, nor are both some of each
					change(strings.ReplaceAll(pair, "+", "%2B"))
					change(strings.ReplaceAll(pair, "+", ""))
				}
			}
		})
	}
}

// Each "+" in a query stands for a plus sign, or each stands for a blank.
func TestVerify_PlusInQuery(t *testing.T) {
	t.Parallel()
	v := exampleVerifier(at(t, signedAt), "execute-api", "")
	for _, test := range []struct {
		name, sent, signed string
		ok                 bool
	}{
		{"a plus sign", "1+1", "1%2B1", true},
		{"a blank", "1+1", "1%201", true},
		{"plus signs", "+1++", "%2B1%2B%2B", true},
		{"blanks", "+1++", "%201%20%20", true},
		{"one of each", "1+1+1", "1%2B1%201", false},
		{"a blank beside an escaped plus sign", "1+1%2B1", "1%201%2B1", true},
		{"an escaped plus sign that was signed as a blank", "1%2B1", "1%201", false},
		{"an escaped blank that was signed as a plus sign", "1%201", "1%2B1", false},
		{"a plus sign that was escaped twice", "1%252B1", "1%2B1", false},
		{"nothing", "1+1", "11", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := newSigner(signedAt).presigned("300", map[string]string{"room": test.signed})
			require.Contains(t, r.RequestURI, "room="+test.signed)
			r.RequestURI = strings.Replace(r.RequestURI, "room="+test.signed, "room="+test.sent, 1)
			_, err := v.Verify(r, nil)
			require.Equal(t, test.ok, err == nil, "%v", err)
		})
	}
}
