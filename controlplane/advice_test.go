package controlplane_test

import (
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/gateway/controlplane"
	"example.com/gateway/internal/testutil"
)

// A client that cannot connect because a stage or a deployment is missing gets the answer of
// the service, and the log says what to do, once for each state of the API.
func TestAdvice(t *testing.T) {
	t.Parallel()
	log := &testutil.LockedBuffer{}
	c := newClient(t, controlplane.Config{Logger: slog.New(slog.NewTextHandler(log, nil))})
	api := c.api()
	id := strings.TrimPrefix(api, "/apis/")
	said := 0
	connect := func(path string) string {
		t.Helper()
		r := c.request(http.MethodGet, path, nil)
		r.Header.Set("Upgrade", "websocket")
		a := c.send(r)
		require.Equal(t, http.StatusForbidden, a.status)
		require.Equal(t, document{"message": "Forbidden"}, a.body)
		lines := strings.SplitAfter(log.String(), "\n")
		advice := strings.Join(lines[said:len(lines)-1], "")
		said = len(lines) - 1
		return advice
	}
	create := "aws apigatewayv2 create-stage --api-id " + id + " --stage-name "
	require.Contains(t, connect("/"+id+"/dev"), "aws apigatewayv2 create-deployment --api-id "+id+", and then "+create+"dev --deployment-id {deploymentId}")
	require.Empty(t, connect("/"+id+"/dev"), "once")
	c.route(api, "$default")
	deployment := c.deployment(api)
	require.Contains(t, connect("/"+id), create+"prod --deployment-id "+deployment, "the address of the API alone")
	c.must(201, "POST", api+"/stages", document{"stageName": "dev"})
	require.Contains(t, connect("/"+id+"/dev/"), "aws apigatewayv2 update-stage --api-id "+id+" --stage-name dev --deployment-id "+deployment)
	require.Empty(t, connect("/"+id+"/"+strings.Repeat("x", 1000)), "once, whatever the client asks for")
	require.Contains(t, connect("/0000000000/prod"), `names no API" api_id=0000000000 addresses=none`)

	c.must(200, "PATCH", api+"/stages/dev", document{"description": "a change"})
	require.Contains(t, connect("/"+id+"/"+strings.Repeat("x", 1000)), create+"prod ", "no stage may have that name")
	c.must(200, "PATCH", api+"/stages/dev", document{"deploymentId": deployment})
	require.Contains(t, connect("/"+id+"/no%20name"), create+"prod ")
	c.must(200, "PATCH", api+"/stages/dev", document{"description": "another change"})
	address := "addresses=wss://" + id + ".execute-api.us-east-1.amazonaws.com/dev"
	for _, path := range []string{"/prod", "/", "/{api}/prod", "/" + id + "/prod", "/prod/a/b"} {
		advice := connect(path)
		if path == "/prod/a/b" {
			require.Empty(t, advice, "once")
			continue
		}
		require.Contains(t, advice, address, path)
	}
	for n := range 2000 {
		connect(fmt.Sprintf("/x%d/prod", n))
	}
	require.Less(t, strings.Count(log.String(), "\n"), 1100, "clients cannot fill the log")
}
