package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"

	"example.com/gateway/benchmarks/host"
)

// ProcessEnv makes this program run as a server process. It holds the name of the
// variant.
const ProcessEnv = "GATEWAY_BENCHMARK_SERVER"

// Process is a server process, seen from the benchmark. One goroutine may use it at a
// time.
type Process struct {
	Variant
	Addresses []string
	cmd       *exec.Cmd
	commands  io.WriteCloser
	reports   *json.Decoder
}

// Start runs a variant in a new process on this core, or on any core if it is
// negative.
func Start(ctx context.Context, v Variant, core int) (*Process, error) {
	cmd := exec.CommandContext(ctx, os.Args[0])
	cmd.Env = append(os.Environ(), ProcessEnv+"="+v.Name)
	if core >= 0 {
		cmd.Env = append(cmd.Env, "GOMAXPROCS=1")
	}
	cmd.Stderr = os.Stderr
	commands, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := host.StartPinned(cmd, core); err != nil {
		return nil, err
	}
	p := &Process{Variant: v, cmd: cmd, commands: commands, reports: json.NewDecoder(out)}
	r, err := p.report()
	if err != nil {
		p.Stop()
		return nil, err
	}
	p.Addresses = r.Addresses
	return p, nil
}

// Stop ends the process.
func (p *Process) Stop() {
	_ = p.commands.Close()
	_ = p.cmd.Process.Kill() // its clients have left
	_ = p.cmd.Wait()
}

// Usage returns what the process has used so far.
func (p *Process) Usage() (Report, error) { return p.ask(command{Op: opUsage}) }

// Memory collects garbage and returns how much memory is left in use.
func (p *Process) Memory() (*Memory, error) {
	r, err := p.ask(command{Op: opMemory})
	if err == nil && r.Memory == nil {
		err = errors.New("the server reported no memory")
	}
	return r.Memory, err
}

// Broadcast sends a message to clients. It returns when the variant says that it is
// sending.
func (p *Process) Broadcast(to Audience, message string) error {
	_, err := p.ask(command{Op: opBroadcast, To: to, Message: message})
	return err
}

// Rejoin makes each connection leave the group and join it, again and again for d.
func (p *Process) Rejoin(d time.Duration) (*Changes, error) {
	r, err := p.ask(command{Op: opRejoin, For: d})
	if err == nil && r.Changes == nil {
		err = errors.New("the server reported no changes")
	}
	return r.Changes, err
}

// Flood makes the server post a message to each of the connections, again and again.
func (p *Process) Flood(ids []string, message string) error {
	_, err := p.ask(command{Op: opFlood, IDs: ids, Message: message})
	return err
}

// Dry ends a flood.
func (p *Process) Dry() error {
	_, err := p.ask(command{Op: opDry})
	return err
}

// Profile starts to write a CPU profile to a file; Profiled ends it.
func (p *Process) Profile(path string) error {
	_, err := p.ask(command{Op: opProfile, Path: path})
	return err
}

// Profiled ends a CPU profile.
func (p *Process) Profiled() error {
	_, err := p.ask(command{Op: opProfiled})
	return err
}

// Heap writes a profile of the heap to a file.
func (p *Process) Heap(path string) error {
	_, err := p.ask(command{Op: opHeap, Path: path})
	return err
}

func (p *Process) ask(c command) (Report, error) {
	if err := json.NewEncoder(p.commands).Encode(c); err != nil {
		return Report{}, err
	}
	return p.report()
}

func (p *Process) report() (Report, error) {
	var r Report
	if err := p.reports.Decode(&r); err != nil {
		return r, fmt.Errorf("server %s: %w", p.Name, err)
	}
	if r.Error != "" {
		return r, fmt.Errorf("server %s: %s", p.Name, r.Error)
	}
	return r, nil
}
