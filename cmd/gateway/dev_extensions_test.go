package main

import (
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/gateway/internal/wsconn"
)

// With --answer-commands the headers of a function's answer are commands: a chat with rooms,
// whose function makes no call.
func TestDev_AnswerCommands(t *testing.T) {
	t.Parallel()
	python3(t)
	p := runDev(t, nil, filepath.Join("testdata", "examples", "rooms"), "--answer-commands")
	url := p.await(`(ws://\S+)`)[1]
	ann, bob := dial(t, url, wsconn.DialOptions{}), dial(t, url, wsconn.DialOptions{})
	for _, c := range []*peer{ann, bob} {
		require.Equal(t, "welcome", c.receive())
		c.send(`{"enter":"Räume, 1"}`)
		require.Equal(t, "you are in Räume, 1", c.receive())
	}
	ann.send(`{"text":"hello"}`)
	require.Equal(t, "hello", bob.receive())
	bob.send(`{"text":"bye"}`)
	require.Equal(t, "bye", ann.receive(), "and not hello, which was her own")
	bob.c.CloseNow()
	require.Equal(t, "somebody left", ann.receive())
}

// With --management-extensions a backend posts to everybody at a stage, by its address with
// and without the API ID.
func TestDev_ManagementExtensions(t *testing.T) {
	t.Parallel()
	post := func(api, path string) (status int, body string) {
		t.Helper()
		resp, err := http.Post(api+path+"/@connections?all=true", "text/plain", strings.NewReader("hello"))
		require.NoError(t, err)
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		return resp.StatusCode, string(text)
	}
	for _, flags := range [][]string{{"--management-extensions"}, nil} {
		p := runDev(t, nil, append(flags, project(t, template()))...)
		stage := p.url()
		at, err := url.Parse(stage)
		require.NoError(t, err)
		c := dial(t, stage, wsconn.DialOptions{})
		for _, path := range []string{at.Path, at.Path[strings.LastIndexByte(at.Path, '/'):]} {
			status, body := post("http://"+at.Host, path)
			if flags == nil {
				require.Equal(t, http.StatusForbidden, status, body)
				continue
			}
			require.Equal(t, http.StatusOK, status, body)
			require.Equal(t, "hello", c.receive())
		}
	}
}
