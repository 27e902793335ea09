package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway/internal/wsconn"
)

// patience is how long a test waits for what must come.
const patience = 20 * time.Second

// process is a "gateway serve" that runs.
type process struct {
	t     *testing.T
	cmd   *exec.Cmd
	file  string
	mu    sync.Mutex
	lines []map[string]any
	more  chan struct{} // closed and replaced when a line comes
	ended chan struct{}
	rest  bytes.Buffer // what is not a line of the log
}

// serve starts the program with a configuration, whose addresses have port 0, and waits until
// it is ready.
func serve(t *testing.T, configuration string, env ...string) *process {
	t.Helper()
	p := &process{t: t, file: filepath.Join(t.TempDir(), "gateway.yaml"), more: make(chan struct{}), ended: make(chan struct{})}
	p.write(configuration)
	p.cmd = exec.CommandContext(context.Background(), binary, "serve", p.file)
	p.cmd.Env = append(os.Environ(), env...)
	out, err := p.cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, p.cmd.Start())
	go p.read(out)
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		<-p.ended
		_ = p.cmd.Wait()
		if t.Failed() {
			for _, l := range p.lines {
				t.Log(l)
			}
			t.Log(p.rest.String())
		}
	})
	p.await("ready", 1)
	return p
}

func (p *process) read(out io.Reader) {
	defer close(p.ended)
	for lines := bufio.NewScanner(out); lines.Scan(); {
		var line map[string]any
		p.mu.Lock()
		if json.Unmarshal(lines.Bytes(), &line) == nil {
			p.lines = append(p.lines, line)
		} else {
			p.rest.Write(append(lines.Bytes(), '\n'))
		}
		close(p.more)
		p.more = make(chan struct{})
		p.mu.Unlock()
	}
}

// write replaces the configuration. The log is JSON, unless the text says otherwise.
func (p *process) write(configuration string) {
	p.t.Helper()
	if !strings.Contains(configuration, "\nlog:") {
		configuration += "\nlog: {format: json}\n"
	}
	require.NoError(p.t, os.WriteFile(p.file, []byte(configuration), 0o600))
}

// await returns the nth line of the log with this message.
func (p *process) await(message string, nth int) map[string]any {
	p.t.Helper()
	late := time.After(patience)
	for {
		p.mu.Lock()
		more, found := p.more, 0
		for _, line := range p.lines {
			if line["msg"] == message {
				if found++; found == nth {
					p.mu.Unlock()
					return line
				}
			}
		}
		p.mu.Unlock()
		select {
		case <-more:
		case <-p.ended:
			require.FailNow(p.t, "the program has ended before it logged "+message)
		case <-late:
			require.FailNow(p.t, "the program has not logged "+message)
		}
	}
}

// count returns how many lines of the log have this message and this key.
func (p *process) count(message, key string) (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, line := range p.lines {
		if line["msg"] == message && line["key"] == key {
			n++
		}
	}
	return n
}

// address returns where the program listens.
func (p *process) address(purpose string, nth int) string {
	p.t.Helper()
	for n := 1; ; n++ {
		if line := p.await("listening", n); line["for"] == purpose {
			if nth--; nth == 0 {
				return line["address"].(string)
			}
		}
	}
}

func (p *process) signal(s os.Signal) { require.NoError(p.t, p.cmd.Process.Signal(s)) }

// reload replaces the configuration, and waits for the line that says how that went.
func (p *process) reload(configuration, message string, nth int) map[string]any {
	p.t.Helper()
	p.write(configuration)
	p.signal(syscall.SIGHUP)
	return p.await(message, nth)
}

// exit waits for the end of the program, and returns its exit code.
func (p *process) exit() int {
	p.t.Helper()
	select {
	case <-p.ended:
	case <-time.After(patience):
		require.FailNow(p.t, "the program has not ended")
	}
	_ = p.cmd.Wait()
	return p.cmd.ProcessState.ExitCode()
}

// peer is a client of the program.
type peer struct {
	t *testing.T
	c *wsconn.Client
}

func dial(t *testing.T, url string, o wsconn.DialOptions) *peer {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	c, _, err := wsconn.Dial(ctx, url, o) //nolint:bodyclose // a 101 has no body
	require.NoError(t, err)
	t.Cleanup(c.CloseNow)
	return &peer{t, c}
}

func (p *peer) send(text string) {
	p.t.Helper()
	require.NoError(p.t, p.c.Write(context.Background(), []byte(text), true))
}

func (p *peer) receive() string {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	data, _, err := p.c.Read(ctx)
	require.NoError(p.t, err)
	return string(data)
}

// closed returns the code of the server's Close frame.
func (p *peer) closed() int {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	_, _, err := p.c.Read(ctx)
	code, _, ok := wsconn.ReceivedClose(err)
	require.True(p.t, ok, "%v", err)
	return code
}

func get(t *testing.T, url string) (status int, body string) {
	t.Helper()
	resp, err := http.Get(url)
	require.NoError(t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	http.DefaultClient.CloseIdleConnections()
	return resp.StatusCode, string(text)
}
