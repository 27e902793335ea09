package main

import (
	"bytes"
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"time"
)

// The contenders.
const (
	ours = "gateway dev"
	peer = "serverless-offline"
)

//go:embed project
var project embed.FS

// contender is a program that runs the project.
type contender struct {
	name, version string
	dir           string   // its copy of the project
	env           []string // in addition to that of this program
	// command returns its command line, for a port and two further ones.
	command func(ports [3]int) []string
	// url finds the address for clients in what it has printed.
	url    func(port int, printed []byte) string
	rounds []figures
}

func (o *options) contender(ctx context.Context, name, dir string) (*contender, error) {
	c := &contender{name: name, dir: filepath.Join(dir, name)}
	if err := copyProject(c.dir); err != nil {
		return nil, err
	}
	switch name {
	case ours:
		return c, o.prepareOurs(ctx, c, dir)
	case peer:
		return c, o.preparePeer(c)
	}
	return nil, fmt.Errorf("unknown contender %q", name)
}

func copyProject(to string) error {
	files, err := fs.Sub(project, "project")
	if err != nil {
		return err
	}
	return os.CopyFS(to, files)
}

func (o *options) prepareOurs(ctx context.Context, c *contender, dir string) error {
	program, err := o.build(ctx, dir)
	if err != nil {
		return err
	}
	address := regexp.MustCompile(`ws://127\.0\.0\.1:\d+/\w+/dev`)
	c.command = func(ports [3]int) []string {
		return []string{program, "dev", "serverless.yml", "--port", strconv.Itoa(ports[0]), "--tls-port", strconv.Itoa(ports[1])}
	}
	c.url = func(_ int, printed []byte) string { return string(address.Find(printed)) }
	return nil
}

func (o *options) preparePeer(c *contender) error {
	modules, err := filepath.Abs(filepath.Join(o.npm, "node_modules"))
	if err != nil {
		return err
	}
	versions := make([]string, 2)
	for n, name := range []string{"serverless", "serverless-offline"} {
		text, err := os.ReadFile(filepath.Join(modules, name, "package.json"))
		var described struct{ Version string }
		if err = errors.Join(err, json.Unmarshal(text, &described)); err != nil {
			return fmt.Errorf("%s is not installed: npm --prefix %s install", name, o.npm)
		}
		versions[n] = described.Version
	}
	c.version = versions[1] + " with serverless " + versions[0]
	c.env = []string{
		"SLS_TELEMETRY_DISABLED=1", "SLS_NOTIFICATIONS_MODE=off",
		"AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test", // it wants some, and uses none
	}
	c.command = func(ports [3]int) []string {
		return []string{
			"node", filepath.Join(modules, "serverless", "bin", "serverless.js"), "offline", "start", "--host", "127.0.0.1",
			"--websocketPort", strconv.Itoa(ports[0]), "--httpPort", strconv.Itoa(ports[1]), "--lambdaPort", strconv.Itoa(ports[2]),
		}
	}
	c.url = func(port int, _ []byte) string { return fmt.Sprintf("ws://127.0.0.1:%d", port) }
	return os.Symlink(modules, filepath.Join(c.dir, "node_modules"))
}

// patience is how long a start may take.
const patience = time.Minute

// running is a contender that runs.
type running struct {
	cmd     *exec.Cmd
	printed string // the file with what it prints; not in the project, which is watched
	url     string
	ready   time.Duration // from its start until it accepted a connection
	exited  chan struct{}
}

// start starts a contender, and waits until it accepts a connection.
func (c *contender) start(ctx context.Context) (*running, error) {
	ports, err := freePorts(ctx)
	if err != nil {
		return nil, err
	}
	args := c.command(ports)
	r := &running{cmd: exec.CommandContext(ctx, args[0], args[1:]...), printed: c.dir + ".printed", exited: make(chan struct{})}
	out, err := os.Create(r.printed)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	r.cmd.Dir, r.cmd.Env, r.cmd.Stdout, r.cmd.Stderr = c.dir, append(os.Environ(), c.env...), out, out
	began := time.Now()
	if err := r.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = r.cmd.Wait() // the process says how it ended, if somebody asks
		close(r.exited)
	}()
	if err := r.accepts(ctx, ports[0]); err != nil {
		r.stop()
		return nil, fmt.Errorf("%w\n%s", err, r.output())
	}
	r.ready = time.Since(began)
	if err := r.findURL(c, ports[0]); err != nil {
		r.stop()
		return nil, err
	}
	return r, nil
}

// findURL waits until the address is printed, which may be after the port is open.
func (r *running) findURL(c *contender, port int) error {
	for late := time.After(patience); ; {
		if r.url = c.url(port, r.output()); r.url != "" {
			return nil
		}
		select {
		case <-late:
			return fmt.Errorf("it prints no address:\n%s", r.output())
		case <-time.After(time.Millisecond):
		}
	}
}

func (r *running) output() []byte {
	text, _ := os.ReadFile(r.printed) // without it there is nothing to show
	return bytes.TrimSpace(text)
}

// accepts waits until the port accepts a connection.
func (r *running) accepts(ctx context.Context, port int) error {
	for late := time.After(patience); ; {
		nc, err := (&net.Dialer{}).DialContext(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err == nil {
			return nc.Close()
		}
		select {
		case <-r.exited:
			return fmt.Errorf("it has ended: %s", r.cmd.ProcessState)
		case <-late:
			return err
		case <-time.After(time.Millisecond):
		}
	}
}

// stop ends the contender, gently if that helps.
func (r *running) stop() {
	_ = r.cmd.Process.Signal(os.Interrupt)
	select {
	case <-r.exited:
	case <-time.After(10 * time.Second):
		_ = r.cmd.Process.Kill()
		<-r.exited
	}
}

// freePorts returns ports that nobody uses at the moment.
func freePorts(ctx context.Context) (ports [3]int, err error) {
	for n := range ports {
		l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
		if err != nil {
			return ports, err
		}
		defer l.Close()
		ports[n] = l.Addr().(*net.TCPAddr).Port
	}
	return ports, nil
}
