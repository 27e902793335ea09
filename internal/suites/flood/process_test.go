package flood_test

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/gateway/internal/suites/wiretest"
)

// clientEnv makes the test binary run as the process of the clients. It holds the
// address of the server, and how many clients read and how many do not.
const clientEnv = "GATEWAY_FLOOD_CLIENTS"

// window is how many messages of a broadcast the readers read before they report it.
const window = 64

// clientProcess is the process of many clients. It is separate, so that the test
// measures only the server's memory.
type clientProcess struct {
	t     *testing.T
	stdin *os.File
	lines *bufio.Scanner
}

func startClients(t *testing.T, addr string, readers, stalled int) *clientProcess {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), clientEnv+"="+fmt.Sprint(addr, " ", readers, " ", stalled))
	cmd.Stderr = os.Stderr
	read, write, err := os.Pipe()
	require.NoError(t, err)
	cmd.Stdin = read
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	require.NoError(t, read.Close())
	t.Cleanup(func() {
		_ = write.Close()
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	p := &clientProcess{t: t, stdin: write, lines: bufio.NewScanner(stdout)}
	p.expect("connected")
	return p
}

func (p *clientProcess) say(word string) {
	p.t.Helper()
	_, err := fmt.Fprintln(p.stdin, word)
	require.NoError(p.t, err)
}

func (p *clientProcess) expect(line string) {
	p.t.Helper()
	require.True(p.t, p.lines.Scan(), "the clients have ended")
	require.Equal(p.t, line, p.lines.Text())
}

// runClients runs in the process of the clients.
func runClients(config string) error {
	var addr string
	var readers, stalled int
	if _, err := fmt.Sscan(config, &addr, &readers, &stalled); err != nil {
		return err
	}
	reading, err := dialMany(addr, "reader", readers, 0)
	if err != nil {
		return err
	}
	stalling, err := dialMany(addr, "stalled", stalled, receiveBuffer)
	if err != nil {
		return err
	}
	lines := make(chan string)
	go readAll(reading, lines) // ends with the process
	go func() {                // likewise
		words := bufio.NewScanner(os.Stdin)
		for words.Scan() { // "read" tells the stalled clients to read
			total, err := drainAll(stalling)
			if err != nil {
				lines <- "error: " + err.Error()
			}
			lines <- fmt.Sprint("read ", total)
		}
		close(lines)
	}()
	fmt.Println("connected") //nolint:forbidigo // the protocol between the two processes
	for line := range lines {
		fmt.Println(line) //nolint:forbidigo // likewise
	}
	return nil
}

// dialMany connects clients, 100 at a time, each from its own address.
func dialMany(addr, name string, n, readBuffer int) ([]*peer, error) {
	peers, errs := make([]*peer, n), make(chan error, n)
	slots := make(chan struct{}, 100)
	for n := range peers {
		slots <- struct{}{}
		go func() {
			p, err := dial(addr, fmt.Sprint(name, n), fmt.Sprintf("127.0.1.%d", 1+n%200), readBuffer)
			peers[n] = p
			errs <- err
			<-slots
		}()
	}
	for range peers {
		if err := <-errs; err != nil {
			return nil, err
		}
	}
	return peers, nil
}

// readAll checks that each reader gets every message in order. It reports each window
// that all readers have read.
func readAll(peers []*peer, lines chan<- string) {
	var windows [1 << 12]atomic.Int32 // how many readers have read each window
	for _, p := range peers {
		go func() {
			for n := 0; ; n++ {
				if err := p.expectNumber(n); err != nil {
					lines <- fmt.Sprintf("error: message %d: %v", n, err)
					return
				}
				if w := (n + 1) / window; (n+1)%window == 0 && int(windows[w].Add(1)) == len(peers) {
					lines <- fmt.Sprint("window ", w)
				}
			}
		}()
	}
}

var errLeft = errors.New("the server closed the connection")

// expectNumber reads a message, which must begin with this number.
func (p *peer) expectNumber(n int) error {
	first, payload, err := p.ReadFrame()
	for last := first; err == nil && last&wiretest.Fin == 0; { // a message in fragments
		last, _, err = p.ReadFrame()
	}
	switch {
	case err != nil:
		return err
	case first == wiretest.Close:
		return errLeft
	case first|wiretest.Fin != wiretest.Text || !strings.HasPrefix(string(payload), fmt.Sprintf("%08d ", n)):
		return fmt.Errorf("got frame %#x %.20q", first, payload)
	}
	return nil
}

// drainAll reads everything that the stalled clients have not read, up to the Close
// frame. It checks that no message is missing, and counts the messages.
func drainAll(peers []*peer) (total int, err error) {
	for _, p := range peers {
		n := 0
		for ; err == nil; n++ {
			err = p.expectNumber(n)
		}
		if !errors.Is(err, errLeft) {
			return 0, fmt.Errorf("message %d: %w", n, err)
		}
		err = p.Send(wiretest.Close, "\x03\xe8")
		total += n - 1
	}
	return total, err
}

// numbered returns message n with size bytes.
func numbered(n, size int) []byte {
	b := fmt.Appendf(make([]byte, 0, size), "%08d ", n)
	for len(b) < size {
		b = append(b, 'x')
	}
	return b
}
