package process

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
)

// code is one state of the files under Dir. After a change there is a new one.
type code struct {
	cfg     Config
	runtime runtime

	once    sync.Once // guards finding, and building, what follows
	command []string
	built   string // a folder to remove
	err     error

	// These are guarded by the lock of the Function.
	warned bool // the version of the interpreter was compared
	told   bool // the log says that it does not start
}

// prepare returns the command that runs the function. The first call may build it.
func (c *code) prepare(ctx context.Context) ([]string, error) {
	c.once.Do(func() {
		switch {
		case len(c.runtime.command) == 0:
			c.command, c.err = c.executable(ctx)
		case len(c.runtime.others) == 0:
			c.command = c.runtime.command
		default:
			c.command = c.runtime.choose(ctx)
		}
	})
	return c.command, c.err
}

var errReplaced = errors.New("the code has changed")

// remove removes what prepare made.
func (c *code) remove() {
	c.once.Do(func() { c.err = errReplaced })
	if c.built != "" {
		_ = os.RemoveAll(c.built)
	}
}

// executable finds the executable file of a function without an interpreter, or builds
// it.
func (c *code) executable(ctx context.Context) ([]string, error) {
	name := "bootstrap"
	if c.cfg.Runtime == "go1.x" {
		name = c.cfg.Handler
	}
	path := filepath.Join(c.cfg.Dir, name)
	if isExecutable(c.cfg.Dir, path) == nil {
		return []string{path}, nil
	}
	if hasGo(path) {
		return c.build(ctx, path)
	}
	if hasGo(c.cfg.Dir) {
		return c.build(ctx, c.cfg.Dir)
	}
	return nil, fmt.Errorf("%s is not an executable file, and %s has no Go program to build", path, c.cfg.Dir)
}

func hasGo(dir string) bool {
	files, _ := filepath.Glob(filepath.Join(dir, "*.go"))
	return len(files) > 0
}

// building has room for one build at a time: Go's cache then has for the others what the
// first has compiled.
var building = make(chan struct{}, 1) //nolint:gochecknoglobals // the machine and the cache are one

// build builds the Go program in a folder.
func (c *code) build(ctx context.Context, dir string) ([]string, error) {
	select {
	case building <- struct{}{}:
		defer func() { <-building }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	program, err := exec.LookPath("go")
	if err != nil {
		return nil, fmt.Errorf("%s is a Go program, but go is not on the PATH: install it, or build the program", dir)
	}
	if c.built, err = os.MkdirTemp("", "gateway-function-"); err != nil {
		return nil, err
	}
	target := filepath.Join(c.built, "bootstrap")
	cmd := exec.CommandContext(ctx, program, "build", "-buildvcs=false", "-o", target, ".")
	cmd.Dir = dir
	ownGroup(cmd, 0)
	cmd.Cancel = func() error { return killGroup(cmd.Process.Pid) }
	output, err := cmd.CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("go build in %s: %w: %s", dir, err, firstLines(output))
	}
	return []string{target}, nil
}

// firstLines shortens the messages of a compiler.
func firstLines(text []byte) string {
	const most = 10
	lines := strings.Split(string(bytes.TrimSpace(text)), "\n")
	if len(lines) > most {
		lines = append(lines[:most], fmt.Sprintf("and %d more lines", len(lines)-most))
	}
	return strings.Join(lines, "; ")
}
