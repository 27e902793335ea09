package faults_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
	"example.com/gateway/internal/suites/wiretest"
	"example.com/gateway/internal/testutil"
)

// pausable is a server in its own process, which can be stopped and continued.
type pausable struct {
	t       *testing.T
	process *os.Process
	address string
}

func startPausable(t *testing.T, quotas gateway.Quotas) *pausable {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	asJSON, err := json.Marshal(quotas)
	require.NoError(t, err)
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), programEnv+"=pausable", quotasEnv+"="+string(asJSON))
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	require.NoError(t, err)
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGCONT)
		_ = stdin.Close()
		require.NoError(t, cmd.Wait())
	})
	_, err = fmt.Fprintln(stdin, "address")
	require.NoError(t, err)
	line, err := bufio.NewReader(stdout).ReadString('\n')
	require.NoError(t, err)
	p := &pausable{t: t, process: cmd.Process}
	require.NoError(t, json.Unmarshal([]byte(strings.TrimSpace(line)), &p.address))
	return p
}

func (p *pausable) dial() *peer {
	p.t.Helper()
	nc, err := net.Dial("tcp", p.address)
	require.NoError(p.t, err)
	p.t.Cleanup(func() { _ = nc.Close() })
	c := newPeer(p.t, nc)
	c.write(request(""))
	c.requireUpgraded()
	return c
}

// pause stops the server for the given time.
func (p *pausable) pause(d time.Duration) {
	p.t.Helper()
	require.NoError(p.t, p.process.Signal(syscall.SIGSTOP))
	<-time.After(d)
	require.NoError(p.t, p.process.Signal(syscall.SIGCONT))
}

// The gateway does not cut a client that keeps the rules because the server's process
// was stopped: it first reads what the client sent in the meantime, and a ping gets
// its full time. It still cuts a client that stays silent.
func TestPaused(t *testing.T) {
	testutil.NeedsLong(t)
	t.Parallel()
	const quota = 500 * time.Millisecond
	t.Run("pings", func(t *testing.T) {
		t.Parallel()
		server := startPausable(t, gateway.Quotas{PingInterval: quota})
		var clients []*peer
		ended := make(chan error, 20)
		var pongs atomic.Int64
		for range cap(ended) {
			c := server.dial()
			clients = append(clients, c)
			go func() { ended <- c.answerPings(quota/2, &pongs) }() // ends with the connection
			<-time.After(quota / 10)                                // so that the clients are at different moments when the server stops
		}
		silent := server.dial() // reads everything, answers nothing
		cut := make(chan struct{})
		go func() { // ends with the connection
			defer close(cut)
			_, _ = io.Copy(io.Discard, silent)
		}()
		for n := range 2 {
			server.pause(6 * quota)
			before := pongs.Load()
			require.Eventually(t, func() bool { return pongs.Load() >= before+2*int64(len(clients)) || len(ended) > 0 }, patience, time.Millisecond)
			require.Empty(t, ended, "pause %d: a client that answers pings was cut", n)
		}
		select {
		case <-cut:
		case <-time.After(patience):
			require.FailNow(t, "a silent client was not cut")
		}
		for _, c := range clients {
			c.write(closeFrame())
			require.ErrorIs(t, <-ended, errClosed)
		}
	})
	t.Run("idle", func(t *testing.T) {
		t.Parallel()
		server := startPausable(t, gateway.Quotas{IdleTimeout: 2 * quota})
		c := server.dial()
		require.NoError(t, server.process.Signal(syscall.SIGSTOP))
		<-time.After(quota)
		c.write(wiretest.Frame(wiretest.Text, "while it is stopped"))
		<-time.After(6 * quota)
		require.NoError(t, server.process.Signal(syscall.SIGCONT))
		got, err := c.message()
		require.NoError(t, err)
		require.Equal(t, "while it is stopped", got)
		c.write(wiretest.Frame(wiretest.Text, "again"))
		got, err = c.message()
		require.NoError(t, err)
		require.Equal(t, "again", got)
	})
	t.Run("writes", func(t *testing.T) {
		t.Parallel()
		server := startPausable(t, gateway.Quotas{WriteTimeout: quota})
		c := server.dial()
		const messages, size = 600, 30 << 10 // more than the kernel's buffers hold
		sent := make(chan error, 1)
		go func() { // ends when all is sent, or with the connection
			var err error
			for n := 0; n < messages && err == nil; n++ {
				_, err = c.Write(wiretest.Frame(wiretest.Text, strings.Repeat("x", size)))
			}
			sent <- err
		}()
		<-time.After(quota / 5)
		require.NoError(t, server.process.Signal(syscall.SIGSTOP))
		received := make(chan error, 1)
		go func() { // ends with all messages, or with the connection
			var err error
			for n := 0; n < messages && err == nil; n++ {
				_, err = c.message()
			}
			received <- err
		}()
		<-time.After(6 * quota)
		require.Empty(t, received, "it has taken what the kernel held")
		require.NoError(t, server.process.Signal(syscall.SIGCONT))
		require.NoError(t, <-received)
		require.NoError(t, <-sent)
	})
}
