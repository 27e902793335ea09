package api_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/gateway/lambda/api"
)

// Code that no function needs is gone when the call has ended, although nothing ever ran.
func TestCode_Removed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c := newClient(t, api.Config{Dir: dir})
	c.create(document{"Publish": true})
	two := code(t, "two")
	kept := func(want int, after string) {
		t.Helper()
		for _, folder := range []string{"code", "unpacked"} {
			entries, err := os.ReadDir(filepath.Join(dir, folder))
			require.NoError(t, err)
			require.Len(t, entries, want, "%s after %s", folder, after)
		}
	}
	kept(1, "the creation")
	c.must(200, "PUT", chat+"/code", document{"ZipFile": two, "DryRun": true})
	kept(1, "a dry run")
	c.refused(412, "PreconditionFailedException", "", "PUT", chat+"/code", document{"ZipFile": two, "RevisionId": "old"})
	kept(1, "a wrong revision")
	c.refused(404, "ResourceNotFoundException", "", "PUT", functions+"/none/code", document{"ZipFile": two})
	kept(1, "a function that is not there")
	c.refused(409, "ResourceConflictException", "", "POST", functions, definition(t, document{"Code": document{"ZipFile": two}}))
	kept(1, "a conflict")
	c.refused(400, "InvalidParameterValueException", "", "PUT", chat+"/code", document{"ZipFile": "AAAA"})
	kept(1, "what is no zip file")
	c.must(200, "PUT", chat+"/code", document{"ZipFile": two})
	kept(2, "an update: the version has the old code")
	c.must(200, "PUT", chat+"/code", document{"ZipFile": code(t, "three")})
	kept(2, "one more")
	c.create(document{"FunctionName": "second"})
	c.must(204, "DELETE", chat+"?Qualifier=1", nil)
	kept(2, "the deletion of a version whose code another function has")
	c.must(204, "DELETE", functions+"/second", nil)
	kept(1, "the deletion of that")
	c.must(204, "DELETE", chat, nil)
	kept(0, "the last deletion")
}

// A call that Auth would refuse for its headers costs no place among those that upload.
func TestUpload_UnsignedIsNotRead(t *testing.T) {
	t.Parallel()
	c := newClient(t, api.Config{Auth: verifier()})
	for _, call := range []struct{ method, path string }{{"POST", functions}, {"PUT", chat + "/code"}, {"POST", chat + "/invocations"}} {
		r := c.request(call.method, call.path, nil)
		body := &neverRead{}
		r.Body, r.ContentLength = body, 1000
		a := c.send(r)
		require.Equal(t, 403, a.status)
		require.Equal(t, "MissingAuthenticationTokenException", a.errorType())
		require.False(t, body.read, call.path)
	}
}

// neverRead notes that it was read.
type neverRead struct {
	strings.Reader

	read bool
}

func (r *neverRead) Read([]byte) (int, error) {
	r.read = true
	return 0, os.ErrDeadlineExceeded
}

func (*neverRead) Close() error { return nil }
