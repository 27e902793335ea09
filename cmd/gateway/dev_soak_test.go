//go:build linux

package main

import (
	"context"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway/internal/testutil"
	"example.com/gateway/internal/wsconn"
)

// While clients connect, send messages and leave, and while the definition and the code of
// the function change again and again, nothing grows: no goroutine, process, file, descriptor
// or memory stays behind. Each message is answered.
func TestDev_Soak(t *testing.T) {
	t.Parallel()
	clients, first, then := 20, time.Second, 3*time.Second
	if testutil.Long() {
		clients, first, then = 200, 15*time.Second, time.Minute
	}
	temporary := t.TempDir()
	file := project(t, soaked("one"))
	p := runDev(t, []string{"TMPDIR=" + temporary}, file)
	s := &soak{t: t, p: p, file: file, url: p.url(), temporary: temporary, clients: clients}
	s.run(first)
	before := s.settled(func(footprint) bool { return true })
	s.run(then)
	after := s.settled(func(f footprint) bool { return f.notAbove(before) })
	t.Logf("%d connections, %d messages, %d reloads of the definition and %d of the code", s.connections.Load(), s.messages.Load(), s.reloads, s.changes)
	t.Logf("%v after %v, %v after %v", before, first, after, first+then)
	require.True(t, after.notAbove(before), "%v was %v", after, before)

	// The program prints its goroutines when it is ended in this way.
	fresh := runDev(t, nil, file)
	dial(t, fresh.url(), wsconn.DialOptions{}).c.CloseNow()
	fresh.await(`\$disconnect +200`)
	const each = 15 // of a process of a function, at most
	require.LessOrEqual(t, goroutines(t, p), goroutines(t, fresh)+each*after.processes, "as many as after one connection")
}

type soak struct {
	t                    *testing.T
	p                    *program
	file, url, temporary string
	clients              int

	connections, messages atomic.Int64
	reloads, changes      int
}

// run lets clients come and go, and changes the files.
func (s *soak) run(d time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	errs := make(chan error, s.clients)
	var running sync.WaitGroup
	for range s.clients {
		running.Go(func() {
			for ctx.Err() == nil {
				if err := s.visit(); err != nil {
					errs <- err
					return
				}
				pause(ctx, time.Duration(1000+rand.IntN(1000))*time.Millisecond)
			}
		})
	}
	const between = 800 * time.Millisecond
	for pause(ctx, between); ctx.Err() == nil; pause(ctx, between) {
		s.change()
	}
	running.Wait()
	close(errs)
	require.NoError(s.t, <-errs)
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// visit is one connection with some messages.
func (s *soak) visit() error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*patience) // of five events, while others start processes
	defer cancel()
	c, _, err := wsconn.Dial(ctx, s.url, wsconn.DialOptions{}) //nolint:bodyclose // a 101 has no body
	if err != nil {
		return err
	}
	defer c.CloseNow()
	s.connections.Add(1)
	for range 3 {
		if err := c.Write(ctx, []byte(`{"action":"version"}`), true); err != nil {
			return err
		}
		answer, _, err := c.Read(ctx)
		if err != nil {
			return err
		}
		if !strings.HasPrefix(string(answer), "one") {
			return fmt.Errorf("the answer is %q", answer)
		}
		s.messages.Add(1)
	}
	return nil
}

// soaked is the template, with time for functions that a busy machine starts slowly.
func soaked(version string) string {
	return strings.NewReplacer("Default: one", "Default: "+version, "Timeout: 10", "Timeout: 60").Replace(template())
}

// change changes the definition or the code, and waits until the program has seen it. Before, a
// process has to answer with the code that changes, however long that takes: changes that come
// faster than a process starts would leave events without one.
func (s *soak) change() {
	require.NoError(s.t, s.visit())
	n := s.p.printed()
	if s.reloads <= s.changes {
		s.reloads++
		require.NoError(s.t, os.WriteFile(s.file, []byte(soaked("one"+strconv.Itoa(s.reloads))), 0o600))
		s.p.awaitAfter(n, `  reloaded `)
		return
	}
	s.changes++
	require.NoError(s.t, os.WriteFile(filepath.Join(filepath.Dir(s.file), "src", "version"), []byte(strconv.Itoa(s.changes)), 0o600))
	s.p.awaitAfter(n, `function code changed`)
}

// footprint is what a program occupies.
type footprint struct{ processes, descriptors, files, megabytes int }

// notAbove allows what may differ by chance: processes that the load has started, with their
// pipes and connections, and garbage.
func (f footprint) notAbove(before footprint) bool {
	const processes, each = 16, 4
	return f.processes <= before.processes+processes && f.descriptors <= before.descriptors+processes*each &&
		f.files <= before.files+4 && f.megabytes <= before.megabytes*3/2+16
}

// settled returns the footprint when all clients have left and it is as wanted, or the last
// one.
func (s *soak) settled(wanted func(footprint) bool) (f footprint) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for pause(ctx, time.Second); ctx.Err() == nil; pause(ctx, 100*time.Millisecond) {
		done := s.allLeft() // an event that waits still may start a process
		if f = s.footprint(); done && wanted(f) {
			break
		}
	}
	return f
}

// allLeft reports whether $disconnect of each connection has run.
func (s *soak) allLeft() bool {
	ran := regexp.MustCompile(`\$disconnect +\d`).FindAllStringIndex(s.p.text(), -1)
	return int64(len(ran)) >= s.connections.Load()
}

func (s *soak) footprint() (f footprint) {
	proc := fmt.Sprintf("/proc/%d/", s.p.cmd.Process.Pid)
	descriptors, err := os.ReadDir(proc + "fd")
	require.NoError(s.t, err)
	f.descriptors = len(descriptors)
	status, err := os.ReadFile(proc + "status")
	require.NoError(s.t, err)
	resident := regexp.MustCompile(`VmRSS:\s+(\d+) kB`).FindSubmatch(status)
	require.NotNil(s.t, resident)
	kilobytes, err := strconv.Atoi(string(resident[1]))
	require.NoError(s.t, err)
	f.megabytes = kilobytes / 1024
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	require.NoError(s.t, err)
	parent := regexp.MustCompile(fmt.Sprintf(`\) \S %d `, s.p.cmd.Process.Pid))
	for _, name := range stats {
		if text, err := os.ReadFile(name); err == nil && parent.Match(text) {
			f.processes++
		}
	}
	require.NoError(s.t, filepath.WalkDir(s.temporary, func(string, fs.DirEntry, error) error {
		f.files++
		return nil
	}))
	return f
}

// goroutines ends a program, and returns how many goroutines it had.
func goroutines(t *testing.T, p *program) (n int) {
	t.Helper()
	printed := p.printed()
	require.NoError(t, p.cmd.Process.Signal(syscall.SIGQUIT))
	p.exit()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, line := range p.lines[printed:] {
		if strings.HasPrefix(line, "goroutine ") {
			n++
		}
	}
	require.Positive(t, n)
	return n
}
