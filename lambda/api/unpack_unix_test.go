//go:build linux || darwin

package api_test

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/gateway/controlplane"
	"example.com/gateway/lambda/api"
)

// While the code of one function is unpacked, which may take long, events of the others run,
// and changes and look-ups are answered.
func TestUnpack_holdsNobodyUp(t *testing.T) {
	t.Parallel()
	store, dir := controlplane.NewMemory(), t.TempDir()
	c := newClient(t, api.Config{Store: store, Dir: dir})
	c.create(document{"Code": document{"ZipFile": code(t, "slow")}})
	zips, err := filepath.Glob(filepath.Join(dir, "code", "*.zip"))
	require.NoError(t, err)
	require.Len(t, zips, 1)
	c.create(document{"FunctionName": "other"})
	require.NoError(t, c.server.Close())
	content, err := os.ReadFile(zips[0])
	require.NoError(t, err)
	require.NoError(t, os.Remove(zips[0]))
	require.NoError(t, syscall.Mkfifo(zips[0], 0o600)) // whoever reads it waits for who writes

	c = newClient(t, api.Config{Store: store, Dir: dir})
	var wait sync.WaitGroup
	ended := make(chan error, 1)
	slow, err := c.server.ResolveFunction("chat")
	require.NoError(t, err)
	wait.Go(func() {
		_, err := slow.InvokeFunction(context.WithoutCancel(t.Context()), []byte(`{}`))
		ended <- err
	})
	pipe, err := os.OpenFile(zips[0], os.O_WRONLY, 0) // waits until it is read
	require.NoError(t, err)
	defer wait.Wait()
	defer pipe.Close()

	require.Equal(t, "one", c.invoke("other", event{}).Code, "its code is unpacked meanwhile")
	c.create(document{"FunctionName": "third", "Code": document{"ZipFile": code(t, "three")}})
	require.Equal(t, "three", c.invoke("third", event{}).Code)
	_, err = c.server.ResolveFunction("chat")
	require.NoError(t, err)
	c.must(204, "DELETE", functions+"/third", nil)
	require.Empty(t, ended, "it still waits")
	_, err = pipe.Write(content)
	require.NoError(t, err)
	require.NoError(t, pipe.Close())
	wait.Wait()
	require.NoError(t, <-ended)
}
