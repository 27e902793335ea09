package query_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway/internal/query"
	"example.com/gateway/sigv4"
)

func TestParse(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, raw string
		want      map[string][]string
	}{
		{"nothing", "", nil},
		{"one", "a=1", map[string][]string{"a": {"1"}}},
		{"both separators", "a=1&b=2;c=3", map[string][]string{"a": {"1"}, "b": {"2"}, "c": {"3"}}},
		{"a semicolon splits the data", "token=X;Y", map[string][]string{"token": {"X"}, "Y": {""}}},
		{"an escaped separator does not", "a=1%3Bb%262", map[string][]string{"a": {"1;b&2"}}},
		{"values in their order", "a=2;a=1&a=", map[string][]string{"a": {"2", "1", ""}}},
		{"without an equals sign", "a&b", map[string][]string{"a": {""}, "b": {""}}},
		{"without a name", "=1&=2", map[string][]string{"": {"1", "2"}}},
		{"nothing between separators", "&;&a=1;;", map[string][]string{"a": {"1"}}},
		{"only separators", "&;", map[string][]string{}},
		{"a second equals sign is of the value", "a=b=c", map[string][]string{"a": {"b=c"}}},
		{"blanks and plus signs", "a+b=c+d%20e%2Bf", map[string][]string{"a b": {"c d e+f"}}},
		{"names differ by case", "a=1&A=2", map[string][]string{"a": {"1"}, "A": {"2"}}},
		{"bytes that are no text", "a=%ff%00é", map[string][]string{"a": {"\xff\x00é"}}},
		{"an escape that is escaped", "a=%2541", map[string][]string{"a": {"%41"}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := query.Parse(tt.raw)
			require.NoError(t, err)
			require.Equal(t, tt.want, got)
			require.Equal(t, tt.want, query.Of(&url.URL{RawQuery: tt.raw}))
		})
	}
	require.Nil(t, query.Of(nil))
}

func TestParse_BadEscapes(t *testing.T) {
	t.Parallel()
	for _, raw := range []string{"%", "a=%", "a=100%", "a=1%2", "a=%zz", "%g0=1", "b=1&a=%", "a=%;b=1", "a=%&", "a=%%41", "a=% 41", "x=%u0041"} {
		got, err := query.Parse(raw)
		require.ErrorIs(t, err, query.ErrEscape, raw)
		require.Nil(t, got, "none of %q", raw)
		require.Nil(t, query.Of(&url.URL{RawQuery: raw}))
		require.NotContains(t, err.Error(), "41", "the error does not quote the query")
	}
}

func seeds(f *testing.F) {
	f.Helper()
	for _, raw := range []string{
		"", "a=1&b=2", "a=1;b=2", "a=1%3Bb=2", "token=abc;room=7", "room=100%", "%", "a=%zz", "a=%2", "=&=;", "a+b=c%20d", "a=%C3%A9é\xff", "&&;;", "a=b=c", "%3D=%26&%26=%3D",
	} {
		f.Add(raw)
	}
}

// FuzzParse compares the result with net/url, which knows only one separator, and drops
// parameters that it cannot read.
func FuzzParse(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, raw string) {
		got, err := query.Parse(raw)
		want, wantErr := url.ParseQuery(strings.ReplaceAll(raw, ";", "&"))
		if wantErr != nil {
			require.ErrorIs(t, err, query.ErrEscape)
			require.Empty(t, got)
			return
		}
		require.NoError(t, err)
		require.Equal(t, map[string][]string(want), orEmpty(got))
		again, err := query.Parse(url.Values(got).Encode())
		require.NoError(t, err)
		require.Equal(t, orEmpty(got), orEmpty(again), "what is written is read again")
	})
}

func orEmpty(m map[string][]string) map[string][]string {
	if m == nil {
		return map[string][]string{}
	}
	return m
}

// FuzzParse_LikeSigV4 sends a query with the signature that an AWS SDK would make: it
// covers the parameters between "&", escaped in the canonical way. If the signature is
// accepted, the parameters are those that were signed. Otherwise somebody who has a signed
// URL could add parameters to it.
func FuzzParse_LikeSigV4(f *testing.F) {
	seeds(f)
	now := time.Date(2026, time.November, 21, 0, 27, 36, 0, time.UTC)
	v := &sigv4.Verifier{
		Service: "execute-api", Region: "us-east-1", Now: func() time.Time { return now },
		Keys: sigv4.StaticKeys(map[string]sigv4.Key{"AKIDEXAMPLE": {SecretAccessKey: "secret"}}),
	}
	f.Fuzz(func(t *testing.T, raw string) {
		if strings.ContainsAny(raw, "#? ") {
			return // not in the query of a request line, or a second reading of it
		}
		var pairs []string // as signed
		signed := map[string][]string{}
		for pair := range strings.SplitSeq(raw, "&") {
			name, value, _ := strings.Cut(pair, "=")
			name, value = unescaped(name), unescaped(value)
			if pair != "" {
				pairs = append(pairs, escaped(name)+"="+escaped(value))
				signed[name] = append(signed[name], value)
			}
		}
		slices.Sort(pairs)
		r := signedGet(raw, strings.Join(pairs, "&"), now)
		if _, err := v.Verify(r, nil); err != nil {
			return
		}
		got, err := query.Parse(raw)
		require.NoError(t, err, "what is signed can be read")
		require.Equal(t, signed, withPlus(got, raw))
	})
}

// withPlus removes the one difference that cannot add a parameter: for a signer "+" is a
// plus sign.
func withPlus(parameters map[string][]string, raw string) map[string][]string {
	if !strings.Contains(raw, "+") {
		return orEmpty(parameters)
	}
	parameters, _ = query.Parse(strings.ReplaceAll(raw, "+", "%2B"))
	return orEmpty(parameters)
}

func unescaped(s string) string {
	text, err := url.PathUnescape(s)
	if err != nil {
		return s
	}
	return text
}

func escaped(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }

// signedGet returns GET /?raw with a signature over the canonical query.
func signedGet(raw, canonical string, now time.Time) *http.Request {
	const scope = "20261121/us-east-1/execute-api/aws4_request"
	stamp := now.Format("20060102T150405Z")
	empty := sha256.Sum256(nil)
	request := "GET\n/\n" + canonical + "\nhost:example.com\nx-amz-date:" + stamp + "\n\nhost;x-amz-date\n" + hex.EncodeToString(empty[:])
	sum := sha256.Sum256([]byte(request))
	key := []byte("AWS4secret")
	for part := range strings.SplitSeq(scope, "/") {
		key = mac(key, part)
	}
	signature := hex.EncodeToString(mac(key, "AWS4-HMAC-SHA256\n"+stamp+"\n"+scope+"\n"+hex.EncodeToString(sum[:])))
	return &http.Request{
		Method: http.MethodGet, Host: "example.com", RequestURI: "/?" + raw, URL: &url.URL{Path: "/", RawQuery: raw},
		Header: http.Header{
			"X-Amz-Date":    {stamp},
			"Authorization": {"AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/" + scope + ", SignedHeaders=host;x-amz-date, Signature=" + signature},
		},
	}
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	_, _ = h.Write([]byte(text))
	return h.Sum(nil)
}

// A signature is the same for a ";" and for its escape, but an application reads them
// differently. Only the escape is accepted.
func TestParse_SignedSemicolon(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, time.November, 21, 0, 27, 36, 0, time.UTC)
	v := &sigv4.Verifier{
		Service: "execute-api", Region: "us-east-1", Now: func() time.Time { return now },
		Keys: sigv4.StaticKeys(map[string]sigv4.Key{"AKIDEXAMPLE": {SecretAccessKey: "secret"}}),
	}
	_, err := v.Verify(signedGet("name=ann%3Brole%3Dadmin", "name=ann%3Brole%3Dadmin", now), nil)
	require.NoError(t, err)
	_, err = v.Verify(signedGet("name=ann;role=admin", "name=ann%3Brole%3Dadmin", now), nil)
	require.Error(t, err)
}
