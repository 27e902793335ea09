package managementclient_test

import (
	"bytes"
	"io"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
	"example.com/gateway/gatewaytest"
)

// BenchmarkPosts posts 100 messages to 100 connections over HTTP on one TCP connection: in
// 100 calls, in one batch, and in one call to everyone. The three take turns, so that the
// machine is the same for all. The clients read when the clock stands still.
func BenchmarkPosts(b *testing.B) {
	const each = 100
	srv := gatewaytest.NewTCP(b, gateway.WithManagementExtensions())
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 1}}
	defer client.CloseIdleConnections()
	post := func(target, contentType string, body []byte, want string) {
		resp, err := client.Post(srv.ManagementURL()+"/@connections"+target, contentType, bytes.NewReader(body))
		require.NoError(b, err)
		answer, err := io.ReadAll(resp.Body)
		require.NoError(b, err)
		require.NoError(b, resp.Body.Close())
		require.Equal(b, http.StatusOK, resp.StatusCode)
		require.Contains(b, string(answer), want)
	}
	clients := make([]*gatewaytest.Client, each)
	targets := make([]string, each)
	data := []byte(`{"type":"position","x":12345,"y":67890}`)
	var lines []byte
	for n := range clients {
		clients[n] = srv.Dial(b)
		targets[n] = "/" + url.QueryEscape(clients[n].ConnectionID())
		lines = append(lines, `{"to":{"id":"`+clients[n].ConnectionID()+`"},"data":"{\"type\":\"position\",\"x\":12345,\"y\":67890}"}`+"\n"...)
	}
	ways := []struct {
		name string
		post func()
		took time.Duration
	}{
		{"single", func() {
			for _, target := range targets {
				post(target, "application/json", data, "")
			}
		}, 0},
		{"batch", func() { post("", "application/x-ndjson", lines, `{"line":100,"accepted":1`) }, 0},
		{"everyone", func() { post("?all=true", "application/json", data, `{"accepted":100`) }, 0},
	}
	for b.Loop() {
		for i := range ways {
			for _, c := range clients {
				c.Pause()
			}
			began := time.Now()
			ways[i].post()
			ways[i].took += time.Since(began)
			for _, c := range clients {
				c.Resume()
				c.Receive()
			}
		}
	}
	for _, way := range ways {
		b.ReportMetric(float64(b.N*each)/way.took.Seconds(), way.name+"-posts/s")
	}
	b.ReportMetric(float64(ways[0].took)/float64(ways[1].took), "single/batch")
}
