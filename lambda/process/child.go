package process

import (
	"bytes"
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"example.com/gateway/lambda"
)

// process is a process of a function. It handles one event at a time. The lock of the
// Function guards all fields below the empty line.
type process struct {
	fn     *Function
	code   *code
	api    *runtimeAPI
	cmd    *exec.Cmd
	warden *warden // nil: it leads its group itself
	output *output
	events chan *invocation // of one
	gone   chan struct{}    // closed when it has ended

	starting bool        // it has not asked for an event yet
	current  *invocation // nil: it is free
	ended    bool        // its ID may be that of another process now
	retired  bool        // it was killed because it is not needed any more
	failure  *lambda.FunctionError
	began    time.Time
	// startTook is the time until it asked for its first event.
	startTook time.Duration
	// freeUntil is when it ends if it gets no event.
	freeUntil time.Time
	// timer bounds the start, then each event, and then the time without one.
	timer *time.Timer
}

// spawn starts a process.
func (f *Function) spawn(ctx context.Context, code *code, command []string) (*process, error) {
	p := &process{
		fn: f, code: code, starting: true, began: time.Now(),
		events: make(chan *invocation, 1), gone: make(chan struct{}),
	}
	api, listener, err := listen(p)
	if err != nil {
		return nil, err
	}
	p.api = api
	p.warden = f.newWarden(ctx)
	if err := p.run(ctx, listener, command); err != nil {
		_ = listener.Close()
		p.warden.end()
		return nil, err
	}
	return p, nil
}

// run starts the program of a process, and what serves it.
func (p *process) run(ctx context.Context, listener net.Listener, command []string) error {
	f := p.fn
	read, write, err := os.Pipe()
	if err != nil {
		return err
	}
	defer write.Close()
	p.output = newOutput(f.cfg, read)
	p.cmd = exec.Command(command[0], command[1:]...) //nolint:noctx // it outlives every context: retire ends it
	p.cmd.Dir = f.cfg.Dir
	p.cmd.Env = environment(f.cfg, p.api.address, p.began)
	if script := p.code.runtime.script; len(script) > 0 {
		p.cmd.Stdin = bytes.NewReader(script)
	}
	p.cmd.Stdout, p.cmd.Stderr = write, write
	ownGroup(p.cmd, p.warden.group())
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		_ = read.Close()
		return errClosed
	}
	if err := p.cmd.Start(); err != nil {
		_ = read.Close()
		return startError(command[0], err)
	}
	f.all[p] = struct{}{}
	p.timer = time.AfterFunc(f.startup, p.timeOut)
	f.running.Go(func() { p.output.read(ctx) })
	f.running.Go(func() { p.api.serve(listener) })
	return nil
}

// startError says in one line why a program did not start.
func startError(program string, err error) error {
	if os.IsNotExist(err) {
		return &os.PathError{Op: "start", Path: program, Err: os.ErrNotExist}
	}
	return err
}

// wait waits until the process has ended. It returns how, and the last lines that it
// printed. Its children are killed.
func (p *process) wait() (state string, tail []string) {
	_ = p.cmd.Wait() // the state says it all
	if p.warden == nil {
		_ = killGroup(p.cmd.Process.Pid)
	}
	p.warden.end()
	return p.cmd.ProcessState.String(), p.output.finish()
}

// assign gives an event to a free process. The caller holds the lock.
func (p *process) assign(inv *invocation, now time.Time) {
	inv.deadline = now.Add(p.fn.cfg.Timeout)
	p.current = inv
	p.timer.Reset(p.fn.cfg.Timeout)
	p.events <- inv
}

// timeOut ends a process that took too long: to start, for its event, or without one.
func (p *process) timeOut() {
	f := p.fn
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case p.starting && p.failure != nil: // it has reported why, but does not end
	case p.starting:
		p.failure = f.timeoutError("", "Init phase", f.startup)
	case p.current == nil:
		n := slices.Index(f.free, p)
		if n < 0 || time.Now().Before(p.freeUntil) {
			return // as below
		}
		f.free = slices.Delete(f.free, n, n+1)
	case time.Now().Before(p.current.deadline):
		return // it has got an event just now, and its timer is set again
	case !p.current.answered:
		p.failure = f.timeoutError(p.current.id, "Task", f.cfg.Timeout)
	}
	p.retire()
}

// retire kills a process and its children. The caller holds the lock.
func (p *process) retire() {
	p.retired = true
	if p.ended {
		return
	}
	_ = killGroup(p.cmd.Process.Pid) // it may lead a group of its own
	if p.warden != nil {
		_ = killGroup(p.warden.group())
		_ = p.cmd.Process.Kill() // it may have left the group
	}
}

// name is the name of the program, for a comparison of versions.
func (p *process) name() string { return filepath.Base(p.cmd.Path) }

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}
