//go:build unix

package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// oldBoto3 is a module that Python loads at the start. It makes a boto3 below 1.28, such as
// Debian's, read the address of DynamoDB from the environment, as newer ones do.
const oldBoto3 = `
import os
import botocore.session
make = botocore.session.Session.create_client
def create_client(self, service_name, *args, **kwargs):
    if service_name == "dynamodb":
        kwargs["endpoint_url"] = kwargs.get("endpoint_url") or os.environ["AWS_ENDPOINT_URL_DYNAMODB"]
    return make(self, service_name, *args, **kwargs)
botocore.session.Session.create_client = create_client
`

// The samples run unchanged under gateway dev, in each language: two clients chat through
// their handlers, which call https://{domainName}/{stage} with the SDK of the language, and
// keep the connections in a table. A connection that is in the table but gone is removed.
func TestSamples(t *testing.T) {
	outside(t)
	for language, prepare := range map[string]func(t *testing.T, dir string) (env, args []string){
		"javascript": func(t *testing.T, dir string) (env, args []string) {
			t.Helper()
			modules := findModule(t, "@aws-sdk/lib-dynamodb")
			require.NoError(t, os.Symlink(filepath.Dir(filepath.Dir(modules)), filepath.Join(dir, "node_modules")))
			return nil, nil
		},
		"python": func(t *testing.T, dir string) (env, args []string) {
			t.Helper()
			python := findBoto3(t)
			require.NoError(t, os.WriteFile(filepath.Join(dir, "sitecustomize.py"), []byte(oldBoto3), 0o600))
			return []string{"PATH=" + filepath.Dir(python) + ":" + os.Getenv("PATH")}, []string{"--env", "PYTHONPATH=" + dir}
		},
		"go": func(t *testing.T, dir string) (env, args []string) {
			t.Helper()
			build := exec.CommandContext(t.Context(), "go", "build", "./...") // so that the SDK is in Go's cache: $connect has 29 seconds
			build.Dir = dir
			out, err := build.CombinedOutput()
			require.NoError(t, err, "%s", out)
			return nil, nil
		},
	} {
		t.Run(language, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join("../../../examples/sam", language)
			if language != "go" { // Go builds within its module, and writes nothing there
				dir = t.TempDir()
				require.NoError(t, os.CopyFS(dir, os.DirFS(filepath.Join("../../../examples/sam", language))))
			}
			items := startTable(t)
			env, args := prepare(t, dir)
			args = append(args, "--env", "AWS_ENDPOINT_URL_DYNAMODB="+items.url, filepath.Join(dir, "template.yaml"))
			gateway, _ := startDevWith(t, env, args...)
			line := strings.Fields(gateway.stdout.contains(t, "gateway send "))
			url := line[2]

			gone := dialEcho(t, url)
			put := items.keep()
			require.NoError(t, gone.Close(1000, ""))
			require.Eventually(t, func() bool { return items.count() == 0 }, patience, 10*time.Millisecond)
			put()
			ann, bob := dialEcho(t, url), dialEcho(t, url)
			require.Equal(t, 3, items.count())
			for _, text := range []string{"hello", "ünï 😀"} {
				require.NoError(t, ann.Write(t.Context(), []byte(`{"action":"sendmessage","data":"`+text+`"}`), true))
				for _, peer := range []*peer{ann, bob} {
					require.Equal(t, text, peer.receive())
				}
			}
			require.Equal(t, 2, items.count())
			require.NoError(t, bob.Close(1000, ""))
			require.Eventually(t, func() bool { return items.count() == 1 }, patience, 10*time.Millisecond)
			require.NoError(t, ann.Close(1000, ""))
			require.Eventually(t, func() bool { return items.count() == 0 }, patience, 10*time.Millisecond)
			require.Zero(t, gateway.terminate(t))
		})
	}
}
