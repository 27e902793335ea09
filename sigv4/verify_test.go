package sigv4_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
	"example.com/gateway/sigv4"
)

// What package gateway asks for.
var _ gateway.PublicError = (*sigv4.Error)(nil)

// admit asks v as package gateway does.
func admit(v *sigv4.Verifier, r *http.Request, body []byte) error {
	return v.AuthorizeManagement(r.Context(), &gateway.ManagementCall{Request: r, Body: body})
}

func TestVerify_Clock(t *testing.T) {
	t.Parallel()
	r, body := newSigner(signedAt).request(nil)
	signed := at(t, signedAt)
	tests := []struct {
		name string
		skew time.Duration
		now  time.Time
		text string // of the refusal
	}{
		{"the very second", 0, signed, ""},
		{"5 minutes ago", 0, signed.Add(5 * time.Minute), ""},
		{"5 minutes and a bit of the second ago", 0, signed.Add(5*time.Minute + 999*time.Millisecond), ""},
		{"a second more", 0, signed.Add(5*time.Minute + time.Second), "Signature expired"},
		{"in 5 minutes", 0, signed.Add(-5 * time.Minute), ""},
		{"in a second more", 0, signed.Add(-5*time.Minute - time.Second), "Signature not yet current"},
		{"in another zone", 0, signed.In(time.FixedZone("", 7*3600)), ""},
		{"own skew", 90 * time.Second, signed.Add(90 * time.Second), ""},
		{"more than it", 90 * time.Second, signed.Add(91 * time.Second), "(20261121T120131Z - 1.5 min.)"},
		{"more than it, ahead", 90 * time.Second, signed.Add(-91 * time.Second), "(20261121T115829Z + 1.5 min.)"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			v := exampleVerifier(test.now, "execute-api", "")
			v.Skew = test.skew
			signature, err := v.Verify(r, body)
			if test.text != "" {
				require.ErrorContains(t, err, test.text)
				return
			}
			require.NoError(t, err)
			require.Equal(t, signed, signature.Time)
		})
	}
}

func TestVerify_RealClock(t *testing.T) {
	t.Parallel()
	r, body := newSigner(time.Now().UTC().Format("20060102T150405Z")).request(nil)
	v := exampleVerifier(time.Time{}, "execute-api", "")
	v.Now = nil
	_, err := v.Verify(r, body)
	require.NoError(t, err)
}

func TestVerify_PresignedExpiry(t *testing.T) {
	t.Parallel()
	signed := at(t, signedAt)
	const week = 7 * 24 * time.Hour
	tests := []struct {
		name    string
		expires string
		most    time.Duration
		now     time.Time
		text    string // of the refusal
	}{
		{"the last second", "300", 0, signed.Add(300 * time.Second), ""},
		{
			"a second after", "300", 0, signed.Add(301 * time.Second),
			"Signature expired: 20261121T120000Z is now earlier than 20261121T120001Z (20261121T120501Z - 5 min.)",
		},
		{"the first second", "300", 0, signed.Add(-5 * time.Minute), ""},
		{"a second before", "300", 0, signed.Add(-5*time.Minute - time.Second), "Signature not yet current"},
		{"one second", "1", 0, signed.Add(time.Second), ""},
		{"one second, a second after", "1", 0, signed.Add(2 * time.Second), "Signature expired"},
		{"a week", "604800", 0, signed.Add(week), ""},
		{"more than a week", "604801", 0, signed, "must be a number of seconds from 1 to 604800, got '604801'"},
		{"zero", "0", 0, signed, "from 1 to 604800, got '0'"},
		{"negative", "-1", 0, signed, "from 1 to 604800, got '-1'"},
		{"signed", "%2B300", 0, signed, "from 1 to 604800, got '+300'"},
		{"no number", "5m", 0, signed, "from 1 to 604800, got '5m'"},
		{"above all bounds", "99999999999999999999", 0, signed, "from 1 to 604800, got '9"},
		{"own bound", "60", time.Minute, signed, ""},
		{"above it", "61", time.Minute, signed, "from 1 to 60, got '61'"},
		{"none, the last second of the skew", "", 0, signed.Add(5 * time.Minute), ""},
		{"none, a second after", "", 0, signed.Add(5*time.Minute + time.Second), "Signature expired"},
		{"none, a day after", "", 0, signed.Add(24 * time.Hour), "Signature expired"},
		{"none, the first second", "", 0, signed.Add(-5 * time.Minute), ""},
		{"none, a second before", "", 0, signed.Add(-5*time.Minute - time.Second), "Signature not yet current"},
		{"none, within a bound below the skew", "", time.Minute, signed.Add(time.Minute), ""},
		{"none, beyond it", "", time.Minute, signed.Add(time.Minute + time.Second), "(20261121T120101Z - 1 min.)"},
		{"none, a bound above the skew", "", week, signed.Add(5*time.Minute + time.Second), "Signature expired"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			v := exampleVerifier(test.now, "execute-api", "")
			v.MaxExpires = test.most
			r := newSigner(signedAt).presigned(test.expires, nil)
			require.Equal(t, test.expires != "", strings.Contains(r.RequestURI, "X-Amz-Expires"))
			signature, err := v.Verify(r, nil)
			if test.text != "" {
				require.Contains(t, refusal(t, err, errorCode(err)).Message, test.text)
				return
			}
			require.NoError(t, err)
			require.True(t, signature.Presigned)
		})
	}
}

// A token must come with requests of keys that have one, and only with them,
// whether it is signed or not and in either form.
func TestVerify_SessionToken(t *testing.T) {
	t.Parallel()
	now := at(t, signedAt)
	tests := []struct {
		name, key, sent string
		expires         time.Time
		code            string
	}{
		{"none", "", "", time.Time{}, ""},
		{"the right one", "T+/=", "T+/=", time.Time{}, ""},
		{"a wrong one", "T", "U", time.Time{}, unrecognized},
		{"a longer one", "T", "TT", time.Time{}, unrecognized},
		{"missing", "T", "", time.Time{}, unrecognized},
		{"for a long-term key", "", "T", time.Time{}, unrecognized},
		{"not expired", "T", "T", now.Add(time.Second), ""},
		{"just expired", "T", "T", now, expiredToken},
		{"long expired", "T", "T", now.Add(-time.Hour), expiredToken},
		{"wrong and expired", "T", "U", now, unrecognized},
		{"a long-term key that expired", "", "", now, expiredToken},
	}
	for _, test := range tests {
		unsigned, signed, s := map[string]string{}, map[string]string{}, newSigner(signedAt)
		if test.sent != "" {
			signed["X-Amz-Security-Token"] = strings.ReplaceAll(url.QueryEscape(test.sent), "+", "%20")
			unsigned["x-amz-security-token"] = test.sent
		}
		withSigned := s
		if test.sent != "" {
			withSigned.signedHeaders += ";x-amz-security-token"
		}
		header, headerBody := s.request(unsigned)
		headerSigned, _ := withSigned.request(unsigned)
		query := s.presigned("300", signed)
		queryUnsigned := s.presigned("300", nil)
		if test.sent != "" {
			queryUnsigned.RequestURI += "&X-Amz-Security-Token=" + signed["X-Amz-Security-Token"]
		}
		for form, r := range map[string]*http.Request{
			"header, unsigned": header, "header, signed": headerSigned, "query, signed": query, "query, unsigned": queryUnsigned,
		} {
			t.Run(test.name+"/"+form, func(t *testing.T) {
				t.Parallel()
				v := exampleVerifier(now, "execute-api", "")
				v.Keys = sigv4.StaticKeys(map[string]sigv4.Key{
					exampleID: {SecretAccessKey: exampleSecret, SessionToken: test.key, Expires: test.expires},
				})
				body := headerBody
				if r.Method == http.MethodGet {
					body = nil
				}
				_, err := v.Verify(r, body)
				if test.code == "" {
					require.NoError(t, err)
					return
				}
				refused := refusal(t, err, test.code)
				require.NotContains(t, refused.Message, "The Canonical String", "the signature is right")
			})
		}
	}

	t.Run("expired has its text", func(t *testing.T) {
		t.Parallel()
		v := exampleVerifier(now, "execute-api", "")
		v.Keys = sigv4.StaticKeys(map[string]sigv4.Key{exampleID: {SecretAccessKey: exampleSecret, Expires: now}})
		r, body := newSigner(signedAt).request(nil)
		_, err := v.Verify(r, body)
		require.Equal(t, "The security token included in the request is expired", refusal(t, err, expiredToken).Message)
	})
	t.Run("twice", func(t *testing.T) {
		t.Parallel()
		r, body := newSigner(signedAt).request(nil)
		r.Header["X-Amz-Security-Token"] = []string{"T", "T"}
		_, err := exampleVerifier(now, "execute-api", "T").Verify(r, body)
		requireRefused(t, err, unrecognized)
	})
}

func TestVerify_Region(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		configured, signed string
		ok                 bool
	}{
		{"us-east-1", "us-east-1", true},
		{"us-east-1", "eu-west-1", false},
		{"us-east-1", "*", false},
		{sigv4.AnyRegion, "eu-west-1", true},
		{sigv4.AnyRegion, "us-gov-west-1", true},
		{sigv4.AnyRegion, "local", true},
		{sigv4.AnyRegion, strings.Repeat("r", 63), true},
		{sigv4.AnyRegion, strings.Repeat("r", 64), false},
		{sigv4.AnyRegion, "", false},
		{sigv4.AnyRegion, "x:444455556666:y", false},
		{sigv4.AnyRegion, "*", false},
		{sigv4.AnyRegion, "us-east-?", false},
		{sigv4.AnyRegion, "é", false},
		{sigv4.AnyRegion, "US-EAST-1", false},
		{sigv4.AnyRegion, "us-east-1\x00", false},
		{sigv4.AnyRegion, "${aws:x}", false},
		{"x:y", "x:y", true}, // the program's own word
	} {
		t.Run(test.configured+" "+test.signed, func(t *testing.T) {
			t.Parallel()
			s := newSigner(signedAt)
			s.region = test.signed
			r, body := s.request(nil)
			v := exampleVerifier(at(t, signedAt), "execute-api", "")
			v.Region = test.configured
			signature, err := v.Verify(r, body)
			if !test.ok {
				require.Equal(t, "Credential should be scoped to a valid region, not '"+test.signed+"'. ",
					refusal(t, err, invalid).Message)
				return
			}
			require.NoError(t, err)
			require.Equal(t, test.signed, signature.Region)
			require.Equal(t, "execute-api", signature.Service)
		})
	}
}

func TestVerify_Payload(t *testing.T) {
	t.Parallel()
	hash := hexSum([]byte("hello"))
	const signed, unsigned = true, false
	tests := []struct {
		name    string
		header  string
		signed  bool
		payload string // in the canonical request
		allow   bool
		ok      bool
	}{
		{"the hash", hash, signed, hash, false, true},
		{"the hash, unsigned", hash, unsigned, hash, false, true},
		{"the hash in upper case", strings.ToUpper(hash), signed, strings.ToUpper(hash), false, false},
		{"of another body", hexSum(nil), signed, hexSum(nil), false, false},
		{"of another body, though the right one was signed", hexSum(nil), signed, hash, false, false},
		{"of another body, unsigned", hexSum(nil), unsigned, hash, false, true},
		{"of another body, unsigned but used", hexSum(nil), unsigned, hexSum(nil), false, false},
		{"unsigned payload", "UNSIGNED-PAYLOAD", signed, "UNSIGNED-PAYLOAD", false, false},
		{"unsigned payload, allowed", "UNSIGNED-PAYLOAD", signed, "UNSIGNED-PAYLOAD", true, true},
		{"unsigned payload, allowed, header unsigned", "UNSIGNED-PAYLOAD", unsigned, "UNSIGNED-PAYLOAD", true, false},
		{"unsigned payload, allowed, hash signed", "UNSIGNED-PAYLOAD", unsigned, hash, true, true},
		{"allowed but not used", hash, signed, hash, true, true},
		{"allowed, another body", hexSum(nil), signed, hexSum(nil), true, false},
		{
			"streaming", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", signed,
			"STREAMING-AWS4-HMAC-SHA256-PAYLOAD", true, false,
		},
		{"streaming, unsigned", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", unsigned, hash, true, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := newSigner(signedAt)
			s.payload = test.payload
			if test.signed {
				s.signedHeaders = "host;x-amz-content-sha256;x-amz-date"
			}
			r, body := s.request(map[string]string{"x-amz-content-sha256": test.header})
			v := exampleVerifier(at(t, signedAt), "execute-api", "")
			v.AllowUnsignedPayload = test.allow
			_, err := v.Verify(r, body)
			if !test.ok {
				require.Contains(t, refusal(t, err, invalid).Message, hash+"'\n\nThe String-to-Sign", "the right hash is shown")
				return
			}
			require.NoError(t, err)
			_, err = v.Verify(r, []byte("hellp"))
			require.Equal(t, test.payload == "UNSIGNED-PAYLOAD", err == nil)
		})
	}
}

func TestVerify_DateHeader(t *testing.T) {
	t.Parallel()
	s := newSigner(signedAt)
	s.signedHeaders = "date;host"
	for _, test := range []struct {
		date string
		ok   bool
	}{
		{signedAt, true},
		{"Sat, 21 Nov 2026 12:00:00 GMT", true},
		{"Sat, 21 Nov 2026 12:00:00 UTC", false},
		{"Sat, 21 Nov 2026 12:00:00 +0000", false},
		{"Sat, 21 Nov 2026 12:00:00.5 GMT", false},
		{"2026-11-21T12:00:00Z", false},
	} {
		t.Run(test.date, func(t *testing.T) {
			t.Parallel()
			r, body := s.request(map[string]string{"date": test.date})
			signature, err := exampleVerifier(at(t, signedAt), "execute-api", "").Verify(r, body)
			if !test.ok {
				require.Equal(t, "Date must be in ISO-8601 'basic format'. Got '"+test.date+
					"'. See http://en.wikipedia.org/wiki/ISO_8601", refusal(t, err, incomplete).Message)
				return
			}
			require.NoError(t, err)
			require.Equal(t, at(t, signedAt), signature.Time)
		})
	}

	t.Run("X-Amz-Date goes before it", func(t *testing.T) {
		t.Parallel()
		r, body := newSigner(signedAt).request(map[string]string{"date": "Mon, 01 Jan 2001 00:00:00 GMT", "x-amz-date": signedAt})
		_, err := exampleVerifier(at(t, signedAt), "execute-api", "").Verify(r, body)
		require.NoError(t, err)
	})
}

// The different ways to write an Authorization header mean the same.
func TestVerify_AuthorizationSpelling(t *testing.T) {
	t.Parallel()
	s := newSigner(signedAt)
	r, body := s.request(nil)
	signature := r.Header.Get("Authorization")
	signature = signature[strings.LastIndex(signature, "=")+1:]
	credential, signed := "Credential="+exampleID+"/"+s.scope(), "SignedHeaders="+s.signedHeaders
	signature = "Signature=" + signature
	for _, parameters := range []string{
		credential + ", " + signed + ", " + signature,
		credential + "," + signed + "," + signature,
		signature + " " + credential + " " + signed,
		"  " + signed + " ,\t" + signature + " , " + credential + " ",
	} {
		r.Header.Set("Authorization", "AWS4-HMAC-SHA256 "+parameters)
		_, err := exampleVerifier(at(t, signedAt), "execute-api", "").Verify(r, body)
		require.NoError(t, err, parameters)
	}
}

// The target is read as it was sent, whatever its form.
func TestVerify_Target(t *testing.T) {
	t.Parallel()
	s := newSigner(signedAt)
	v := exampleVerifier(at(t, signedAt), "execute-api", "")
	header := map[string]string{"host": "example.com", "x-amz-date": signedAt}
	for _, test := range []struct{ target, path, query, verified string }{
		{"/a%3D", "/a%253D", "", "/a%3D"},
		{"/a?", "/a", "", "/a"},
		{"http://example.com/a?b=1", "/a", "b=1", "/a"},
		{"http://example.com?b=1", "/", "b=1", "/"},
		{"http://example.com", "/", "", "/"},
		{"/?u=http://x/y", "/", "u=http%3A%2F%2Fx%2Fy", "/"},
		{"//a//b/", "/a/b/", "", "/a/b/"},
		{"//a//b/", "//a//b/", "", "//a//b/"},
		{"/a/./b/../c", "/a/c", "", "/a/c"},
		{"/a/%2E%2E/c", "/a/%252E%252E/c", "", "/a/%2E%2E/c"},
		{"/..", "/", "", "/"},
		{"/?b=2&a=%7e&b=1&c", "/", "a=~&b=1&b=2&c=", "/"},
		{"/?a=1+1&&b", "/", "a=1%2B1&b=", "/"},
		{"/?a=1+1&&b", "/", "a=1%201&b=", "/"},
		{"/?+a+=+&a%20=%2B", "/", "%20a%20=%20&a%20=%2B", "/"},
		{"/a//b?c=+", "/a//b", "c=%20", "/a//b"},
		{"/?a-=1&a=2", "/", "a=2&a-=1", "/"},
		{"/?a=x=y&=z", "/", "=z&a=x%3Dy", "/"},
	} {
		r := &http.Request{Method: http.MethodGet, RequestURI: test.target, Host: "example.com", Header: http.Header{}}
		r.Header.Set("X-Amz-Date", signedAt)
		r.Header.Set("Authorization", s.authorization(s.sign(http.MethodGet, test.path, test.query, header, nil)))
		signature, err := v.Verify(r, nil)
		require.NoError(t, err, test.target)
		require.Equal(t, test.verified, signature.Path)
	}
}

// With a target in absolute form, net/http sets Host to the host of the target.
func TestVerify_AbsoluteForm(t *testing.T) {
	t.Parallel()
	c := captureNamed(t, "boto3-get.http")
	raw := bytes.Replace(c.raw, []byte("GET /"), []byte("GET http://127.0.0.1:8767/"), 1)
	r, body, err := parseHTTP(bytes.Replace(raw, []byte("host: 127.0.0.1:8767"), []byte("Host: other"), 1))
	require.NoError(t, err)
	signature, err := c.verifier(t).Verify(r, body)
	require.NoError(t, err)
	require.Equal(t, "/get/@connections/R0oXAdfD0kwCH6w%3D", signature.Path)
}

// Other programs read an invalid escape differently: "%zz" has the same signature as
// "%25zz".
func TestVerify_RefusesBrokenEscapes(t *testing.T) {
	t.Parallel()
	s := newSigner(signedAt)
	header := map[string]string{"host": "example.com", "x-amz-date": signedAt}
	authorization := s.authorization(s.sign(http.MethodGet, "/", "a=%25zz", header, nil))
	for target, ok := range map[string]bool{"/?a=%25zz": true, "/?a=%zz": false, "/?a=%25z%7": false, "/?a=%2": false} {
		r := &http.Request{Method: http.MethodGet, RequestURI: target, Host: "example.com", Header: http.Header{}}
		r.Header.Set("X-Amz-Date", signedAt)
		r.Header.Set("Authorization", authorization)
		_, err := exampleVerifier(at(t, signedAt), "execute-api", "").Verify(r, nil)
		require.Equal(t, ok, err == nil, target)
	}
}

// Nobody can sign one path and reach another.
func TestVerifyManagement_RefusesDotSegments(t *testing.T) {
	t.Parallel()
	s := newSigner(signedAt)
	v := exampleVerifier(at(t, signedAt), "execute-api", "")
	header := map[string]string{"host": "example.com", "x-amz-date": signedAt}
	for _, test := range []struct {
		target, path string
		ok           bool
	}{
		{"/prod//@connections/a.b", "/prod/%40connections/a.b", true},
		{"/prod/@connections/...", "/prod/%40connections/...", true},
		{"/prod/@connections/a%2Fb", "/prod/%40connections/a%252Fb", true},
		{"/prod/x/../@connections/a", "/prod/%40connections/a", false},
		{"/prod/./@connections/a", "/prod/./%40connections/a", false},
		{"/prod/x/%2e%2E/@connections/a", "/prod/x/%252e%252E/%40connections/a", false},
		{"/prod/x/.%2e/@connections/a", "/prod/x/.%252e/%40connections/a", false},
		{"/prod/x%2F..%2F@connections/a", "/prod/x%252F..%252F%40connections/a", false},
		{"/prod/@connections/..", "/prod", false},
		{"/prod/@connections/%zz", "/prod/%40connections/%25zz", false},
	} {
		r := &http.Request{Method: http.MethodGet, RequestURI: test.target, Host: "example.com", Header: http.Header{}}
		r.Header.Set("X-Amz-Date", signedAt)
		r.Header.Set("Authorization", s.authorization(s.sign(http.MethodGet, test.path, "", header, nil)))
		_, err := v.Verify(r, nil)
		require.NoError(t, err, test.target)
		err = admit(v, r, nil)
		if test.ok {
			require.NoError(t, err, test.target)
			continue
		}
		require.Equal(t, "The path must not have '.' or '..' segments.", refusal(t, err, invalid).Message)
	}
	r, _ := s.request(nil)
	requireRefused(t, admit(v, r, nil), invalid)
}

// A request of net/http's client, before it is sent and as its server gets it.
// Content-Length is no header of the first.
func TestVerify_ClientAndServer(t *testing.T) {
	t.Parallel()
	s := newSigner(signedAt)
	s.signedHeaders = "content-length;host;x-amz-date;x-spaced"
	v := exampleVerifier(at(t, signedAt), "execute-api", "")
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err == nil {
			_, err = v.Verify(r, body)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusForbidden)
		}
	}))
	t.Cleanup(server.Close)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+"/prod/@connections/a=?q=%20", bytes.NewReader([]byte("hello")))
	require.NoError(t, err)
	r.Header.Set("X-Amz-Date", signedAt)
	r.Header.Set("X-Spaced", "  a  b\t c ")
	r.Header.Set("Authorization", s.authorization(s.sign(http.MethodPost, "/prod/%40connections/a%3D", "q=%20", map[string]string{
		"content-length": "5", "host": r.URL.Host, "x-amz-date": signedAt, "x-spaced": "a b c",
	}, []byte("hello"))))
	_, err = v.Verify(r, []byte("hello"))
	require.NoError(t, err)
	r.Host = ""
	_, err = v.Verify(r, []byte("hello"))
	require.NoError(t, err)
	resp, err := server.Client().Do(r)
	require.NoError(t, err)
	defer resp.Body.Close()
	require.Equal(t, http.StatusOK, resp.StatusCode)
}

// A signed header that is empty is not one that is absent.
func TestVerify_AbsentSignedHeader(t *testing.T) {
	t.Parallel()
	s := newSigner(signedAt)
	s.signedHeaders = "host;x-amz-date;x-empty"
	v := exampleVerifier(at(t, signedAt), "execute-api", "")
	r, body := s.request(map[string]string{"x-empty": ""})
	_, err := v.Verify(r, body)
	require.NoError(t, err)
	r.Header.Del("X-Empty")
	_, err = v.Verify(r, body)
	require.Contains(t, refusal(t, err, invalid).Message, "\nx-empty:\n")
}

// An empty method means GET, as in net/http.
func TestVerify_EmptyMethod(t *testing.T) {
	t.Parallel()
	r := newSigner(signedAt).presigned("300", nil)
	r.Method = ""
	_, err := exampleVerifier(at(t, signedAt), "execute-api", "").Verify(r, nil)
	require.NoError(t, err)
}

func TestStaticKeys_Copies(t *testing.T) {
	t.Parallel()
	keys := map[string]sigv4.Key{"A": {SecretAccessKey: "s", Caller: sigv4.Caller{ARN: "arn"}}}
	lookup := sigv4.StaticKeys(keys)
	delete(keys, "A")
	key, err := lookup(t.Context(), "A")
	require.NoError(t, err)
	require.Equal(t, "arn", key.Caller.ARN)
	_, err = lookup(t.Context(), "B")
	require.ErrorIs(t, err, sigv4.ErrUnknownKey)
	_, err = sigv4.StaticKeys(nil)(t.Context(), "")
	require.ErrorIs(t, err, sigv4.ErrUnknownKey)
}

func TestStaticKeys_Misuse(t *testing.T) {
	t.Parallel()
	require.PanicsWithError(t, "gateway: invalid option: sigv4.StaticKeys: an access key ID is empty: check that the setting it comes from is set",
		func() { sigv4.StaticKeys(map[string]sigv4.Key{"": {SecretAccessKey: "s"}}) })
	require.PanicsWithError(t, `gateway: invalid option: sigv4.StaticKeys: access key "A" has no SecretAccessKey: check that the setting it comes from is set`,
		func() { sigv4.StaticKeys(map[string]sigv4.Key{"A": {SessionToken: "t"}}) })
}

// The result has the owner of the key, with its ID.
func TestVerify_Caller(t *testing.T) {
	t.Parallel()
	v := exampleVerifier(at(t, signedAt), "execute-api", "")
	v.Keys = sigv4.StaticKeys(map[string]sigv4.Key{exampleID: {
		SecretAccessKey: exampleSecret,
		Caller:          sigv4.Caller{AccountID: "123456789012", PrincipalID: "AIDA", ARN: "arn:aws:iam::123456789012:user/u"},
	}})
	r, body := newSigner(signedAt).request(nil)
	signature, err := v.Verify(r, body)
	require.NoError(t, err)
	require.Equal(t, sigv4.Caller{
		AccessKeyID: exampleID, AccountID: "123456789012", PrincipalID: "AIDA", ARN: "arn:aws:iam::123456789012:user/u",
	}, signature.Caller)
}

// What can be refused without the body is refused without it.
func TestVerifier_CheckHeaders(t *testing.T) {
	t.Parallel()
	r, body := newSigner(signedAt).request(nil)
	v := exampleVerifier(at(t, signedAt), "execute-api", "")
	require.NoError(t, v.CheckHeaders(r))
	require.NoError(t, admit(v, r, body))
	unsigned := r.Clone(t.Context())
	unsigned.Header.Del("Authorization")
	for name, tt := range map[string]struct {
		v *sigv4.Verifier
		r *http.Request
	}{
		"no signature":    {v, unsigned},
		"too old":         {exampleVerifier(at(t, signedAt).Add(time.Hour), "execute-api", ""), r},
		"another service": {exampleVerifier(at(t, signedAt), "lambda", ""), r},
		"no such key":     {&sigv4.Verifier{Service: "execute-api", Region: "us-east-1", Now: clock(at(t, signedAt)), Keys: sigv4.StaticKeys(nil)}, r},
		"no Keys":         {&sigv4.Verifier{Service: "execute-api", Region: "us-east-1"}, r},
	} {
		err := tt.v.CheckHeaders(tt.r)
		require.Error(t, err, name)
		require.Equal(t, admit(tt.v, tt.r, body), err, name)
	}
}
