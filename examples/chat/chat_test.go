package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
	"example.com/gateway/gatewaytest"
)

// start returns the chat's routes on a gateway of their own.
func start(t *testing.T) *gatewaytest.Server {
	t.Helper()
	srv := gatewaytest.New(t, gateway.WithStage(stage, nil))
	newChat(srv, slog.New(slog.DiscardHandler)).register(srv.Gateway)
	return srv
}

// join joins and returns the answer, once the list of members and it are there.
func join(t *testing.T, c *gatewaytest.Client, room, nickname string) frame {
	t.Helper()
	c.SendJSON(map[string]string{"action": "join", "room": room, "nickname": nickname})
	require.Equal(t, "members", receive(t, c).Type)
	f := receive(t, c)
	require.Equal(t, "joined", f.Type)
	return f
}

func receive(t *testing.T, c *gatewaytest.Client) frame {
	t.Helper()
	var f frame
	c.ReceiveJSON(&f)
	return f
}

func nicknames(f frame) []string {
	var all []string
	for _, m := range f.Members {
		all = append(all, m.Nickname)
	}
	return all
}

func TestChat_Conversation(t *testing.T) {
	t.Parallel()
	srv := start(t)
	ann, ben, other := srv.Dial(t), srv.Dial(t), srv.Dial(t)

	joined := join(t, ann, "  the \n kitchen ", "Ann")
	require.Equal(t, "the kitchen", joined.Room, "white space is made one blank")
	require.NotEmpty(t, joined.ConnectionID)
	join(t, other, "garage", "Zoe")
	benJoined := join(t, ben, "the kitchen", "Ben")
	require.NotEqual(t, joined.Member, benJoined.Member)
	require.Equal(t, []string{"Ann", "Ben"}, nicknames(receive(t, ann)), "who is in the room hears who comes")

	ben.Send(`{"action":"sendmessage","text":" hello "}`)
	for _, c := range []*gatewaytest.Client{ann, ben} {
		f := receive(t, c)
		require.Equal(t, "message", f.Type)
		require.Equal(t, "hello", f.Text)
		require.Equal(t, "Ben", f.Nickname)
		require.Equal(t, benJoined.Member, f.Member)
		require.WithinDuration(t, time.Now(), *f.SentAt, time.Minute)
	}

	ben.Send(`{"action":"join","room":"garage","nickname":"Benny"}`)
	require.Equal(t, []string{"Ann"}, nicknames(receive(t, ann)), "joining another room leaves the first")
	require.Equal(t, []string{"Zoe", "Benny"}, nicknames(receive(t, other)), "only its own room hears of a message or a list")

	other.Close(1000, "")
	f := receive(t, ben)
	for f.Type != "members" || len(f.Members) > 1 { // its own list and answer come first
		f = receive(t, ben)
	}
	require.Equal(t, []string{"Benny"}, nicknames(f))

	ben.Send(`{"action":"leave"}`)
	require.Equal(t, frame{Type: "left", Room: "garage"}, receive(t, ben))
}

func TestChat_Refusals(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, frame, want string }{
		{"no room", `{"action":"join","nickname":"Ann"}`, "room is missing"},
		{"blank room", `{"action":"join","room":" \t","nickname":"Ann"}`, "room is missing"},
		{"long room", `{"action":"join","room":"` + strings.Repeat("é", 41) + `","nickname":"Ann"}`, "room has 41 characters, 40 are allowed"},
		{"no nickname", `{"action":"join","room":"r","nickname":""}`, "nickname is missing"},
		{"long nickname", `{"action":"join","room":"r","nickname":"` + strings.Repeat("a", 25) + `"}`, "nickname has 25 characters, 24 are allowed"},
		{"neither", `{"action":"join"}`, "room is missing"},
		{"room of another type", `{"action":"join","room":7,"nickname":"Ann"}`, "room and nickname must be text"},
		{"not joined", `{"action":"sendmessage","text":"hello"}`, "join a room first"},
		{"no text", `{"action":"sendmessage"}`, "text is missing"},
		{"long text", `{"action":"sendmessage","text":"` + strings.Repeat("a", 1001) + `"}`, "text has 1001 characters, 1000 are allowed"},
		{"text of another type", `{"action":"sendmessage","text":{}}`, "text must be text"},
		{"leave before join", `{"action":"leave"}`, "join a room first"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := start(t).Dial(t)
			c.Send(tt.frame)
			f := receive(t, c)
			require.Equal(t, "error", f.Type)
			require.Equal(t, tt.want, f.Message)
			require.NotEmpty(t, f.RequestID)
		})
	}
}

func TestChat_DefaultAndFail(t *testing.T) {
	t.Parallel()
	c := start(t).Dial(t)
	for _, raw := range []string{"not JSON", `{"action":"dance"}`, `{"action":"$connect"}`} {
		c.Send(raw)
		f := receive(t, c)
		require.Equal(t, "help", f.Type)
		require.NotEmpty(t, f.ConnectionID)
		require.Contains(t, f.Routes, "sendmessage")
	}
	c.Send(`{"action":"fail"}`)
	var failure map[string]string
	require.NoError(t, json.Unmarshal([]byte(c.Receive()), &failure))
	require.Equal(t, "Internal server error", failure["message"])
	require.NotEmpty(t, failure["requestId"])
}

// posts is a ConnectionsAPI that knows who is gone and remembers the last post to each.
type posts struct {
	gateway.ConnectionsAPI

	gone map[string]bool
	last map[string]frame
}

func (p posts) PostToConnection(_ context.Context, connectionID string, data []byte) error {
	if p.gone[connectionID] {
		return fmt.Errorf("posting: %w", gateway.ErrGone)
	}
	var f frame
	err := json.Unmarshal(data, &f)
	p.last[connectionID] = f
	return err
}

func TestChat_GoneMembersAreRemoved(t *testing.T) {
	t.Parallel()
	p := posts{gone: map[string]bool{}, last: map[string]frame{}}
	c := newChat(p, slog.New(slog.DiscardHandler))
	for _, id := range []string{"a", "b", "c"} {
		_, err := c.join(t.Context(), &gateway.Request{ConnectionID: id, Body: fmt.Appendf(nil, `{"room":"r","nickname":%q}`, id)})
		require.NoError(t, err)
	}
	p.gone["a"], p.gone["b"] = true, true
	_, err := c.sendMessage(t.Context(), &gateway.Request{ConnectionID: "c", Body: []byte(`{"text":"anyone?"}`)})
	require.NoError(t, err)
	require.Equal(t, []string{"c"}, nicknames(p.last["c"]), "who is left hears who has gone")
	members, version := c.rooms.list("r")
	require.Len(t, members, 1)
	require.Equal(t, version, p.last["c"].Version)
}

func TestRooms_Full(t *testing.T) {
	t.Parallel()
	r := newRooms()
	for i := range maxMembers {
		_, ok := r.join(fmt.Sprint(i), "r", "someone")
		require.True(t, ok)
	}
	_, ok := r.join("one more", "r", "someone")
	require.False(t, ok)
	_, ok = r.join("7", "r", "same room, another name")
	require.True(t, ok)
	_, ok = r.leave("0")
	require.True(t, ok)
	_, ok = r.join("one more", "r", "someone")
	require.True(t, ok)
}

func TestRooms_VersionGrowsWithEveryChange(t *testing.T) {
	t.Parallel()
	r := newRooms()
	version := func() int {
		_, v := r.list("r")
		return v
	}
	before := version()
	_, _ = r.join("a", "r", "someone")
	joined := version()
	require.Greater(t, joined, before)
	_, _ = r.leave("a")
	left := version()
	require.Greater(t, left, joined)
	_, ok := r.leave("a")
	require.False(t, ok)
	require.Equal(t, left, version())
}

func TestPage(t *testing.T) {
	t.Parallel()
	mux := newMux(start(t).Gateway)
	for path, contentType := range map[string]string{"/": "text/html", "/app.js": "text/javascript", "/style.css": "text/css", "/icon.svg": "image/svg+xml"} {
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, http.NoBody))
		require.Equal(t, http.StatusOK, w.Code, path)
		require.True(t, strings.HasPrefix(w.Header().Get("Content-Type"), contentType), path)
		require.Contains(t, w.Header().Get("Content-Security-Policy"), "default-src 'none'; script-src 'self';")
	}
}

// TestRun starts and stops the whole program. On loopback the management API
// takes the call, though not its ID; elsewhere it refuses to be called.
func TestRun(t *testing.T) {
	t.Parallel()
	for addr, want := range map[string]int{"127.0.0.1:0": http.StatusBadRequest, "0.0.0.0:0": http.StatusForbidden} {
		t.Run(addr, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancel(t.Context())
			out, in := io.Pipe()
			ended := make(chan error, 1)
			go func() { ended <- run(ctx, addr, in, slog.New(slog.DiscardHandler)) }() // until cancel; received from below
			line, err := bufio.NewReader(out).ReadString('\n')
			require.NoError(t, err)
			require.NoError(t, out.Close())

			base := strings.TrimPrefix(strings.TrimSpace(line), "page: ")
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base+"chat/@connections/never%3D", http.NoBody)
			require.NoError(t, err)
			resp, err := http.DefaultClient.Do(req)
			require.NoError(t, err)
			require.NoError(t, resp.Body.Close())
			require.Equal(t, want, resp.StatusCode)

			cancel()
			require.NoError(t, <-ended)
		})
	}
}
