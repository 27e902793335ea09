package main

import (
	"bufio"
	"context"
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
	(&chat{connections: srv, log: slog.New(slog.DiscardHandler)}).register(srv.Gateway)
	return srv
}

// join joins, and returns the answer and the list of members. They come in any order, and
// there may be changes of the room between them.
func join(t *testing.T, c *gatewaytest.Client, room, nickname string) (joined, here frame) {
	t.Helper()
	c.SendJSON(map[string]string{"action": "join", "room": room, "nickname": nickname})
	for joined.Type == "" || here.Type == "" {
		switch f := receive(t, c); f.Type {
		case "joined":
			joined = f
		case "here":
			here = f
		default:
			require.Contains(t, []string{"came", "went"}, f.Type)
		}
	}
	require.Equal(t, frame{Type: "joined", Room: joined.Room, Nickname: nickname, Member: joined.Member, ConnectionID: c.ConnectionID()}, joined)
	require.Equal(t, frame{Type: "here", Room: joined.Room, Members: here.Members}, here)
	require.Contains(t, here.Members, member{joined.Member, nickname})
	return joined, here
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
	ann, ben, zoe := srv.Dial(t), srv.Dial(t), srv.Dial(t)

	annJoined, _ := join(t, ann, "  the \n \x00 kitchen ", "Ann")
	require.Equal(t, "the kitchen", annJoined.Room, "white space is made one blank")
	zoeJoined, _ := join(t, zoe, "garage", "Zoe")
	benJoined, here := join(t, ben, "the kitchen", "Ben")
	require.ElementsMatch(t, []string{"Ann", "Ben"}, nicknames(here))
	require.NotEqual(t, annJoined.Member, benJoined.Member)
	require.Equal(t, frame{Type: "came", Room: "the kitchen", Nickname: "Ben", Member: benJoined.Member}, receive(t, ann))

	ben.Send(`{"action":"sendmessage","text":" hello "}`)
	for _, c := range []*gatewaytest.Client{ann, ben} {
		f := receive(t, c)
		require.WithinDuration(t, time.Now(), *f.SentAt, time.Minute)
		f.SentAt = nil
		require.Equal(t, frame{Type: "message", Room: "the kitchen", Nickname: "Ben", Member: benJoined.Member, Text: "hello"}, f)
	}

	again, here := join(t, ben, "garage", "Benny")
	require.ElementsMatch(t, []string{"Zoe", "Benny"}, nicknames(here))
	require.Equal(t, frame{Type: "went", Room: "the kitchen", Member: benJoined.Member}, receive(t, ann), "joining another room leaves the first")
	require.Equal(t, frame{Type: "came", Room: "garage", Nickname: "Benny", Member: again.Member}, receive(t, zoe), "only its own room hears of a message or a member")

	zoe.Drop()
	require.Equal(t, frame{Type: "went", Room: "garage", Member: zoeJoined.Member}, receive(t, ben))

	ben.Send(`{"action":"leave"}`)
	require.Equal(t, frame{Type: "left", Room: "garage"}, receive(t, ben))
	ben.Send(`{"action":"sendmessage","text":"anyone?"}`)
	var f refused
	ben.ReceiveJSON(&f)
	require.Equal(t, "join a room first", f.Message)
}

func TestChat_AnotherNickname(t *testing.T) {
	t.Parallel()
	srv := start(t)
	ann, ben := srv.Dial(t), srv.Dial(t)
	join(t, ann, "r", "Ann")
	first, _ := join(t, ben, "r", "Ben")
	require.Equal(t, "came", receive(t, ann).Type)
	second, here := join(t, ben, "r", "Benny")
	require.ElementsMatch(t, []string{"Ann", "Benny"}, nicknames(here))
	require.Equal(t, frame{Type: "went", Room: "r", Member: first.Member}, receive(t, ann))
	require.Equal(t, frame{Type: "came", Room: "r", Nickname: "Benny", Member: second.Member}, receive(t, ann))
}

// refused is an error message of the gateway.
type refused struct {
	Message, RequestID string
	Errors             []struct{ Field, Message string }
}

func TestChat_Refusals(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, frame, want string }{
		{"no room", `{"action":"join","nickname":"Ann"}`, "/room is missing"},
		{"blank room", `{"action":"join","room":" \t","nickname":"Ann"}`, "/room is missing"},
		{"long room", `{"action":"join","room":"` + strings.Repeat("é", 31) + `","nickname":"Ann"}`, "/room has 31 characters, 30 are allowed"},
		{"no nickname", `{"action":"join","room":"r","nickname":""}`, "/nickname is missing"},
		{"long nickname", `{"action":"join","room":"r","nickname":"` + strings.Repeat("a", 25) + `"}`, "/nickname has 25 characters, 24 are allowed"},
		{"neither", `{"action":"join"}`, "/room is missing, /nickname is missing"},
		{"room of another type", `{"action":"join","room":7,"nickname":"Ann"}`, "/room want string, got number"},
		{"not joined", `{"action":"sendmessage","text":"hello"}`, "join a room first"},
		{"no text", `{"action":"sendmessage"}`, "/text is missing"},
		{"long text", `{"action":"sendmessage","text":"` + strings.Repeat("a", 1001) + `"}`, "/text has 1001 characters, 1000 are allowed"},
		{"text of another type", `{"action":"sendmessage","text":{}}`, "/text want string, got object"},
		{"leave before join", `{"action":"leave"}`, "join a room first"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := start(t).Dial(t)
			c.Send(tt.frame)
			var f refused
			c.ReceiveJSON(&f)
			got := []string{f.Message}
			for n, e := range f.Errors {
				got = append(got[:n], e.Field+" "+e.Message)
			}
			require.Equal(t, tt.want, strings.Join(got, ", "))
			require.NotEmpty(t, f.RequestID)
		})
	}
}

// The longest name of a room is a name of a group, whatever its characters.
func TestChat_LongestRoom(t *testing.T) {
	t.Parallel()
	c := start(t).Dial(t)
	name := strings.Repeat("🍰", maxRoom)
	joined, _ := join(t, c, name, "Ann")
	require.Equal(t, name, joined.Room)
}

func TestChat_FullRoom(t *testing.T) {
	t.Parallel()
	srv := start(t)
	for range maxMembers - 1 {
		require.NoError(t, srv.Join(t.Context(), srv.Dial(t).ConnectionID(), "r"))
	}
	last, late := srv.Dial(t), srv.Dial(t)
	_, here := join(t, last, "r", "the last")
	require.Len(t, here.Members, maxMembers)
	late.Send(`{"action":"join","room":"r","nickname":"one more"}`)
	var no refused
	late.ReceiveJSON(&no)
	require.Equal(t, "the room is full", no.Message)
	join(t, last, "r", "the last of all")
	last.Send(`{"action":"leave"}`)
	require.Equal(t, frame{Type: "left", Room: "r"}, receive(t, last))
	_, here = join(t, late, "r", "one more")
	require.Len(t, here.Members, maxMembers)
}

func TestChat_DefaultAndFail(t *testing.T) {
	t.Parallel()
	c := start(t).Dial(t)
	for _, raw := range []string{"not JSON", `{"action":"dance"}`, `{"action":"$connect"}`, `{"action":"$join"}`} {
		c.Send(raw)
		f := receive(t, c)
		require.Equal(t, "help", f.Type)
		require.Equal(t, c.ConnectionID(), f.ConnectionID)
		require.Contains(t, f.Routes, "sendmessage")
	}
	c.Send(`{"action":"fail"}`)
	var failure refused
	c.ReceiveJSON(&failure)
	require.Equal(t, "Internal server error", failure.Message)
	require.NotEmpty(t, failure.RequestID)
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
