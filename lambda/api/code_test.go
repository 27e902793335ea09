package api_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/gateway/controlplane"
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

// All code together needs a bounded part of the disk. What is deleted makes room.
func TestCode_Full(t *testing.T) {
	t.Parallel()
	store, dir := controlplane.NewMemory(), t.TempDir()
	c := newClient(t, api.Config{Store: store, Dir: dir, CodeBytes: 10000}) // a file needs 4 KiB at least
	c.create(nil)
	c.create(document{"FunctionName": "same"})
	two := document{"Code": document{"ZipFile": code(t, "two")}, "FunctionName": "second"}
	c.create(two)
	const full = "CodeStorageExceededException"
	c.refused(400, full, "Delete functions or versions", "PUT", functions+"/second/code", document{"ZipFile": code(t, "three")})
	c.must(200, "PUT", functions+"/same/code", document{"ZipFile": code(t, "two")})
	c.must(204, "DELETE", chat, nil)
	c.create(document{"Code": document{"ZipFile": code(t, "three")}})
	require.Equal(t, "three", c.invoke("chat", event{}).Code)
	require.NoError(t, c.server.Close())
	c = newClient(t, api.Config{Store: store, Dir: dir, CodeBytes: 10000})
	require.Equal(t, "three", c.invoke("chat", event{}).Code)
	require.Equal(t, "two", c.invoke("same", event{}).Code)
	c.refused(400, full, "", "PUT", chat+"/code", document{"ZipFile": code(t, "four")})
}

// There is a bound on functions, versions and aliases together.
func TestFunctions_TooMany(t *testing.T) {
	t.Parallel()
	store := controlplane.NewMemory()
	c := newClient(t, api.Config{Store: store})
	api.SetMost(c.server, 3)
	c.create(document{"Publish": true})
	c.must(201, "POST", chat+"/aliases", document{"Name": "live", "FunctionVersion": "1"})
	c.must(200, "PUT", chat+"/configuration", document{"Timeout": 9})
	const value, hint = "InvalidParameterValueException", "delete those that you do not need"
	for range 2 {
		c.refused(400, value, hint, "POST", functions, definition(t, document{"FunctionName": "more"}))
		c.refused(400, value, hint, "POST", chat+"/versions", nil)
		c.refused(400, value, hint, "POST", chat+"/aliases", document{"Name": "more", "FunctionVersion": "1"})
		require.NoError(t, c.server.Close())
		c = newClient(t, api.Config{Store: store})
		api.SetMost(c.server, 3)
	}
	c.must(204, "DELETE", chat+"/aliases/live", nil)
	c.must(201, "POST", chat+"/versions", nil)
	c.must(204, "DELETE", chat, nil)
	api.SetMost(c.server, 2)
	c.create(document{"Publish": true})
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
