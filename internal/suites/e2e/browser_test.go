//go:build unix

package e2e

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// browser is a headless Chromium, controlled through browser.mjs.
type browser struct {
	*process
	stdin   io.Writer
	answers int    // how many have been read
	prefix  string // of the file names of screenshots
}

// startBrowser starts Chromium with a new profile, which is removed at the end.
func startBrowser(t *testing.T) *browser {
	t.Helper()
	node := findTool(t, "install Node.js 20 or newer", "node")
	chromium := findTool(t, "apt-get install chromium", "/usr/bin/chromium", "chromium", "chromium-browser", "google-chrome")
	findModule(t, "playwright-core/package.json")
	folder := os.Getenv("GATEWAY_ARTIFACTS")
	if folder == "" {
		var err error
		folder, err = os.MkdirTemp("", "gateway-e2e-") //nolint:usetesting // t.TempDir would remove files that somebody wants to look at
		require.NoError(t, err)
	}
	require.NoError(t, os.MkdirAll(folder, 0o755))
	t.Logf("screenshots are in %s", folder)
	cmd := exec.CommandContext(t.Context(), node, "browser.mjs", chromium, folder)
	stdin, err := cmd.StdinPipe()
	require.NoError(t, err)
	cmd.Cancel = stdin.Close // then browser.mjs closes the browser and ends
	return &browser{process: start(t, cmd), stdin: stdin}
}

// step is one request to browser.mjs; the operations are described there.
type step struct {
	Op       string `json:"op"`
	Page     string `json:"page"`
	Selector string `json:"selector,omitempty"`
	Text     string `json:"text,omitempty"`
	URL      string `json:"url,omitempty"`
	Width    int    `json:"width,omitempty"`
	Height   int    `json:"height,omitempty"`
	Dark     bool   `json:"dark,omitempty"`
}

func (b *browser) do(t *testing.T, s step) string {
	t.Helper()
	require.NoError(t, json.NewEncoder(b.stdin).Encode(s))
	var answer struct{ Value, Error string }
	require.NoError(t, json.Unmarshal([]byte(b.next(t, &b.answers)), &answer))
	require.Empty(t, answer.Error, "%+v", s)
	return answer.Value
}

// tab is one page. Its user shares nothing with the other users.
type tab struct {
	browser *browser
	name    string
}

func (b *browser) open(t *testing.T, name, url string, width, height int, dark bool) *tab {
	t.Helper()
	b.do(t, step{Op: "open", Page: name, URL: url, Width: width, Height: height, Dark: dark})
	p := &tab{browser: b, name: name}
	p.see(t, status, "Online")
	return p
}

// What the tests look at and use, by the names that a screen reader reads out.
const (
	status     = `role=status`
	alert      = `role=alert`
	nickname   = `role=textbox[name="Nickname"]`
	room       = `role=textbox[name="Room"]`
	joinButton = `role=button[name="Join"]`
	leave      = `role=button[name="Leave"]`
	message    = `role=textbox[name="Message"]`
	messages   = `role=log[name="Messages"] >> .message`
	events     = `role=log[name="Messages"] >> .event`
	members    = `role=region[name="Members"] >> role=listitem`
	memberSum  = `#member-count`
	rawFrame   = `role=textbox[name="Raw frame"]`
	sendFrame  = `role=button[name="Send frame"]`
	frames     = `role=list[name="Frames"] >> role=listitem`
	dismiss    = `role=button[name="Dismiss"]`
	curl       = `#curl`
)

func (p *tab) see(t *testing.T, selector, text string) {
	t.Helper()
	p.browser.do(t, step{Op: "see", Page: p.name, Selector: selector, Text: text})
}

func (p *tab) gone(t *testing.T, selector, text string) {
	t.Helper()
	p.browser.do(t, step{Op: "gone", Page: p.name, Selector: selector, Text: text})
}

func (p *tab) fill(t *testing.T, selector, text string) {
	t.Helper()
	p.browser.do(t, step{Op: "fill", Page: p.name, Selector: selector, Text: text})
}

func (p *tab) click(t *testing.T, selector string) {
	t.Helper()
	p.browser.do(t, step{Op: "click", Page: p.name, Selector: selector})
}

func (p *tab) get(t *testing.T, op, selector string) string {
	t.Helper()
	return p.browser.do(t, step{Op: op, Page: p.name, Selector: selector})
}

// shot takes a screenshot, and checks that nothing is wider than the page.
func (p *tab) shot(t *testing.T, file string) {
	t.Helper()
	p.browser.do(t, step{Op: "shot", Page: p.name, Text: p.browser.prefix + file})
	require.Equal(t, "0", p.browser.do(t, step{Op: "overflow", Page: p.name}), "the page %s is wider than its window", p.name)
}

// join joins the room where all users meet.
func (p *tab) join(t *testing.T, name string) {
	t.Helper()
	p.fill(t, nickname, name)
	p.fill(t, room, "kitchen")
	p.click(t, joinButton)
	p.see(t, events, "You joined kitchen")
}

func (p *tab) say(t *testing.T, text string) {
	t.Helper()
	p.fill(t, message, text)
	p.browser.do(t, step{Op: "press", Page: p.name, Selector: message, Text: "Enter"})
	p.see(t, messages, text)
}

// The same chat with each of its backends: Go funcs, an HTTP service in Python and in
// Node.js, a Lambda handler.
func TestBrowser(t *testing.T) {
	outside(t)
	t.Run("chat", func(t *testing.T) { testBrowser(t, "chat") })
	t.Run("httptarget-python", func(t *testing.T) {
		findTool(t, "install Python 3.9 or newer", "python3")
		testBrowser(t, "httptarget", "-backend", "python")
	})
	t.Run("httptarget-node", func(t *testing.T) { testBrowser(t, "httptarget", "-backend", "node") })
	t.Run("lambda", func(t *testing.T) { testBrowser(t, "lambda") })
}

func testBrowser(t *testing.T, example string, args ...string) {
	t.Helper()
	b := startBrowser(t)
	b.prefix = strings.TrimPrefix(t.Name(), "TestBrowser/") + "-"
	chat := startChat(t, example, args...)

	ann := b.open(t, "ann", chat.page(), 1180, 760, false)
	ann.shot(t, "1-welcome-light")
	ann.click(t, joinButton)
	ann.see(t, alert, "nickname is missing")
	ann.see(t, alert, "Request ID ")
	ann.click(t, dismiss)
	ann.gone(t, alert+" >> div", "nickname is missing")
	ann.join(t, "Ann")

	ben := b.open(t, "ben", chat.page(), 1180, 760, true)
	ben.shot(t, "2-welcome-dark")
	ben.join(t, "Ben")
	cleo := b.open(t, "cleo", chat.page()+"#kitchen", 390, 780, false)
	cleo.shot(t, "3-welcome-narrow")
	cleo.join(t, "Cleo de Mérode")

	// They see each other, and what each of them writes.
	for _, p := range []*tab{ann, ben, cleo} {
		for _, name := range []string{"Ann", "Ben", "Cleo de Mérode"} {
			p.see(t, members, name)
		}
		p.see(t, memberSum, "3")
	}
	ann.see(t, events, "Ben joined")
	ann.say(t, "Good morning! Is the kettle on?")
	ben.say(t, "It is. Tea in five minutes.")
	ben.say(t, "There is cake, too <img src=x onerror=alert(1)> & more — ☕🍰")
	cleo.say(t, "On my way.\nI bring the milk.")
	for _, p := range []*tab{ann, ben, cleo} {
		p.see(t, messages, "Good morning! Is the kettle on?")
		p.see(t, messages, "It is. Tea in five minutes.")
		p.see(t, messages, "There is cake, too <img src=x onerror=alert(1)> & more — ☕🍰")
		p.see(t, messages, "I bring the milk.")
		require.Equal(t, "4", p.get(t, "count", messages))
	}

	// A raw frame without a route goes to $default. The gateway answers one that
	// fails.
	ann.fill(t, rawFrame, `{"action": "dance"}`)
	ann.click(t, sendFrame)
	ann.see(t, frames, `{"type":"help"`)
	ann.fill(t, rawFrame, `{"action": "fail"}`)
	ann.click(t, sendFrame)
	ann.see(t, alert, "Internal server error")
	ann.see(t, alert, "Request ID ")

	// The curl command on the page works. The server logs the same one, if its backend knows
	// the address of the management API.
	address := regexp.MustCompile(`'(http://[^']+)'`).FindStringSubmatch(ann.get(t, "text", curl))
	require.Len(t, address, 2)
	logged := address[0]
	if example == "httptarget" {
		logged = "connection_id="
	}
	chat.stderr.contains(t, "joined", logged)
	ann.click(t, `role=button[name="Copy curl"]`)
	ann.see(t, "button", "Copied")
	require.Equal(t, ann.get(t, "text", curl), ann.get(t, "clipboard", ""))
	request(t, http.MethodPost, address[1], "hello from the management API", http.StatusOK)
	ann.see(t, messages, "hello from the management API")
	ann.shot(t, "4-conversation-light")
	ben.shot(t, "5-conversation-dark")
	cleo.shot(t, "6-conversation-narrow")
	cleo.click(t, "summary")
	cleo.shot(t, "7-wire-narrow")
	cleo.click(t, "summary")
	ann.click(t, dismiss)

	// One user closes the window, another leaves: the third sees both go.
	ben.get(t, "close", "")
	ann.see(t, events, "Ben left")
	ann.gone(t, members, "Ben")
	ann.see(t, memberSum, "2")
	cleo.click(t, leave)
	cleo.see(t, joinButton, "Join")
	ann.see(t, events, "Cleo de Mérode left")
	ann.see(t, memberSum, "1")
	cleo.join(t, "Cleo")
	ann.see(t, events, "Cleo joined")

	// The server stops and comes back; the pages connect again and enter their room.
	require.Zero(t, chat.terminate(t))
	ann.see(t, status, "Reconnecting")
	ann.see(t, events, "Connection lost")
	ann.fill(t, message, "written while away")
	ann.shot(t, "8-reconnecting-light")
	chat = chat.restart(t)
	for _, p := range []*tab{ann, cleo} {
		p.see(t, status, "Online")
		p.see(t, events, "You are back in kitchen")
		p.see(t, memberSum, "2")
	}
	ann.click(t, `role=button[name="Send"]`)
	cleo.see(t, messages, "written while away")
	ann.shot(t, "9-back-light")

	// The server may also close a single connection.
	address = regexp.MustCompile(`'(http://[^']+)'`).FindStringSubmatch(ann.get(t, "text", curl))
	require.Len(t, address, 2)
	request(t, http.MethodDelete, address[1], "", http.StatusNoContent)
	chat.stderr.contains(t, "disconnected", "status=1000")
	cleo.see(t, events, "Ann left")
	cleo.see(t, events, "Ann joined")
	request(t, http.MethodPost, address[1], "too late", http.StatusGone)

	require.Empty(t, ann.get(t, "problems", ""), "what the pages complained about")
}

// request calls the management API as curl would.
func request(t *testing.T, method, url, body string, want int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	require.NoError(t, err)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, want, resp.StatusCode)
}
