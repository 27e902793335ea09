package sigv4_test

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway/sigv4"
)

const signedAt = "20261121T120000Z"

// The error codes as they are sent.
const (
	missingToken = "MissingAuthenticationTokenException"
	incomplete   = "IncompleteSignatureException"
	invalid      = "InvalidSignatureException"
	unrecognized = "UnrecognizedClientException"
	expiredToken = "ExpiredTokenException"
)

// Every refusal has the code and text of the service, to the byte.
func TestVerify_Refusals(t *testing.T) {
	t.Parallel()
	s := newSigner(signedAt)
	with := func(change func(*signer)) signer { s := s; change(&s); return s }
	scope := s.scope()
	tests := []struct {
		name    string
		signer  signer
		change  func(r *http.Request)
		code    string
		message string
	}{
		{
			"no signature", s, func(r *http.Request) { r.Header.Del("Authorization") },
			missingToken, "Missing Authentication Token",
		},
		{
			"another scheme", s, func(r *http.Request) { r.Header.Set("Authorization", "Bearer abc") }, incomplete,
			"Authorization header requires 'Credential' parameter. Authorization header requires 'Signature' parameter. " +
				"Authorization header requires 'SignedHeaders' parameter. Authorization=Bearer abc",
		},
		{
			"nothing at all", s, func(r *http.Request) { r.Header = http.Header{"Authorization": {""}} }, incomplete,
			"Authorization header requires 'Credential' parameter. Authorization header requires 'Signature' parameter. " +
				"Authorization header requires 'SignedHeaders' parameter. Authorization header requires existence of either " +
				"a 'X-Amz-Date' or a 'Date' header. Authorization=",
		},
		{
			"no Credential", s, authorize("AWS4-HMAC-SHA256 SignedHeaders=host, Signature=00"), incomplete,
			"Authorization header requires 'Credential' parameter. Authorization=AWS4-HMAC-SHA256 SignedHeaders=host, Signature=00",
		},
		{
			"no Signature", s, authorize("AWS4-HMAC-SHA256 SignedHeaders=host, Credential=a/b"), incomplete,
			"Authorization header requires 'Signature' parameter. Authorization=AWS4-HMAC-SHA256 SignedHeaders=host, Credential=a/b",
		},
		{
			"an empty SignedHeaders", s, authorize("AWS4-HMAC-SHA256 SignedHeaders=, Signature=00,Credential=a/b"), incomplete,
			"Authorization header requires 'SignedHeaders' parameter. " +
				"Authorization=AWS4-HMAC-SHA256 SignedHeaders=, Signature=00,Credential=a/b",
		},
		{
			"no date", s, func(r *http.Request) {
				r.Header = http.Header{"Authorization": {"AWS4-HMAC-SHA256 Credential=a,SignedHeaders=host,Signature=0"}}
			}, incomplete, "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. " +
				"Authorization=AWS4-HMAC-SHA256 Credential=a,SignedHeaders=host,Signature=0",
		},
		{
			"two Authorization headers", s, func(r *http.Request) { r.Header["Authorization"] = []string{complete, complete} },
			incomplete, "Authorization header must not be repeated. Authorization=" + complete,
		},
		{
			"a repeated parameter", s, authorize(complete + ",Signature=1"),
			incomplete, "Authorization header has an unknown or a repeated parameter. Authorization=" + complete + ",Signature=1",
		},
		{
			"an unknown parameter", s, authorize(complete + " x=1"),
			incomplete, "Authorization header has an unknown or a repeated parameter. Authorization=" + complete + " x=1",
		},
		{
			"a long Authorization header", s, authorize(complete + strings.Repeat(" ", 8<<10)),
			incomplete, "Authorization header is longer than 8192 bytes.",
		},
		{
			"a long target", s, func(r *http.Request) { r.RequestURI += strings.Repeat("/", 64<<10) },
			incomplete, "The request target is longer than 65536 bytes.",
		},
		{
			"a Credential in the query only", s, func(r *http.Request) {
				r.RequestURI += "?X-Amz-Credential=c"
				r.Header.Set("Authorization", "AWS4-HMAC-SHA256 SignedHeaders=host, Signature=00")
			}, incomplete,
			"Authorization header requires 'Credential' parameter. Authorization=AWS4-HMAC-SHA256 SignedHeaders=host, Signature=00",
		},
		{
			"X-Amz-Algorithm too", s, func(r *http.Request) { r.RequestURI += "?X-Amz-Algorithm=AWS4-HMAC-SHA256" }, invalid,
			"Found both 'X-Amz-Algorithm' as a query-string param and 'Authorization' as HTTP header.",
		},
		{
			"a date of another form", s, setHeader("X-Amz-Date", "2026-11-21T12:00:00Z"), incomplete,
			"Date must be in ISO-8601 'basic format'. Got '2026-11-21T12:00:00Z'. See http://en.wikipedia.org/wiki/ISO_8601",
		},
		{
			"a day that is none", s, setHeader("X-Amz-Date", "20260231T000000Z"), incomplete,
			"Date must be in ISO-8601 'basic format'. Got '20260231T000000Z'. See http://en.wikipedia.org/wiki/ISO_8601",
		},
		{
			"a date with a fraction", s, setHeader("X-Amz-Date", "20261121T120000.5Z"), incomplete,
			"Date must be in ISO-8601 'basic format'. Got '20261121T120000.5Z'. See http://en.wikipedia.org/wiki/ISO_8601",
		},
		{
			"two dates", s, func(r *http.Request) { r.Header["X-Amz-Date"] = []string{signedAt, signedAt} }, incomplete,
			"Date must be in ISO-8601 'basic format'. Got '20261121T120000Z,20261121T120000Z'. See http://en.wikipedia.org/wiki/ISO_8601",
		},
		{
			"the HTTP form in X-Amz-Date", s, setHeader("X-Amz-Date", "Sat, 21 Nov 2026 12:00:00 GMT"), incomplete,
			"Date must be in ISO-8601 'basic format'. Got 'Sat, 21 Nov 2026 12:00:00 GMT'. See http://en.wikipedia.org/wiki/ISO_8601",
		},
		{
			"too old", with(func(s *signer) { s.timestamp = "20261121T115459Z" }), nil, invalid,
			"Signature expired: 20261121T115459Z is now earlier than 20261121T115500Z (20261121T120000Z - 5 min.)",
		},
		{
			"in the future", with(func(s *signer) { s.timestamp = "20261121T120501Z" }), nil, invalid,
			"Signature not yet current: 20261121T120501Z is still later than 20261121T120500Z (20261121T120000Z + 5 min.)",
		},
		{
			"host not signed", with(func(s *signer) { s.signedHeaders = "x-amz-date" }), nil,
			invalid, "'Host' must be a 'SignedHeader' in the AWS Authorization.",
		},
		{
			"X-Amz-Date not signed", with(func(s *signer) { s.signedHeaders = "host" }), nil,
			invalid, "'X-Amz-Date' must be a 'SignedHeader' in the AWS Authorization.",
		},
		{
			"Date not signed", with(func(s *signer) { s.signedHeaders = "host" }), func(r *http.Request) {
				r.Header.Del("X-Amz-Date")
				r.Header.Set("Date", signedAt)
			}, invalid, "'Date' must be a 'SignedHeader' in the AWS Authorization.",
		},
		{
			"signed headers out of order", with(func(s *signer) { s.signedHeaders = "x-amz-date;host" }), nil,
			incomplete, "'SignedHeaders' must be names in lower case, sorted, each once, got 'x-amz-date;host'.",
		},
		{
			"a signed header twice", with(func(s *signer) { s.signedHeaders = "host;host;x-amz-date" }), nil,
			incomplete, "'SignedHeaders' must be names in lower case, sorted, each once, got 'host;host;x-amz-date'.",
		},
		{
			"a signed header in upper case", with(func(s *signer) { s.signedHeaders = "Host;x-amz-date" }), nil,
			incomplete, "'SignedHeaders' must be names in lower case, sorted, each once, got 'Host;x-amz-date'.",
		},
		{
			"an empty signed header", with(func(s *signer) { s.signedHeaders = "host;x-amz-date;" }), nil,
			incomplete, "'SignedHeaders' must be names in lower case, sorted, each once, got 'host;x-amz-date;'.",
		},
		{
			"another algorithm", with(func(s *signer) { s.algorithm = "AWS4-ECDSA-P256-SHA256" }), nil, incomplete,
			"Unsupported AWS 'algorithm': 'AWS4-ECDSA-P256-SHA256' (only AWS4-HMAC-SHA256 for now). ",
		},
		{
			"a short credential", s, authorize("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261121, SignedHeaders=host;x-amz-date, Signature=00"),
			incomplete, "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got 'AKIDEXAMPLE/20261121'",
		},
		{
			"a long credential", with(func(s *signer) { s.terminator = "aws4_request/x" }), nil, incomplete,
			"Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got '" +
				"AKIDEXAMPLE/" + scope + "/x'",
		},
		{
			"another region", with(func(s *signer) { s.region = "eu-west-1" }), nil,
			invalid, "Credential should be scoped to a valid region, not 'eu-west-1'. ",
		},
		{
			"another service", with(func(s *signer) { s.service = "s3" }), nil,
			invalid, "Credential should be scoped to correct service: 'execute-api'. ",
		},
		{
			"another terminator", with(func(s *signer) { s.terminator = "aws5_request" }), nil,
			invalid, "Credential should be scoped with a valid terminator: 'aws4_request', not 'aws5_request'. ",
		},
		{
			"another day", with(func(s *signer) { s.date = "20261120" }), nil, invalid,
			"Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: " +
				"'20261120' != '20261121', from '20261121T120000Z'.",
		},
		{
			"nothing of the scope", with(func(s *signer) { s.date, s.region, s.service, s.terminator = "d", "r", "s", "t" }), nil, invalid,
			"Credential should be scoped to a valid region, not 'r'. Credential should be scoped to correct service: 'execute-api'. " +
				"Credential should be scoped with a valid terminator: 'aws4_request', not 't'. Date in Credential scope does not match " +
				"YYYYMMDD from ISO-8601 version of date from HTTP: 'd' != '20261121', from '20261121T120000Z'.",
		},
		{
			"an unknown key", with(func(s *signer) { s.keyID = "AKIDOTHER" }), nil,
			unrecognized, "The security token included in the request is invalid.",
		},
		{
			"another secret", with(func(s *signer) { s.secret = "other" }), nil, invalid,
			mismatch("POST\n/prod\n\nhost:example.com\nx-amz-date:20261121T120000Z\n\nhost;x-amz-date\n"+hexSum([]byte("hello")), scope),
		},
		{
			"an escaped path", s, func(r *http.Request) { r.RequestURI = "/dev//%40connections/a=?b" }, invalid,
			mismatch("POST\n/dev/%2540connections/a%3D\nb=\nhost:example.com\nx-amz-date:20261121T120000Z\n\nhost;x-amz-date\n"+
				hexSum([]byte("hello")), scope),
		},
		{
			"a token for a long-term key", s, setHeader("X-Amz-Security-Token", "T"),
			unrecognized, "The security token included in the request is invalid",
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r, body := test.signer.request(nil)
			if test.change != nil {
				test.change(r)
			}
			_, err := exampleVerifier(at(t, signedAt), "execute-api", "").Verify(r, body)
			refused := refusal(t, err, test.code)
			require.Equal(t, test.message, refused.Message)
			require.Equal(t, test.code, refused.ErrorCode())
			require.Equal(t, test.message, refused.ErrorMessage())
			code, message := refused.PublicError()
			require.Equal(t, [2]string{test.code, test.message}, [2]string{code, message})
			require.NotContains(t, refused.Error(), "\n")
		})
	}
}

// complete has all parts, but none of them is right.
const complete = "AWS4-HMAC-SHA256 Credential=c, SignedHeaders=s, Signature=0"

func authorize(value string) func(*http.Request) { return setHeader("Authorization", value) }

func setHeader(name, value string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set(name, value) }
}

func mismatch(canonical, scope string) string {
	return "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key " +
		"and signing method. Consult the service documentation for details.\n\nThe Canonical String for this request should have been\n'" +
		canonical + "'\n\nThe String-to-Sign should have been\n'AWS4-HMAC-SHA256\n" + signedAt + "\n" + scope + "\n" +
		hexSum([]byte(canonical)) + "'\n"
}

// The same for presigned requests.
func TestVerify_PresignedRefusals(t *testing.T) {
	t.Parallel()
	s := newSigner(signedAt)
	tests := []struct {
		name, old, new string // in the target
		code, message  string
	}{
		{"no Signature", "X-Amz-Signature", "X-Amz-Sig", missingToken, "Missing Authentication Token"},
		{
			"no Algorithm", "X-Amz-Algorithm", "x", incomplete,
			"AWS query-string parameters must include 'X-Amz-Algorithm'. Re-examine the query-string parameters.",
		},
		{
			"nothing else", s.presigned("300", nil).RequestURI, "/prod?X-Amz-Signature=0", incomplete,
			"AWS query-string parameters must include 'X-Amz-Algorithm'. AWS query-string parameters must include 'X-Amz-Credential'. " +
				"AWS query-string parameters must include 'X-Amz-SignedHeaders'. AWS query-string parameters must include 'X-Amz-Date'. " +
				"Re-examine the query-string parameters.",
		},
		{
			"a repeated parameter", "/prod?", "/prod?X-Amz-Date=&", incomplete,
			"AWS query-string parameter 'X-Amz-Date' must not be repeated. Re-examine the query-string parameters.",
		},
		{
			"a repeated parameter, escaped", "/prod?", "/prod?X-Amz-%53ignature=0&", incomplete,
			"AWS query-string parameter 'X-Amz-Signature' must not be repeated. Re-examine the query-string parameters.",
		},
		{
			"a date of another form", signedAt + "&X", "x&X", incomplete,
			"Date must be in ISO-8601 'basic format'. Got 'x'. See http://en.wikipedia.org/wiki/ISO_8601",
		},
		{
			"host not signed", "SignedHeaders=host", "SignedHeaders=range", invalid,
			"'Host' must be a 'SignedHeader' in the AWS Authorization.",
		},
		{
			"a line feed in SignedHeaders", "SignedHeaders=host", "SignedHeaders=a%3Ab%0Ahost", incomplete,
			"'SignedHeaders' must be names in lower case, sorted, each once, got 'a:b\nhost'.",
		},
		{
			"another algorithm", "AWS4-HMAC-SHA256", "x", incomplete,
			"Unsupported AWS 'algorithm': 'x' (only AWS4-HMAC-SHA256 for now). ",
		},
		{
			"an unknown key", exampleID, "AKIDOTHER", unrecognized,
			"The security token included in the request is invalid.",
		},
		{
			"a long credential", exampleID, strings.Repeat("A", 9<<10), incomplete,
			"Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got '" +
				strings.Repeat("A", 256) + "...'",
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := s.presigned("300", nil)
			require.Contains(t, r.RequestURI, test.old)
			r.RequestURI = strings.Replace(r.RequestURI, test.old, test.new, 1)
			_, err := exampleVerifier(at(t, signedAt), "execute-api", "").Verify(r, nil)
			require.Equal(t, test.message, refusal(t, err, test.code).Message)
		})
	}

	t.Run("an Authorization header too", func(t *testing.T) {
		t.Parallel()
		r := s.presigned("300", nil)
		r.Header.Set("Authorization", complete)
		_, err := exampleVerifier(at(t, signedAt), "execute-api", "").Verify(r, nil)
		require.Equal(t, "Found both 'X-Amz-Algorithm' as a query-string param and 'Authorization' as HTTP header.",
			refusal(t, err, invalid).Message)
	})
}

// If two things are wrong, the error is about the one that the service checks first.
func TestVerify_OrderOfChecks(t *testing.T) {
	t.Parallel()
	s := newSigner(signedAt)
	r, body := s.request(nil)
	v := exampleVerifier(at(t, signedAt), "execute-api", "TOKEN")
	refused := func(contains string) {
		t.Helper()
		_, err := v.Verify(r, body)
		require.ErrorContains(t, err, contains)
	}
	set := func(signedHeaders, date, credential, signature, algorithm string) {
		r.Header.Set("X-Amz-Date", date)
		r.Header.Set("Authorization", algorithm+" Credential="+credential+",SignedHeaders="+signedHeaders+",Signature="+signature)
	}
	good := exampleID + "/" + s.scope()
	signature := s.sign("POST", "/prod", "", map[string]string{"host": "example.com", "x-amz-date": signedAt}, body)

	set("a", "x", "c", "", "z") // from here on, one thing after the other is put right
	refused("requires 'Signature' parameter")
	set("a", "x", "c", "0", "z")
	refused("Date must be in ISO-8601")
	set("a", "20261121T130000Z", "c", "0", "z")
	refused("not yet current")
	set("a", signedAt, "c", "0", "z")
	refused("'Host' must be")
	set("host;x-amz-date", signedAt, "c", "0", "z")
	refused("Unsupported AWS 'algorithm'")
	set("host;x-amz-date", signedAt, "c", "0", "AWS4-HMAC-SHA256")
	refused("exactly 5 slash-delimited")
	set("host;x-amz-date", signedAt, "c/1/2/3/4", "0", "AWS4-HMAC-SHA256")
	refused("should be scoped to a valid region")
	set("host;x-amz-date", signedAt, "c/"+s.scope(), "0", "AWS4-HMAC-SHA256")
	refused("The security token included in the request is invalid.")
	set("host;x-amz-date", signedAt, good, "0", "AWS4-HMAC-SHA256")
	refused("does not match the signature you provided")
	set("host;x-amz-date", signedAt, good, signature, "AWS4-HMAC-SHA256")
	refused("The security token included in the request is invalid")
	r.Header.Set("X-Amz-Security-Token", "TOKEN")
	_, err := v.Verify(r, body)
	require.NoError(t, err)
}

// No error contains a secret, and the text for a log contains no token either.
func TestError_KeepsSecrets(t *testing.T) {
	t.Parallel()
	s := newSigner(signedAt)
	s.signedHeaders = "host;x-amz-date;x-amz-security-token"
	r, body := s.request(map[string]string{"x-amz-security-token": "TOKEN"})
	right := r.Header.Get("Authorization")[strings.LastIndex(r.Header.Get("Authorization"), "=")+1:]
	r.Header.Set("Authorization", s.authorization(strings.Repeat("0", 64)))
	_, err := exampleVerifier(at(t, signedAt), "execute-api", "TOKEN").Verify(r, body)
	refused := refusal(t, err, invalid)
	require.Contains(t, refused.Message, "x-amz-security-token:TOKEN", "the caller sees what was signed")
	require.NotContains(t, refused.Message, right)
	require.NotContains(t, refused.Message, exampleSecret)
	require.Equal(t, "sigv4: InvalidSignatureException: The request signature we calculated does not match the signature you provided. "+
		"Check your AWS Secret Access Key and signing method. Consult the service documentation for details.", err.Error())

	r.Header.Set("Authorization", "Bearer SECRET")
	_, err = exampleVerifier(at(t, signedAt), "execute-api", "TOKEN").Verify(r, body)
	require.NotContains(t, err.Error(), "SECRET")
}

// The text for a log contains nothing that the caller sent, wherever a caller that confused
// its settings put the secret. The message for the caller contains it.
func TestError_LogsNothingThatWasSent(t *testing.T) {
	t.Parallel()
	s := newSigner(signedAt)
	for _, secret := range []string{exampleSecret, "NOSLASH+SECRET", "20261121T120000.5Z", "a%sb%dc\n" + exampleSecret} {
		for name, put := range map[string]func(s *signer){
			"key ID":        func(s *signer) { s.keyID = secret },
			"swapped":       func(s *signer) { s.keyID, s.secret = secret, exampleID },
			"algorithm":     func(s *signer) { s.algorithm = strings.ReplaceAll(secret, "\n", "") },
			"date of scope": func(s *signer) { s.date = secret },
			"region":        func(s *signer) { s.region = secret },
			"service":       func(s *signer) { s.service = secret },
			"terminator":    func(s *signer) { s.terminator = secret },
			"date":          func(s *signer) { s.timestamp, s.date = secret, signedAt[:8] },
			"headers":       func(s *signer) { s.signedHeaders = "host;x-amz-date;" + secret },
		} {
			s := s
			put(&s)
			header, body := s.request(nil)
			spare := header.Clone(t.Context())
			spare.Header.Set("Authorization", spare.Header.Get("Authorization")+",Extra="+secret)
			scheme := header.Clone(t.Context())
			scheme.Header.Set("Authorization", secret)
			query := s.presigned("300", nil)
			expires := newSigner(signedAt).presigned(url.QueryEscape(secret), nil)
			for form, r := range map[string]*http.Request{"header": header, "extra": spare, "scheme": scheme, "query": query, "expires": expires} {
				v := exampleVerifier(at(t, signedAt), "execute-api", "")
				for _, keys := range []sigv4.KeyFunc{
					v.Keys,
					func(context.Context, string) (sigv4.Key, error) { return sigv4.Key{}, errors.New("down") },
					func(context.Context, string) (sigv4.Key, error) { return sigv4.Key{}, nil },
				} {
					v.Keys = keys
					_, err := v.Verify(r, body)
					require.Error(t, err, "%s in %s of %s", secret, name, form)
					for part := range strings.SplitSeq(secret, "/") {
						require.NotContains(t, err.Error(), strings.TrimSpace(part), "%s of %s", name, form)
					}
					require.NotContains(t, err.Error(), "\n")
					require.NotContains(t, err.Error(), "%!", "what was sent is no format")
				}
			}
		}
	}
}

// The text of an Error that was made elsewhere, such as in a KeyFunc, is its message.
func TestError_MadeElsewhere(t *testing.T) {
	t.Parallel()
	err := &sigv4.Error{Code: "ThrottlingException", Message: "Rate exceeded\nsince noon"}
	require.EqualError(t, err, "sigv4: ThrottlingException: Rate exceeded")
}

// A message never exceeds its bound, however large the request is.
func TestError_IsBounded(t *testing.T) {
	t.Parallel()
	v := exampleVerifier(at(t, signedAt), "execute-api", "")
	r, body := newSigner(signedAt).request(nil)
	r.RequestURI += "?" + strings.Repeat("/", 60<<10)
	_, err := v.Verify(r, body)
	refused := refusal(t, err, invalid)
	require.Less(t, 12<<10, len(refused.Message))
	require.LessOrEqual(t, len(refused.Message), 32<<10)
	_, cut, _ := strings.Cut(refused.Message[12<<10:], "...'")
	require.True(t, strings.HasPrefix(cut, "\n\nThe String-to-Sign should have been\n'AWS4"), "the cut does not show")
}

func TestVerify_LookupFails(t *testing.T) {
	t.Parallel()
	down := errors.New("database is down")
	v := exampleVerifier(at(t, signedAt), "execute-api", "")
	r, body := newSigner(signedAt).request(nil)
	var refused *sigv4.Error

	v.Keys = func(context.Context, string) (sigv4.Key, error) { return sigv4.Key{}, down }
	_, err := v.Verify(r, body)
	require.ErrorIs(t, err, down)
	require.EqualError(t, err, "sigv4: looking up an access key: database is down")
	require.NotErrorAs(t, err, &refused)

	v.Keys = func(context.Context, string) (sigv4.Key, error) { return sigv4.Key{}, nil }
	_, err = v.Verify(r, body)
	require.EqualError(t, err, "sigv4: Keys returned a key without SecretAccessKey, and no error: return ErrUnknownKey for an ID that nobody has")
	require.NotErrorAs(t, err, &refused)

	v.Keys = func(context.Context, string) (sigv4.Key, error) {
		return sigv4.Key{}, errors.Join(errors.New("no row"), sigv4.ErrUnknownKey)
	}
	_, err = v.Verify(r, body)
	requireRefused(t, err, unrecognized)
}

// The context of the lookup is that of the request.
func TestVerify_LookupContext(t *testing.T) {
	t.Parallel()
	type contextKey struct{}
	v := exampleVerifier(at(t, signedAt), "execute-api", "")
	keys := v.Keys
	v.Keys = func(ctx context.Context, id string) (sigv4.Key, error) {
		if ctx.Value(contextKey{}) != "tenant" || id != exampleID {
			return sigv4.Key{}, sigv4.ErrUnknownKey
		}
		return keys(ctx, id)
	}
	r, body := newSigner(signedAt).request(nil)
	_, err := v.Verify(r.WithContext(context.WithValue(t.Context(), contextKey{}, "tenant")), body)
	require.NoError(t, err)
}

func TestVerifier_Misconfigured(t *testing.T) {
	t.Parallel()
	for field, breakIt := range map[string]func(*sigv4.Verifier){
		"Verifier.Service":    func(v *sigv4.Verifier) { v.Service = "" },
		"Verifier.Region":     func(v *sigv4.Verifier) { v.Region = "" },
		"Verifier.Keys":       func(v *sigv4.Verifier) { v.Keys = nil },
		"Verifier.Skew":       func(v *sigv4.Verifier) { v.Skew = -time.Second },
		"Verifier.MaxExpires": func(v *sigv4.Verifier) { v.MaxExpires = -time.Second },
	} {
		t.Run(field, func(t *testing.T) {
			t.Parallel()
			v := exampleVerifier(at(t, signedAt), "execute-api", "")
			breakIt(v)
			r, body := newSigner(signedAt).request(nil)
			err := admit(v, r, body)
			require.ErrorContains(t, err, field)
			var refused *sigv4.Error
			require.NotErrorAs(t, err, &refused)
		})
	}
}
