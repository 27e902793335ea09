package gatewaytest

import (
	"io"
	"log/slog"
	"sync"
	"testing"
)

// Logger returns a logger that writes to the log of the test, as t.Log does. It leaves
// out what is below level, and everything after the test has ended. It is for
// [gateway.WithLogger] and for the other code that a test runs.
func Logger(tb testing.TB, level slog.Level) *slog.Logger {
	tb.Helper()
	l := &testLog{out: tb.Output()}
	tb.Cleanup(l.end)
	return slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: level}))
}

// testLog writes to the log of a test, until the test ends: the testing package
// panics when somebody writes later.
type testLog struct {
	mu  sync.Mutex // guards the field below, and writing to it
	out io.Writer  // nil: the test has ended
}

// Write implements [io.Writer].
func (l *testLog) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.out == nil {
		return len(line), nil
	}
	return l.out.Write(line)
}

func (l *testLog) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.out = nil
}
