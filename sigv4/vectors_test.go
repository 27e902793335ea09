package sigv4_test

import (
	"bufio"
	"encoding/json"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway/sigv4"
)

// The vectors of aws-c-auth: each case signed in the header form and presigned.
func TestVerify_AWSCAuthVectors(t *testing.T) {
	t.Parallel()
	dirs, err := filepath.Glob(filepath.Join("testdata", "aws-c-auth-v4", "*", "context.json"))
	require.NoError(t, err)
	require.Len(t, dirs, 38)
	for _, file := range dirs {
		dir := filepath.Dir(file)
		for _, form := range []string{"header", "query"} {
			t.Run(filepath.Base(dir)+"/"+form, func(t *testing.T) {
				t.Parallel()
				var vector struct {
					Credentials struct{ Token string }
					Normalize   bool
					Timestamp   time.Time
				}
				require.NoError(t, json.Unmarshal(readFile(t, file), &vector))
				read := func(name string) string {
					return string(readFile(t, filepath.Join(dir, form+"-"+name+".txt")))
				}
				v := exampleVerifier(vector.Timestamp, "service", vector.Credentials.Token)
				r, body := parseLoose(t, []byte(read("signed-request")))

				requireReading(t, v, r, body, read("canonical-request"), read("string-to-sign"))
				signature, err := v.Verify(r, body)
				require.NoError(t, err)
				require.Equal(t, form == "query", signature.Presigned)
				require.Equal(t, exampleID, signature.Caller.AccessKeyID)
				path, _, _ := strings.Cut(r.RequestURI, "?")
				if !vector.Normalize {
					require.Equal(t, path, signature.Path)
				}
			})
		}
	}
}

// requireReading asserts that one reading of r is the one given.
func requireReading(t *testing.T, v *sigv4.Verifier, r *http.Request, body []byte, canonical, toSign string) {
	t.Helper()
	readings, err := v.Intermediates(r, body)
	require.NoError(t, err)
	for _, reading := range readings {
		if reading.CanonicalRequest == canonical {
			require.Equal(t, toSign, reading.StringToSign)
			return
		}
	}
	require.Equal(t, canonical, readings[0].CanonicalRequest)
}

// The vectors of botocore. The signature is taken from .authz, because one .sreq has a
// wrong signature.
func TestVerify_BotocoreVectors(t *testing.T) {
	t.Parallel()
	seen := 0
	root := filepath.Join("testdata", "botocore-aws4_testsuite")
	require.NoError(t, filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".req" {
			return err
		}
		seen++
		base := strings.TrimSuffix(path, ".req")
		t.Run(filepath.Base(base), func(t *testing.T) {
			t.Parallel()
			r, body := parseLoose(t, readFile(t, base+".req"))
			r.Header.Set("Authorization", strings.TrimSpace(string(readFile(t, base+".authz"))))
			signed, _ := parseLoose(t, readFile(t, base+".sreq")) // the token is only here in one case
			token := signed.Header.Get("X-Amz-Security-Token")
			if token != "" {
				r.Header.Set("X-Amz-Security-Token", token)
			}
			v := exampleVerifier(at(t, "20150830T123600Z"), "service", token)
			requireReading(t, v, r, body, string(readFile(t, base+".creq")), string(readFile(t, base+".sts")))
			_, err := v.Verify(r, body)
			require.NoError(t, err)
		})
		return nil
	}))
	require.Equal(t, 34, seen)
}

// What published clients sent, parsed as a server does.
func TestVerify_ClientCaptures(t *testing.T) {
	t.Parallel()
	for _, c := range captures(t) {
		t.Run(c.File, func(t *testing.T) {
			t.Parallel()
			r, body := c.request(t)
			v := c.verifier(t)
			requireReading(t, v, r, body, c.CanonicalRequest, c.StringToSign)
			signature, err := v.Verify(r, body)
			require.NoError(t, err)
			require.Equal(t, sigv4.Signature{
				Caller: sigv4.Caller{AccessKeyID: exampleID}, Region: "us-east-1", Service: v.Service,
				Time: at(t, c.Timestamp), Presigned: c.presigned(), Path: signature.Path,
			}, signature)
			require.NotContains(t, signature.Path, "//")
			require.NoError(t, admit(v, r, body))
		})
	}
}

// The same bytes over TCP to a plain server. They are accepted whatever net/http does with
// Content-Length, Host and the path.
func TestVerify_ClientCapturesOverTCP(t *testing.T) {
	t.Parallel()
	for _, c := range captures(t) {
		t.Run(c.File, func(t *testing.T) {
			t.Parallel()
			v := c.verifier(t)
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				body, err := io.ReadAll(r.Body)
				if err == nil {
					err = admit(v, r, body)
				}
				if err != nil {
					http.Error(w, err.Error(), http.StatusForbidden)
				}
			}))
			defer server.Close()
			conn, err := net.Dial("tcp", server.Listener.Addr().String())
			require.NoError(t, err)
			defer conn.Close()
			_, err = conn.Write(c.raw)
			require.NoError(t, err)
			resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
			require.NoError(t, err)
			defer resp.Body.Close()
			text, err := io.ReadAll(resp.Body)
			require.NoError(t, err)
			require.Equal(t, http.StatusOK, resp.StatusCode, string(text))
		})
	}
}
