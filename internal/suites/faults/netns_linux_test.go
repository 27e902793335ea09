package faults_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
)

// prefix begins the names of everything that these tests make in the kernel. The
// process ID follows, so that a later run can find what a killed process has left.
const prefix = "gwf"

// network is two network namespaces with a link between them. The device of the link
// has the same name in both.
type network struct {
	t              *testing.T
	server, client string // namespaces
	device         string
	impair         func(impairment)
}

// impairment is how a link harms packets, in each direction.
type impairment struct {
	lossPercent   int
	delay, jitter int // milliseconds
	reordered     int // percent of packets that overtake others
}

var networks atomic.Int32

// newNetwork makes the namespaces. If that is not possible, it skips the test.
func newNetwork(t *testing.T) *network {
	t.Helper()
	if testing.Short() {
		t.Skip("takes long: run without -short")
	}
	for _, tool := range []string{"ip", "tc"} {
		if _, err := exec.LookPath(tool); err != nil && os.Getenv("GATEWAY_E2E") != "" {
			t.Fatalf("%s is missing, GATEWAY_E2E wants it: apt-get install iproute2", tool)
		} else if err != nil {
			t.Skipf("%s is missing: apt-get install iproute2", tool)
		}
	}
	if os.Geteuid() != 0 {
		t.Skip("only root makes network namespaces")
	}
	sweep(t)
	name := fmt.Sprintf("%s%dn%d", prefix, os.Getpid(), networks.Add(1))
	n := &network{t: t, server: name + "s", client: name + "c", device: "cable"}
	for _, ns := range []string{n.server, n.client} {
		if out, err := exec.Command("ip", "netns", "add", ns).CombinedOutput(); err != nil {
			t.Skipf("the kernel refuses a network namespace: %s", out)
		}
		t.Cleanup(func() { n.run("ip", "netns", "del", ns) })
	}
	n.run("ip", "-n", n.server, "link", "set", "lo", "up")
	return n
}

// sweep deletes the namespaces of processes that no longer run; their devices go with
// them.
func sweep(t *testing.T) {
	t.Helper()
	out, err := exec.Command("ip", "netns", "list").Output()
	if err != nil {
		t.Skipf("no network namespaces: %v", err)
	}
	for line := range strings.Lines(string(out)) {
		var pid, number int
		name, _, _ := strings.Cut(strings.TrimSpace(line), " ")
		if _, err := fmt.Sscanf(name, prefix+"%dn%d", &pid, &number); err != nil {
			continue
		}
		if errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
			_ = exec.Command("ip", "netns", "del", name).Run()
		}
	}
}

// run runs a command, which must succeed.
func (n *network) run(command ...string) {
	n.t.Helper()
	out, err := exec.Command(command[0], command[1:]...).CombinedOutput()
	require.NoError(n.t, err, "%v: %s", command, out)
}

// up gives the devices addresses and brings them up.
func (n *network) up() {
	n.t.Helper()
	for _, end := range []struct{ ns, ip, peer string }{{n.server, serverIP, clientIP}, {n.client, clientIP, serverIP}} {
		n.run("ip", "-n", end.ns, "addr", "add", end.ip, "peer", end.peer, "dev", n.device)
		n.run("ip", "-n", end.ns, "link", "set", n.device, "up")
	}
}

// newVeth links the namespaces with a virtual cable, a veth pair.
func newVeth(t *testing.T) *network {
	t.Helper()
	n := newNetwork(t)
	n.run("ip", "link", "add", n.device, "netns", n.server, "type", "veth", "peer", "name", n.device, "netns", n.client)
	n.up()
	return n
}

// newNetem is newVeth with the kernel's netem, for impairments.
func newNetem(t *testing.T) *network {
	t.Helper()
	n := newVeth(t)
	out, err := exec.Command("tc", "-n", n.server, "qdisc", "add", "dev", "lo", "root", "netem", "delay", "1ms").CombinedOutput()
	if err != nil {
		t.Skipf("the kernel refuses netem: %s", out)
	}
	n.run("tc", "-n", n.server, "qdisc", "del", "dev", "lo", "root")
	n.impair = func(i impairment) {
		for _, ns := range []string{n.server, n.client} {
			command := []string{
				"tc", "-n", ns, "qdisc", "replace", "dev", n.device, "root", "netem", "limit", "100000",
				"loss", fmt.Sprint(i.lossPercent, "%"),
			}
			if i.delay > 0 {
				command = append(command, "delay", fmt.Sprint(i.delay, "ms"), fmt.Sprint(i.jitter, "ms"))
			}
			if i.reordered > 0 {
				command = append(command, "reorder", fmt.Sprint(i.reordered, "%"))
			}
			n.run(command...)
		}
	}
	return n
}

// pull pulls the cable; plug puts it back.
func (n *network) pull() { n.run("ip", "-n", n.client, "link", "set", n.device, "down") }
func (n *network) plug() { n.run("ip", "-n", n.client, "link", "set", n.device, "up") }

// program is this test binary, running as another process in a namespace.
type program struct {
	t     *testing.T
	name  string
	stdin io.WriteCloser
	lines *bufio.Scanner
	wait  func() error
}

// start starts the two programs and waits until they answer.
func (n *network) start(quotas gateway.Quotas) (server, clients *program) {
	n.t.Helper()
	server = n.program(n.server, "server", quotas)
	server.do("report", nil)
	return server, n.program(n.client, "clients", quotas)
}

func (n *network) program(ns, name string, quotas gateway.Quotas) *program {
	t := n.t
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	q, err := json.Marshal(quotas)
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), "ip", "netns", "exec", ns, self)
	cmd.Env = append(os.Environ(), programEnv+"="+name, quotasEnv+"="+string(q))
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	require.NoError(t, err)
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	lines := bufio.NewScanner(stdout)
	lines.Buffer(nil, 1<<20)
	ended := false
	t.Cleanup(func() {
		if !ended { // true only if the test has failed
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
	})
	return &program{t, name, stdin, lines, func() error {
		ended = true
		return cmd.Wait()
	}}
}

// do makes the program run a command, and reads the result.
func (p *program) do(command string, result any) {
	p.t.Helper()
	p.begin(command)
	p.finish(command, result)
}

func (p *program) begin(command string) {
	p.t.Helper()
	_, err := fmt.Fprintln(p.stdin, command)
	require.NoError(p.t, err)
}

func (p *program) finish(command string, result any) {
	p.t.Helper()
	require.True(p.t, p.lines.Scan(), "the program %s has ended: %s", p.name, command)
	if result != nil {
		require.NoError(p.t, json.Unmarshal(p.lines.Bytes(), result))
	}
}

// end ends the program, which must exit with success.
func (p *program) end() {
	p.t.Helper()
	require.NoError(p.t, p.stdin.Close())
	require.False(p.t, p.lines.Scan())
	require.NoError(p.t, p.wait())
}
