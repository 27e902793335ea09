package endpoint_test

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/gateway/internal/endpoint"
)

func TestClient(t *testing.T) {
	t.Parallel()
	var opened atomic.Int32
	ended := make(chan struct{}, 100)
	srv := httptest.NewUnstartedServer(http.RedirectHandler("/elsewhere", http.StatusFound))
	srv.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		switch state {
		case http.StateNew:
			opened.Add(1)
		case http.StateClosed:
			ended <- struct{}{}
		default:
		}
	}
	srv.Start()
	t.Cleanup(srv.Close)
	var ofGateway, own endpoint.Client
	ctx := endpoint.NewContext(t.Context(), &ofGateway)
	call := func(c *http.Client) {
		resp, err := c.Get(srv.URL)
		require.NoError(t, err)
		_, err = io.Copy(io.Discard, resp.Body) // so that the connection can be used again
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, http.StatusFound, resp.StatusCode, "no redirect is followed")
	}
	for range 5 {
		call(endpoint.For(ctx, &own))
	}
	require.Equal(t, int32(1), opened.Load())
	require.Same(t, ofGateway.HTTP(), endpoint.For(ctx, &own))
	for range 5 {
		call(endpoint.For(t.Context(), &own))
	}
	require.Equal(t, int32(2), opened.Load())
	ofGateway.Close()
	<-ended
	own.Close()
	<-ended
	var unused endpoint.Client
	unused.Close()
	call(unused.HTTP())
	unused.Close()
	<-ended
}

func TestWithoutRedirects(t *testing.T) {
	t.Parallel()
	before := &http.Client{}
	require.NotNil(t, endpoint.WithoutRedirects(before).CheckRedirect)
	require.Nil(t, before.CheckRedirect, "the program's own client stays as it is")
}
