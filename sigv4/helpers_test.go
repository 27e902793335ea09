package sigv4_test

import (
	"bufio"
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway/sigv4"
)

// The published example key that all vectors are signed with.
const (
	exampleID     = "AKIDEXAMPLE"
	exampleSecret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
)

func at(t testing.TB, timestamp string) time.Time {
	t.Helper()
	now, err := time.Parse("20060102T150405Z", timestamp)
	require.NoError(t, err)
	return now
}

func clock(now time.Time) func() time.Time { return func() time.Time { return now } }

// exampleVerifier knows the example key, which has a session token if token is not "".
func exampleVerifier(now time.Time, service, token string) *sigv4.Verifier {
	return &sigv4.Verifier{
		Service: service, Region: "us-east-1", Now: clock(now),
		Keys: staticKey(exampleSecret, token),
	}
}

func staticKey(secret, token string) sigv4.KeyFunc {
	return sigv4.StaticKeys(map[string]sigv4.Key{exampleID: {SecretAccessKey: secret, SessionToken: token}})
}

// capture is a request that a published client sent.
type capture struct {
	File             string
	SessionToken     string
	Timestamp        string
	Scope            string
	CanonicalRequest string
	StringToSign     string
	Signature        string

	raw []byte
}

func captures(t testing.TB) []capture {
	t.Helper()
	dir := filepath.Join("testdata", "client-captures")
	var all []capture
	require.NoError(t, json.Unmarshal(readFile(t, filepath.Join(dir, "index.json")), &all))
	require.Len(t, all, 21)
	for i := range all {
		all[i].raw = readFile(t, filepath.Join(dir, all[i].File))
	}
	return all
}

func captureNamed(t testing.TB, file string) capture {
	t.Helper()
	for _, c := range captures(t) {
		if c.File == file {
			return c
		}
	}
	t.Fatalf("no capture %s", file)
	return capture{}
}

func (c capture) verifier(t testing.TB) *sigv4.Verifier {
	t.Helper()
	return exampleVerifier(at(t, c.Timestamp), strings.Split(c.Scope, "/")[2], c.SessionToken)
}

func (c capture) presigned() bool { return strings.Contains(c.File, "presigned") }

// request parses the capture as a server does.
func (c capture) request(t testing.TB) (*http.Request, []byte) {
	t.Helper()
	r, body, err := parseHTTP(c.raw)
	require.NoError(t, err)
	return r, body
}

func parseHTTP(raw []byte) (*http.Request, []byte, error) {
	r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(raw)))
	if err != nil {
		return nil, nil, err
	}
	body, err := io.ReadAll(r.Body)
	return r, body, err
}

func readFile(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(name)
	require.NoError(t, err)
	return data
}

// parseLoose parses requests that net/http would refuse: with blanks and raw UTF-8 in the
// target, with lines that end in LF, and with headers at the end of the file.
func parseLoose(t testing.TB, raw []byte) (*http.Request, []byte) {
	t.Helper()
	text := strings.ReplaceAll(string(raw), "\r\n", "\n")
	head, body, _ := strings.Cut(text, "\n\n")
	lines := strings.Split(strings.TrimSuffix(head, "\n"), "\n")
	first, last := strings.Index(lines[0], " "), strings.LastIndex(lines[0], " ")
	r := &http.Request{Method: lines[0][:first], RequestURI: lines[0][first+1 : last], Header: http.Header{}}
	name := ""
	for _, line := range lines[1:] {
		if strings.HasPrefix(line, " ") { // folded: goes on with the line before
			values := r.Header[name]
			values[len(values)-1] += " " + strings.TrimSpace(line)
			continue
		}
		key, value, ok := strings.Cut(line, ":")
		require.True(t, ok, line)
		name = http.CanonicalHeaderKey(key)
		r.Header[name] = append(r.Header[name], strings.TrimSpace(value))
	}
	r.Host = r.Header.Get("Host")
	r.Header.Del("Host")
	return r, []byte(body)
}

// signer signs requests for tests, exactly as AWS describes it. A field with a wrong value
// makes a request that is wrong in only one way.
type signer struct {
	keyID, secret   string
	algorithm       string
	date            string // of the scope
	region, service string
	terminator      string
	timestamp       string
	signedHeaders   string
	payload         string
}

func newSigner(timestamp string) signer {
	return signer{
		keyID: exampleID, secret: exampleSecret, algorithm: "AWS4-HMAC-SHA256",
		date: timestamp[:8], region: "us-east-1", service: "execute-api", terminator: "aws4_request",
		timestamp: timestamp, signedHeaders: "host;x-amz-date",
	}
}

func (s signer) scope() string {
	return strings.Join([]string{s.date, s.region, s.service, s.terminator}, "/")
}

// sign returns the signature for a method, a canonical path and query, and headers
// in lower case.
func (s signer) sign(method, path, query string, header map[string]string, body []byte) string {
	payload := s.payload
	if payload == "" {
		payload = hexSum(body)
	}
	lines := ""
	for _, name := range strings.Split(s.signedHeaders, ";") {
		lines += name + ":" + header[name] + "\n"
	}
	canonical := strings.Join([]string{method, path, query, lines, s.signedHeaders, payload}, "\n")
	toSign := strings.Join([]string{"AWS4-HMAC-SHA256", s.timestamp, s.scope(), hexSum([]byte(canonical))}, "\n")
	key := []byte("AWS4" + s.secret)
	for _, part := range []string{s.date, s.region, s.service, s.terminator, toSign} {
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(part))
		key = mac.Sum(nil)
	}
	return hex.EncodeToString(key)
}

func (s signer) authorization(signature string) string {
	return s.algorithm + " Credential=" + s.keyID + "/" + s.scope() +
		", SignedHeaders=" + s.signedHeaders + ", Signature=" + signature
}

// request returns a signed POST of "hello" to /prod. Header names are in lower
// case; x-amz-date is added when no date is there.
func (s signer) request(header map[string]string) (*http.Request, []byte) {
	body := []byte("hello")
	all := map[string]string{"host": "example.com"}
	for name, value := range header {
		all[name] = value
	}
	if all["date"] == "" && all["x-amz-date"] == "" {
		all["x-amz-date"] = s.timestamp
	}
	r := &http.Request{Method: http.MethodPost, RequestURI: "/prod", Host: all["host"], Header: http.Header{}}
	for name, value := range all {
		if name != "host" {
			r.Header.Set(name, value)
		}
	}
	r.Header.Set("Authorization", s.authorization(s.sign(http.MethodPost, "/prod", "", all, body)))
	return r, body
}

// presigned returns a signed GET of /prod that expires after some seconds, or that has no
// X-Amz-Expires. The values of extra parameters are in canonical form.
func (s signer) presigned(expires string, extra map[string]string) *http.Request {
	s.signedHeaders = "host"
	pairs := []string{
		"X-Amz-Algorithm=" + s.algorithm,
		"X-Amz-Credential=" + s.keyID + "%2F" + strings.ReplaceAll(s.scope(), "/", "%2F"),
		"X-Amz-Date=" + s.timestamp,
		"X-Amz-SignedHeaders=host",
	}
	if expires != "" {
		pairs = append(pairs, "X-Amz-Expires="+expires)
	}
	for name, value := range extra {
		pairs = append(pairs, name+"="+value)
	}
	sort.Strings(pairs)
	query := strings.Join(pairs, "&")
	signature := s.sign(http.MethodGet, "/prod", query, map[string]string{"host": "example.com"}, nil)
	return &http.Request{
		Method: http.MethodGet, RequestURI: "/prod?" + query + "&X-Amz-Signature=" + signature,
		Host: "example.com", Header: http.Header{},
	}
}

func hexSum(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// requireRefused asserts that err is an *Error of the code.
func requireRefused(t testing.TB, err error, code string) {
	t.Helper()
	_ = refusal(t, err, code)
}

// refusal returns err as an *Error of the code.
func refusal(t testing.TB, err error, code string) *sigv4.Error {
	t.Helper()
	var refused *sigv4.Error
	require.ErrorAs(t, err, &refused)
	require.Equal(t, code, refused.Code, refused.Message)
	return refused
}

// errorCode returns the code of an *Error, and "" for any other error.
func errorCode(err error) string {
	var refused *sigv4.Error
	if !errors.As(err, &refused) {
		return ""
	}
	return refused.Code
}
