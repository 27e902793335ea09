package readme

import (
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
	"example.com/gateway/gatewaytest"
	"example.com/gateway/sigv4"
)

func TestManagementAuth(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")

	verifier := &sigv4.Verifier{Service: "execute-api", Region: "us-east-1", Keys: sigv4.StaticKeys(map[string]sigv4.Key{
		os.Getenv("AWS_ACCESS_KEY_ID"): {SecretAccessKey: os.Getenv("AWS_SECRET_ACCESS_KEY")},
	})}
	gw, err := gateway.New(gateway.WithManagementAuth(verifier)) // &iam.Auth{Verifier: verifier, Policy: …} says what each caller may do

	require.NoError(t, err)
	srv := gatewaytest.Serve(t, gw)
	unsigned := srv.Management().PostToConnection(t.Context(), srv.Dial(t).ConnectionID(), []byte("hi"))
	require.ErrorIs(t, unsigned, gateway.ErrForbidden)
}

func TestDoubleSlash(t *testing.T) {
	t.Parallel()
	gw, err := gateway.New(gateway.WithoutManagementAuth())
	require.NoError(t, err)
	mux := http.NewServeMux()
	mux.Handle("/prod", gw.Handler())

	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, "/@connections/") {
			gw.ManagementHandler().ServeHTTP(w, r)
			return
		}
		mux.ServeHTTP(w, r)
	})

	srv := gatewaytest.ServeHandler(t, handler)
	c := srv.Dial(t, gatewaytest.Path("/prod"))
	target := srv.HTTPURL() + "/prod//@connections/" + url.QueryEscape(c.ConnectionID())
	resp, err := srv.HTTPClient().Post(target, "text/plain", strings.NewReader("hi"))
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, "hi", c.Receive())
}

func TestManagementMounts(t *testing.T) {
	t.Parallel()
	mux := http.NewServeMux()

	gw, err := gateway.New(gateway.WithoutManagementAuth(), gateway.WithManagementExtensions())
	require.NoError(t, err)
	mux.Handle("/prod", gw.Handler())
	mux.Handle("/prod/@connections/", gw.ManagementHandler()) // calls for one connection
	mux.Handle("/prod/@connections", gw.ManagementHandler())  // calls for an audience, if WithManagementExtensions opens them

	srv := gatewaytest.ServeHandler(t, mux)
	c := srv.Dial(t, gatewaytest.Path("/prod"))
	api := srv.ManagementAt("/prod")
	require.NoError(t, api.PostToConnection(t.Context(), c.ConnectionID(), []byte("one")))
	d, err := api.PostTo(t.Context(), gateway.Everyone(), []byte("all"))
	require.NoError(t, err)
	require.Equal(t, 1, d.Accepted)
	require.Equal(t, "one", c.Receive())
	require.Equal(t, "all", c.Receive())
}
