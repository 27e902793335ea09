package dev

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestVisible(t *testing.T) {
	t.Parallel()
	require.Equal(t, "a\tb·[31mc··é", visible("a\tb\x1b[31mc\n\u009bé"))
}

func TestClip(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		text string
		to   int
		want string
	}{{"", 0, ""}, {"abc", 3, "abc"}, {"abcd", 3, "abc…"}, {"aé", 2, "a…"}} {
		require.Equal(t, test.want, clip(test.text, test.to))
	}
}

// A reader that takes nothing costs no event time, and bounded memory. Then it learns how much
// it has missed.
func TestPrinter_SlowReader(t *testing.T) {
	t.Parallel()
	r, w := io.Pipe()
	p := newPrinter(w, false)
	line := strings.Repeat("x", 1023) + "\n"
	p.write("first\n")
	begun := make([]byte, 1)
	_, err := r.Read(begun) // the goroutine writes
	require.NoError(t, err)
	for range maxWaiting/len(line) + 10 {
		p.write(line)
	}
	all := make(chan string)
	go func() {
		text, _ := io.ReadAll(r)
		all <- string(text)
	}()
	p.close()
	p.close()
	p.write("late\n")
	require.NoError(t, w.Close())
	text := <-all
	require.Equal(t, maxWaiting/len(line), strings.Count(text, line))
	require.True(t, strings.HasSuffix(text, "… 10 lines were dropped, because they came faster than they could be printed\n"), text[len(text)-200:])
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, syscall.EPIPE }

func TestPrinter_NoReader(t *testing.T) {
	t.Parallel()
	p := newPrinter(broken{}, false)
	p.note("a line")
	<-p.lost
	p.note("another one")
	p.close()
}

// full is a disk that has no room for the first write.
type full struct {
	bytes.Buffer
	tried chan struct{} // of one
	once  sync.Once
}

func (f *full) Write(p []byte) (n int, err error) {
	f.once.Do(func() {
		n, err = 0, syscall.ENOSPC
		f.tried <- struct{}{}
	})
	if err != nil {
		return n, err
	}
	return f.Buffer.Write(p)
}

// A full disk ends nothing: the lines that it does not take are counted.
func TestPrinter_FullDisk(t *testing.T) {
	t.Parallel()
	out := &full{tried: make(chan struct{}, 1)}
	p := newPrinter(out, false)
	p.write("one\ntwo\n")
	<-out.tried
	p.write("three\n")
	p.close()
	select {
	case <-p.lost:
		require.Fail(t, "the lines were taken for unread")
	default:
	}
	require.Equal(t, "three\n… 2 lines are missing, because they could not be written\n", out.String())
}

func TestHandler(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		debug bool
		log   func(*slog.Logger)
		want  string
	}{
		{"output", false, func(l *slog.Logger) {
			l.With("function", "chat").Info("function output", "request_id", "1", "line", "hello\x1b")
		}, "chat      hello·"},
		{"error of a function", false, func(l *slog.Logger) {
			l.With("function", "chat").Error("function raised an error", "error_type", "TypeError", "error_message", "x is not y", "trace", "at a\nat b\n")
		}, "chat      function raised an error: TypeError: x is not y\n    at a\n    at b"},
		{"start", false, func(l *slog.Logger) {
			l.With("function", "chat").Error("function does not start", "error", "exit 1", "last_lines", []string{"no module", "named x"})
		}, "chat      function does not start: exit 1\n    no module\n    named x"},
		{"warning", false, func(l *slog.Logger) { l.Warn("a part does not work", "reason", "no backend", "stage", "prod") }, "gateway   a part does not work: no backend stage=prod"},
		{"told by the observer", false, func(l *slog.Logger) { l.Error("integration failed") }, ""},
		{"told by the observer, for debugging", true, func(l *slog.Logger) { l.Error("integration failed") }, "gateway   integration failed"},
		{"debug", false, func(l *slog.Logger) { l.Debug("inside") }, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			p := newPrinter(&out, false)
			level := slog.LevelInfo
			if test.debug {
				level = slog.LevelDebug
			}
			test.log(slog.New(&handler{print: p, level: level}))
			p.close()
			_, text, _ := strings.Cut(strings.TrimSuffix(out.String(), "\n"), "  ") // after the time
			require.Equal(t, test.want, text)
		})
	}
}

func TestPrinter_Color(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	p := newPrinter(&out, true)
	p.failure("one\ntwo")
	p.close()
	require.Contains(t, out.String(), "\x1b[31mone\n    two\x1b[0m\n")
}

// A file that is the code of many functions has one line.
func TestPrinter_CodeChanged(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		p := newPrinter(&out, false)
		log := slog.New(&handler{print: p})
		for n := range 7 {
			log.With("function", fmt.Sprint("f", n)).Info(codeChanged)
		}
		time.Sleep(time.Second) //nolint:forbidigo // virtual time
		log.With("function", "one").Info(codeChanged)
		time.Sleep(time.Second) //nolint:forbidigo // virtual time
		p.close()
		lines := strings.Split(strings.TrimSpace(out.String()), "\n")
		require.Len(t, lines, 2)
		require.Contains(t, lines[0], "gateway   function code changed: 7 functions: their next events start new processes")
		require.Contains(t, lines[1], "one       "+codeChanged)
	})
}

// Whatever a name has in it, a terminal sees no control character but the colors of this program.
func TestPrinter_ControlCharacters(t *testing.T) {
	t.Parallel()
	for color, want := range map[bool]string{
		false: "a·[31mb·]0;title·  ·[0m·[2Jc\n\tnext·\n",
		true:  "a\x1b[31mb·]0;title·  \x1b[0m·[2Jc\n\tnext·\n",
	} {
		var b bytes.Buffer
		p := newPrinter(&b, color)
		p.write("a\x1b[31mb\x1b]0;title\a  \x1b[0m\x1b[2Jc\n\tnext\u009b\n")
		p.close()
		require.Equal(t, want, b.String())
	}
}
