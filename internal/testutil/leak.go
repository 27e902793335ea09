// Package testutil has helpers that the tests of this module share.
package testutil

import (
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"
)

// patience is how long goroutines may take to end after the tests.
const patience = 5 * time.Second

// RunWithLeakCheck runs the tests of a package and returns the exit code, for TestMain.
// If the tests succeed but leave goroutines behind, it prints their stacks and returns 1.
// A Gateway without a logger of its own logs nothing meanwhile, since the tests provoke
// many lines.
func RunWithLeakCheck(m *testing.M) int {
	slog.SetDefault(slog.New(slog.DiscardHandler))
	code := m.Run()
	if code != 0 {
		return code // a test that failed may have left anything
	}
	left := Remaining(patience)
	if len(left) == 0 {
		return 0
	}
	fmt.Fprintf(os.Stderr, "FAIL: %d goroutines remain after the tests:\n\n%s\n", len(left), strings.Join(left, "\n\n"))
	return 1
}

// Remaining returns the stacks of all goroutines, except for the caller's and those of
// the testing package and the runtime. It waits up to within for them to end, and
// returns as soon as there are none.
func Remaining(within time.Duration) []string {
	for deadline := time.Now().Add(within); ; <-time.After(time.Millisecond) {
		left := others()
		if len(left) == 0 || !time.Now().Before(deadline) {
			return left
		}
	}
}

func others() (stacks []string) {
	all := make([]byte, 4<<20)
	all = all[:runtime.Stack(all, true)]
	for n, stack := range strings.Split(strings.TrimSpace(string(all)), "\n\n") {
		if n > 0 && !ours(stack) { // the first stack is the caller's
			stacks = append(stacks, stack)
		}
	}
	return stacks
}

// ours reports whether a stack is of a goroutine that go test itself has started: a test
// that waits for this one, the signal handler of fuzzing, a profile.
func ours(stack string) bool {
	for _, frame := range []string{"testing.(*T).Run(", "testing.(*M).", "testing.tRunner.", "os/signal.", "runtime/pprof.", "runtime/trace."} {
		if strings.Contains(stack, "\n"+frame) {
			return true
		}
	}
	return false
}
