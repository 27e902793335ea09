package gateway_test

import (
	"encoding/json"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
	"example.com/gateway/gatewaytest"
	"example.com/gateway/internal/apicall"
)

// A batch cannot make the gateway write many times its own bytes, and each line still tells
// an error.
func TestManagementExtensions_BatchOfUnknownIDs(t *testing.T) {
	t.Parallel()
	srv := gatewaytest.New(t, gateway.WithManagementExtensions())
	for each, most := range map[int]int{1: 2_000_000, 2: 2_000_000, 25: 2_000_000, 100: 1_000_000} {
		ids := make([]string, each)
		for n := range ids {
			ids[n] = `"` + strconv.FormatInt(int64(n), 36) + `"`
		}
		line := `{"to":{"id":[` + strings.Join(ids, ",") + `]},"data":""}` + "\n"
		lines := min(apicall.BatchLines, apicall.BatchBytes/len(line))
		a := manage(t, srv.Gateway, "POST", "", strings.Repeat(line, lines), "Content-Type", ndjson)
		require.Equal(t, 200, a.status)
		require.Less(t, len(a.body), most, "%d IDs a line", each)
		n, told := 0, 0
		for text := range strings.Lines(a.body) {
			var o apicall.Outcome
			require.NoError(t, json.Unmarshal([]byte(text), &o))
			n++
			require.Equal(t, n, o.Line)
			require.Equal(t, each, o.Gone)
			require.NotEmpty(t, o.Errors)
			told += len(o.Errors)
		}
		require.Equal(t, lines, n)
		require.Equal(t, min(lines*each, lines+apicall.BatchErrors), told)
	}
}

// Whether a body is a batch must not depend on which of two headers is read.
func TestManagementExtensions_TwoContentTypes(t *testing.T) {
	t.Parallel()
	srv := gatewaytest.New(t, gateway.WithManagementExtensions())
	c := srv.Dial(t)
	for _, types := range [][2]string{{ndjson, "text/plain"}, {"text/plain", ndjson}, {ndjson, ndjson}} {
		for _, target := range []string{"", "?all=true"} {
			a := manage(t, srv.Gateway, "POST", target, `{"to":{"all":true},"data":"x"}`, "Content-Type", types[0], "Content-Type", types[1])
			require.Equal(t, 400, a.status, "%v", types)
			require.Equal(t, "BadRequestException", a.name)
			require.Equal(t, `{"message":"Invalid Content-Type: the header is given 2 times"}`, a.body)
		}
	}
	id := url.PathEscape(c.ConnectionID())
	require.Equal(t, 200, manage(t, srv.Gateway, "POST", "/"+id, "end", "Content-Type", "a/b", "Content-Type", ndjson).status, "as the service")
	require.Equal(t, "end", c.Receive(), "and nothing before it")
}
