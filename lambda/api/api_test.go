package api_test

import (
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/gateway/lambda/api"
)

func TestOwns(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]bool{
		"/2015-03-31/functions/": true, "/2017-03-31/tags/arn%3Aaws": true, "/2020-06-30": true,
		"/": false, "/v2/apis": false, "/a1b2c3d4e5/prod": false, "/2015_03_31/functions": false, "/2015-03-3x/functions": false, "/2015-03-311/functions": false,
	} {
		require.Equal(t, want, api.Owns(httptest.NewRequestWithContext(t.Context(), "GET", path, nil)), path)
	}
}
