package main

import (
	"context"
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

// Texts that are answered, bytes and compression each have a flag. Without it, a client meets
// what the service has.
func TestDev_MessageFlags(t *testing.T) {
	t.Parallel()
	for name, flags := range map[string][]string{
		"with":    {"--auto-response", "ping=pong", "--auto-response", "a=b=c", "--binary-messages", "--compression"},
		"without": nil,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := runDev(t, nil, append(flags, project(t, template()))...)
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			c, resp, err := wsconn.Dial(ctx, p.url(), wsconn.DialOptions{Compress: true}) //nolint:bodyclose // a 101 has no body
			require.NoError(t, err)
			defer c.CloseNow()
			exchange := func(message string, text bool) string {
				require.NoError(t, c.Write(ctx, []byte(message), text))
				answer, _, err := c.Read(ctx)
				if err != nil {
					return err.Error()
				}
				return string(answer)
			}
			extension, ping := resp.Header.Get("Sec-WebSocket-Extensions"), exchange("ping", true)
			if flags == nil {
				require.Empty(t, extension)
				require.Contains(t, ping, "Forbidden", "no route has this key")
				require.Contains(t, exchange("\xff", false), "Binary is not supported")
				return
			}
			require.Contains(t, extension, "permessage-deflate")
			require.Equal(t, "pong", ping)
			require.Equal(t, "b=c", exchange("a", true))
			require.Contains(t, exchange("\xff", false), "Forbidden")
		})
	}
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
