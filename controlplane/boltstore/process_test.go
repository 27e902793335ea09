//go:build linux

package boltstore

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"example.com/gateway/internal/testutil"
)

// acts is what the test program does when it runs itself again as another process.
var acts = map[string]func(file string) error{"write": writeForever, "hold": hold, "full": fillDisk}

// start runs the test program as another process. Its output can be read line by line.
func start(t *testing.T, act, file string) (*exec.Cmd, *bufio.Reader, io.Closer) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, os.Args[0], file)
	cmd.Env = append(os.Environ(), actEnv+"="+act)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	return cmd, bufio.NewReader(out), in
}

// step is the nth change of a long sequence, which is the same in each process. It has
// every kind of change: new keys, replaced values of several sizes, deletes by prefix.
func step(n int, w Writer) error {
	random := rand.New(rand.NewPCG(7, uint64(n)))
	for range 1 + random.IntN(5) {
		key := fmt.Sprintf("apis/%d/routes/%d", random.IntN(5), random.IntN(40))
		if err := w.Put(key, []byte(strings.Repeat(strconv.Itoa(n)+",", 1+random.IntN(300)))); err != nil {
			return err
		}
	}
	if random.IntN(10) == 0 {
		if err := w.Delete(fmt.Sprintf("apis/%d", random.IntN(5))); err != nil {
			return err
		}
	}
	return w.Put("count", []byte(strconv.Itoa(n)))
}

// writeForever does the steps that come after those in the file, up to a thousand. It
// prints the number of each step that is done.
func writeForever(file string) error {
	s, err := Open(file)
	if err != nil {
		return err
	}
	first := 0
	if err := s.View(func(r Reader) error {
		value, err := r.Get("count")
		first, _ = strconv.Atoi(string(value))
		return err
	}); err != nil {
		return err
	}
	for n := first + 1; n <= first+1000; n++ {
		if err := s.Update(func(w Writer) error { return step(n, w) }); err != nil {
			return err
		}
		fmt.Fprintln(os.Stdout, n)
	}
	return s.Close()
}

// model is a Writer in memory, without a clever thought.
type model map[string]string

func (m model) Get(key string) ([]byte, error) { return []byte(m[key]), nil }
func (m model) List(string, string, int) ([]string, [][]byte, error) {
	return nil, nil, errors.ErrUnsupported
}
func (m model) Put(key string, value []byte) error { m[key] = string(value); return nil }
func (m model) Delete(prefix string) error {
	for key := range m {
		if key == prefix || strings.HasPrefix(key, prefix+"/") {
			delete(m, key)
		}
	}
	return nil
}

// A process that is killed at any moment while it writes leaves the state after one of its
// updates: the last one that it was told is done, or a later one.
func TestStore_Killed(t *testing.T) {
	t.Parallel()
	rounds := 6
	if testutil.Long() {
		rounds = 100
	}
	file := newFile(t)
	state, done := model{}, 0
	for round := range rounds {
		cmd, out, in := start(t, "write", file)
		told := done
		for range rand.IntN(1000 / 20) { // so that most rounds are killed in the middle
			line, err := out.ReadString('\n')
			require.NoError(t, err)
			told, err = strconv.Atoi(strings.TrimSpace(line))
			require.NoError(t, err)
		}
		require.NoError(t, cmd.Process.Kill())
		for { // what was printed before the end
			line, err := out.ReadString('\n')
			if err != nil {
				break
			}
			told, err = strconv.Atoi(strings.TrimSpace(line))
			require.NoError(t, err)
		}
		_ = cmd.Wait()
		_ = in.Close()

		s, err := Open(file)
		require.NoError(t, err, "round %d", round)
		got := model{}
		require.NoError(t, s.View(func(r Reader) error {
			keys, values, err := r.List("", "", 0)
			for n := range keys {
				got[keys[n]] = string(values[n])
			}
			return err
		}))
		require.NoError(t, s.Close())
		count, _ := strconv.Atoi(got["count"])
		require.GreaterOrEqual(t, count, told, "round %d: an update that had returned is lost", round)
		for ; done < count; done++ {
			require.NoError(t, step(done+1, state))
		}
		require.Equal(t, state, got, "round %d: not the state after %d updates", round, count)
	}
	t.Logf("killed %d times, %d updates", rounds, done)
}

// hold opens the file, and keeps it until its input ends.
func hold(file string) error {
	s, err := Open(file)
	if err != nil {
		return err
	}
	if err := s.Update(put("apis/a", "theirs")); err != nil {
		return err
	}
	fmt.Fprintln(os.Stdout, "open")
	_, _ = io.Copy(io.Discard, os.Stdin)
	return s.Close()
}

func TestOpen_TwoProcesses(t *testing.T) {
	t.Parallel()
	file := newFile(t)
	cmd, out, in := start(t, "hold", file)
	_, err := out.ReadString('\n')
	require.NoError(t, err)
	_, err = Open(file)
	require.ErrorIs(t, err, ErrInUse)
	require.ErrorContains(t, err, fmt.Sprintf("in use by process %d: stop that process, or use another file", cmd.Process.Pid))
	require.FileExists(t, file+".pid", "a refused Open leaves the note of the other process")
	require.NoError(t, in.Close())
	require.NoError(t, cmd.Wait())
	require.Equal(t, "theirs", get(t, open(t, file), "apis/a"))
}

// fillDisk writes until the file has reached the limit of this process. Then it takes the
// limit away and goes on.
func fillDisk(file string) error {
	signal.Ignore(syscall.SIGXFSZ)
	s, err := Open(file)
	if err != nil {
		return err
	}
	var before syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &before); err != nil {
		return err
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: 256 << 10, Max: before.Max}); err != nil {
		return err
	}
	n := 0
	for err == nil {
		n++
		err = s.Update(put(fmt.Sprintf("apis/%04d", n), strings.Repeat("x", 10_000)))
	}
	fmt.Fprintln(os.Stdout, err)
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &before); err != nil {
		return err
	}
	count := func() (count int, err error) {
		err = s.View(func(r Reader) error {
			keys, _, err := r.List("", "", 0)
			count = len(keys)
			return err
		})
		return count, err
	}
	left, err := count()
	if err != nil || left != n-1 {
		return fmt.Errorf("%d documents are there after %d updates, the last of which failed: %w", left, n, err)
	}
	if err := s.Update(put("apis/more", "x")); err != nil {
		return err
	}
	return s.Close()
}

func TestStore_DiskFull(t *testing.T) {
	t.Parallel()
	file := newFile(t)
	cmd, out, _ := start(t, "full", file)
	line, err := out.ReadString('\n')
	require.NoError(t, err)
	require.NoError(t, cmd.Wait())
	require.Contains(t, line, file)
	require.Contains(t, line, "file too large: nothing was changed: make room on the disk, and try again")
	require.Equal(t, "x", get(t, open(t, file), "apis/more"))
}

func TestOpen_ReadOnly(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	for dir := folder; dir != filepath.Dir(os.TempDir()) && dir != os.TempDir(); dir = filepath.Dir(dir) {
		require.NoError(t, os.Chmod(dir, 0o755)) // others may read
	}
	file := filepath.Join(folder, "gateway.db")
	require.NoError(t, os.Chmod(folder, 0o555))
	asNobody(t, func() {
		_, err := Open(file)
		require.ErrorIs(t, err, os.ErrPermission)
		require.ErrorContains(t, err, file)
		require.ErrorContains(t, err, "let the user of this process write to the file and its folder")
	})
	require.NoError(t, os.Chmod(folder, 0o755))
	fill(t, file)
	require.NoError(t, os.Chmod(file, 0o444))
	asNobody(t, func() {
		_, err := Open(file)
		require.ErrorContains(t, err, "let the user of this process write to the file and its folder")
	})
}

// asNobody runs fn as a user without rights, who may not write where the mode of a file or
// folder says so. Only root ignores modes: if the test runs as root, fn runs on a thread that
// opens files as another user.
func asNobody(t *testing.T, fn func()) {
	t.Helper()
	if os.Getuid() != 0 {
		fn()
		return
	}
	runtime.LockOSThread() // only this thread is another user
	defer runtime.UnlockOSThread()
	require.NoError(t, unix.Setfsuid(65534))
	defer func() { require.NoError(t, unix.Setfsuid(0)) }()
	fn()
}
