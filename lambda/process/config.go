package process

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"example.com/gateway/internal/nearest"
)

// ErrConfig is in every error of [New]. [exec.ErrNotFound] is as well if a program is
// missing: the interpreter, or that of Config.Command.
var ErrConfig = errors.New("process: invalid configuration")

const (
	defaultTimeout     = 3 * time.Second
	defaultMemoryMB    = 128
	defaultConcurrency = 8
)

func invalid(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrConfig}, args...)...)
}

// complete returns c with its defaults, and how to run the function.
func complete(c Config) (Config, runtime, error) {
	if !supported {
		return c, runtime{}, invalid("functions run as processes on Linux and macOS only")
	}
	if c.Dir == "" {
		return c, runtime{}, invalid("Dir is empty: set it to the folder with the function's code")
	}
	dir, err := filepath.Abs(c.Dir)
	if err != nil {
		return c, runtime{}, invalid("Dir: %w", err)
	}
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return c, runtime{}, invalid("Dir %s is not a folder: set it to the folder with the function's code", dir)
	}
	c.Dir = dir
	c.Name = cmp.Or(c.Name, filepath.Base(dir))
	c.ARN = cmp.Or(c.ARN, "arn:aws:lambda:us-east-1:123456789012:function:"+c.Name)
	switch {
	case c.Timeout < 0:
		return c, runtime{}, invalid("function %q: the Timeout %v is negative", c.Name, c.Timeout)
	case c.MemoryMB < 0:
		return c, runtime{}, invalid("function %q: MemoryMB %d is negative", c.Name, c.MemoryMB)
	case c.Concurrency < 0:
		return c, runtime{}, invalid("function %q: the Concurrency %d is negative", c.Name, c.Concurrency)
	}
	for _, v := range c.Env {
		if name, _, ok := strings.Cut(v, "="); !ok || name == "" || strings.ContainsRune(v, 0) {
			return c, runtime{}, invalid("function %q: a variable in Env is not NAME=value: %q", c.Name, name)
		}
	}
	c.Timeout = cmp.Or(c.Timeout, defaultTimeout)
	c.MemoryMB = cmp.Or(c.MemoryMB, defaultMemoryMB)
	c.Concurrency = cmp.Or(c.Concurrency, defaultConcurrency)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	r, err := runtimeOf(c)
	return c, r, err
}

// runtime says how to start the processes of a function.
type runtime struct {
	command []string // empty: the executable is looked for, or built, when a process starts
	others  []string // interpreters that may take the place of the one in command
	script  []byte   // what command reads from its standard input
	version string   // what the runtime's name says: "20", "3.12"; "": not known
}

// runtimeOf finds the interpreter of a function.
func runtimeOf(c Config) (runtime, error) {
	if len(c.Command) > 0 {
		if err := isExecutable(c.Dir, c.Command[0]); err != nil {
			return runtime{}, invalid("function %q: Command: %w", c.Name, err)
		}
		return runtime{command: c.Command}, nil
	}
	if right := nearest.Runtime(c.Runtime); right != "" {
		return runtime{}, invalid("function %q: there is no runtime %q: write %s", c.Name, c.Runtime, right)
	}
	if version, ok := strings.CutPrefix(c.Runtime, "nodejs"); ok {
		version = strings.TrimSuffix(version, ".x")
		return interpreted(c, runtime{script: nodeBootstrap, version: version}, "node", []string{"--input-type=module", "-"}, "node")
	}
	if version, ok := strings.CutPrefix(c.Runtime, "python"); ok {
		return interpreted(c, runtime{script: pythonBootstrap, version: version}, "python3", []string{"-u", "-B", "-"}, "python"+version, "python3", "python")
	}
	switch {
	case c.Runtime == "go1.x" && c.Handler == "":
		return runtime{}, invalid("function %q: the Handler is empty: for the runtime go1.x it is the name of the executable file", c.Name)
	case c.Runtime == "go1.x", c.Runtime == "provided", strings.HasPrefix(c.Runtime, "provided."):
		return runtime{}, nil
	case c.Runtime == "":
		return runtime{}, invalid("function %q has neither a Runtime nor a Command: set Runtime to one like nodejs20.x, python3.12 or provided.al2023", c.Name)
	}
	return runtime{}, invalid("function %q: there is no bootstrap for the runtime %q, only for nodejs*, python*, provided.* and go1.x: set Command to a program that speaks the Lambda runtime API", c.Name, c.Runtime)
}

// interpreted completes the runtime of a function that an interpreter runs: one of the
// names that is on the PATH, the first ones first.
func interpreted(c Config, r runtime, program string, args []string, names ...string) (runtime, error) {
	if dot := strings.IndexByte(c.Handler, '.'); dot < 0 || strings.HasSuffix(c.Handler, ".") {
		return r, invalid("function %q: the Handler %q is not FILE.FUNCTION, such as index.handler", c.Name, c.Handler)
	}
	for _, name := range names {
		path, err := exec.LookPath(name)
		switch {
		case err != nil:
		case r.command == nil:
			r.command = append([]string{path}, args...)
		default:
			r.others = append(r.others, path)
		}
	}
	if r.command == nil {
		return r, invalid("function %q: the runtime %s needs %s, which is not on the PATH%w: install it, or set Command", c.Name, c.Runtime, program, notFoundError{})
	}
	return r, nil
}

// choose returns the command of r with the first interpreter that runs: version managers
// put programs on the PATH that fail unless their version is installed and chosen.
func (r runtime) choose(ctx context.Context) []string {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	paths := append(r.command[:1:1], r.others...)
	for n, path := range paths {
		if n == len(paths)-1 || exec.CommandContext(ctx, path, "--version").Run() == nil {
			return append([]string{path}, r.command[1:]...)
		}
	}
	return nil
}

// notFoundError is exec.ErrNotFound without a text.
type notFoundError struct{}

// Error implements error.
func (notFoundError) Error() string { return "" }

// Unwrap returns what it is.
func (notFoundError) Unwrap() error { return exec.ErrNotFound }

// isExecutable checks that a program is there, on the PATH or relative to a folder.
func isExecutable(dir, program string) error {
	if !strings.ContainsRune(program, filepath.Separator) {
		if _, err := exec.LookPath(program); err != nil {
			return fmt.Errorf("%s is not on the PATH%w", program, notFoundError{})
		}
		return nil
	}
	path := program
	if !filepath.IsAbs(path) {
		path = filepath.Join(dir, path)
	}
	if info, err := os.Stat(path); err != nil || info.IsDir() || info.Mode()&0o111 == 0 {
		return fmt.Errorf("%s is not an executable file", path)
	}
	return nil
}
