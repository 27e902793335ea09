package sigv4_test

import (
	"bytes"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/gateway/sigv4"
)

// FuzzVerify_Mutation writes any bytes into a capture. A request that is still accepted
// has the same meaning.
func FuzzVerify_Mutation(f *testing.F) {
	all := captures(f)
	for i, c := range all {
		f.Add(uint8(i), uint16(0), uint8(0), []byte("P"))
		f.Add(uint8(i), uint16(bytes.IndexByte(c.raw, '@')), uint8(1), []byte("%40"))
		f.Add(uint8(i), uint16(bytes.Index(c.raw, []byte("/@"))), uint8(0), []byte("/."))
		f.Add(uint8(i), uint16(bytes.Index(c.raw, []byte("\r\n"))+2), uint8(0), []byte("X-Amz-Content-Sha256: UNSIGNED-PAYLOAD\r\n"))
		f.Add(uint8(i), uint16(bytes.Index(c.raw, []byte("\r\n"))+2), uint8(0), []byte("Transfer-Encoding: chunked\r\n"))
		f.Add(uint8(i), uint16(bytes.Index(c.raw, []byte(" HTTP"))), uint8(0), []byte("?X-Amz-Signature=0"))
		f.Add(uint8(i), uint16(bytes.Index(c.raw, []byte("Credential="))), uint8(0), []byte("Signature=,"))
		f.Add(uint8(i), uint16(bytes.Index(c.raw, []byte("SignedHeaders=")))+14, uint8(0), []byte("a;"))
		f.Add(uint8(i), uint16(len(c.raw)), uint8(0), []byte("x"))
		if blank := bytes.Index(c.raw, []byte("%20")); blank >= 0 {
			f.Add(uint8(i), uint16(blank), uint8(3), []byte("+"))
		}
	}
	f.Fuzz(func(t *testing.T, index uint8, position uint16, remove uint8, text []byte) {
		c := all[int(index)%len(all)]
		from := min(int(position), len(c.raw))
		raw := slices.Replace(bytes.Clone(c.raw), from, min(from+int(remove), len(c.raw)), text...)
		r, body, err := parseHTTP(raw)
		if err != nil {
			return
		}
		signature, err := c.verifier(t).Verify(r, body)
		if err != nil {
			requireSound(t, err)
			return
		}
		require.Equal(t, essenceOf(t, c.raw), essenceOf(t, raw), "%q", raw)
		require.Equal(t, exampleID, signature.Caller.AccessKeyID)
	})
}

// FuzzVerify sends anything to a Verifier whose secret nobody knows.
func FuzzVerify(f *testing.F) {
	const secret = "nobody-knows-this-one"
	for _, c := range captures(f) {
		r, body := c.request(f)
		f.Add(r.Method, r.RequestURI, r.Host, r.Header.Get("Authorization"), r.Header.Get("X-Amz-Date"),
			r.Header.Get("Date"), r.Header.Get("X-Amz-Security-Token"), r.Header.Get("X-Amz-Content-Sha256"), body)
	}
	f.Add("GET", "*", "", "AWS4-HMAC-SHA256 Credential=////,SignedHeaders=;,Signature=/", "", "Sat, 21 Nov 2026 00:27:36 GMT", "", "UNSIGNED-PAYLOAD", []byte(nil))
	f.Add("GET", "?%", " ", "", "20261121T002736Z", "", "", "STREAMING-", []byte(nil))
	v := &sigv4.Verifier{
		Service: "execute-api", Region: sigv4.AnyRegion, AllowUnsignedPayload: true,
		Now: clock(at(f, "20261121T002736Z")), Keys: staticKey(secret, "TOKEN=="),
	}
	f.Fuzz(func(t *testing.T, method, target, host, authorization, amzDate, date, token, payload string, body []byte) {
		r := &http.Request{Method: method, RequestURI: target, Host: host, Header: http.Header{}}
		if target == "" {
			r.RequestURI = "/"
		}
		for name, value := range map[string]string{
			"Authorization": authorization, "X-Amz-Date": amzDate, "Date": date,
			"X-Amz-Security-Token": token, "X-Amz-Content-Sha256": payload,
		} {
			if value != "" {
				r.Header[name] = []string{value}
			}
		}
		_, err := v.Verify(r, body)
		require.Error(t, err)
		requireSound(t, err)
		if !strings.Contains(target+host+authorization+amzDate+date+token+payload, secret) {
			require.NotContains(t, err.(*sigv4.Error).Message, secret) //nolint:errorlint // requireSound saw the type
		}
	})
}

// requireSound asserts that err is a refusal as any is.
func requireSound(t *testing.T, err error) {
	t.Helper()
	refused := refusal(t, err, errorCode(err))
	require.NotEmpty(t, refused.Code)
	require.NotEmpty(t, refused.Message)
	require.LessOrEqual(t, len(refused.Message), 32<<10)
	require.NotContains(t, refused.Error(), "\n")
}

// FuzzVerify_Query signs any query as net/url reads it, with "+" as a blank and as a plus
// sign, and sends it unchanged. Both are accepted. A query with another meaning is not
// accepted, nor is one with a semicolon that is not escaped.
func FuzzVerify_Query(f *testing.F) {
	for _, query := range []string{"", "room=my+room", "a=1+1&+=%2B&b", "a=%20+%20", "&&a==b&=c", "%C3%A9=é&~-._=*", "a=1&a=0&A=2", "a=%zz+", "x;y=+", "+", "%2b=%2B"} {
		f.Add(query, "a=+")
	}
	s := newSigner(signedAt)
	v := exampleVerifier(at(f, signedAt), "execute-api", "")
	header := map[string]string{"host": "example.com", "x-amz-date": signedAt}
	f.Fuzz(func(t *testing.T, query, other string) {
		if len(query) > 1<<12 || strings.ContainsAny(query+other, "# \r\n") {
			return
		}
		r := &http.Request{Method: http.MethodGet, RequestURI: "/prod?" + query, Host: "example.com", Header: http.Header{}}
		r.Header.Set("X-Amz-Date", signedAt)
		readings := map[string]bool{}
		for _, unescape := range []func(string) (string, error){url.QueryUnescape, url.PathUnescape} {
			canonical, ok := canonicalQuery(query, unescape)
			ok = ok && !strings.Contains(query, ";") // who reads the query later splits it there, the signer does not
			if strings.Contains(canonical, "X-Amz-") {
				return
			}
			r.Header.Set("Authorization", s.authorization(s.sign(http.MethodGet, "/prod", canonical, header, nil)))
			_, err := v.Verify(r, nil)
			require.Equal(t, ok, err == nil, "%q signed as %q: %v", query, canonical, err)
			readings[canonical] = true
		}
		if canonical, ok := canonicalQuery(other, url.QueryUnescape); ok && !readings[canonical] {
			r.Header.Set("Authorization", s.authorization(s.sign(http.MethodGet, "/prod", canonical, header, nil)))
			_, err := v.Verify(r, nil)
			requireRefused(t, err, invalid)
		}
	})
}

// canonicalQuery returns the canonical form of a query as AWS describes it, of the text
// that unescape reads. It reports false if an escape is invalid.
func canonicalQuery(query string, unescape func(string) (string, error)) (string, bool) {
	var pairs [][2]string
	for pair := range strings.SplitSeq(query, "&") {
		if pair == "" {
			continue
		}
		name, value, _ := strings.Cut(pair, "=")
		name, nameErr := unescape(name)
		value, valueErr := unescape(value)
		if nameErr != nil || valueErr != nil {
			return "", false
		}
		escape := func(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }
		pairs = append(pairs, [2]string{escape(name), escape(value)})
	}
	slices.SortFunc(pairs, func(a, b [2]string) int { return slices.Compare(a[:], b[:]) })
	var b strings.Builder
	for i, pair := range pairs {
		if i > 0 {
			b.WriteByte('&')
		}
		b.WriteString(pair[0] + "=" + pair[1])
	}
	return b.String(), true
}
