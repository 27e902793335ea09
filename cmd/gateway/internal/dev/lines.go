package dev

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// maxWaiting is how many bytes of lines may wait for a terminal, or a pipe, that takes them
// slowly. What comes then is dropped: events never wait for their lines.
const maxWaiting = 4 << 20

// flushWithin is how long the end of the program waits for the last lines.
const flushWithin = 2 * time.Second

// printer writes lines for a person. It is safe for concurrent use.
type printer struct {
	color bool
	out   io.Writer
	done  chan struct{} // closed when the last line is written
	lost  chan struct{} // closed when nobody reads the lines any more
	more  chan struct{} // of one: lines wait

	mu      sync.Mutex // guards the fields below
	waiting []byte
	dropped int // lines that came too fast
	// unwritten is how many lines could not be written since the last that was.
	unwritten int
	closed    bool
	changed   []string // functions whose code has changed, and of which no line tells yet
}

// changedWithin is how long a line about changed code waits for others: one file may be the code
// of many functions.
const changedWithin = 300 * time.Millisecond

// codeChanged notes that the code of a function has changed. One line tells of all.
func (p *printer) codeChanged(function string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.changed = append(p.changed, function); len(p.changed) == 1 {
		time.AfterFunc(changedWithin, p.tellChanged)
	}
}

func (p *printer) tellChanged() {
	p.mu.Lock()
	changed := p.changed
	p.changed = nil
	p.mu.Unlock()
	if len(changed) == 1 {
		p.line(changed[0], yellow, codeChanged)
		return
	}
	p.note("function code changed: %d functions: their next events start new processes", len(changed))
}

// codeChanged is the line of package process about it.
const codeChanged = "function code changed: the next event starts new processes"

// newPrinter starts the goroutine that writes. It ends with close.
func newPrinter(out io.Writer, color bool) *printer {
	p := &printer{out: out, color: color, done: make(chan struct{}), lost: make(chan struct{}), more: make(chan struct{}, 1)}
	go p.run()
	return p
}

func (p *printer) run() {
	defer close(p.done)
	for range p.more {
		p.mu.Lock()
		text := p.waiting
		p.waiting = nil
		if p.dropped > 0 {
			text = fmt.Appendf(text, "… %d lines were dropped, because they came faster than they could be printed\n", p.dropped)
			p.dropped = 0
		}
		if p.unwritten > 0 {
			text = fmt.Appendf(text, "… %d lines are missing, because they could not be written\n", p.unwritten)
			p.unwritten = 0
		}
		p.mu.Unlock()
		_, err := p.out.Write(text)
		switch {
		case err == nil:
		case gone(err):
			close(p.lost)
			for range p.more { // until close
			}
			return
		default: // a full disk may have room again
			p.mu.Lock()
			p.unwritten += bytes.Count(text, []byte("\n"))
			p.mu.Unlock()
		}
	}
}

// gone reports whether nobody can read the lines any more: the reader of a pipe has ended, or
// the terminal was closed.
func gone(err error) bool {
	return errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.EIO) || errors.Is(err, os.ErrClosed) || errors.Is(err, io.ErrClosedPipe)
}

// write hands lines to the goroutine that writes. Names and texts in them may come from outside:
// no control character is written but those that paint makes.
func (p *printer) write(text string) {
	text = p.harmless(text)
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.closed:
		return
	case len(p.waiting)+len(text) > maxWaiting:
		p.dropped++
	default:
		p.waiting = append(p.waiting, text...)
	}
	select {
	case p.more <- struct{}{}:
	default:
	}
}

// close writes what waits. A second call does nothing.
func (p *printer) close() {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return
	}
	p.closed = true
	close(p.more)
	p.mu.Unlock()
	select {
	case <-p.done:
	case <-time.After(flushWithin):
	}
}

// style is how a part of a line looks on a terminal.
type style string

const (
	plain  style = ""
	faint  style = "2"
	bold   style = "1"
	red    style = "31"
	green  style = "32"
	yellow style = "33"
	cyan   style = "36"
)

// paint gives a text a style.
func (p *printer) paint(s style, text string) string {
	if !p.color || s == plain || text == "" {
		return text
	}
	return "\x1b[" + string(s) + "m" + text + "\x1b[0m"
}

// harmless makes control characters visible, but for the ends of lines, tabs and, with color, the
// styles of paint.
func (p *printer) harmless(text string) string {
	if !strings.ContainsFunc(text, isControl) {
		return text
	}
	var b strings.Builder
	for _, part := range strings.SplitAfter(text, "\n") {
		line, end := strings.CutSuffix(part, "\n")
		for n, rest := range strings.Split(line, "\x1b[") {
			if n > 0 {
				code, _, _ := strings.Cut(rest, "m")
				if p.color && isStyle(code) {
					b.WriteString("\x1b[")
				} else {
					b.WriteString(visible("\x1b["))
				}
			}
			b.WriteString(visible(rest))
		}
		if end {
			b.WriteByte('\n')
		}
	}
	return b.String()
}

// isStyle reports whether paint writes a code.
func isStyle(code string) bool {
	return code == "0" || slices.Contains([]style{faint, bold, red, green, yellow, cyan}, style(code))
}

// subjectWidth is the width of the second column: a short connection ID.
const subjectWidth = 8

// line writes one line: the time, what it is about, and the text.
func (p *printer) line(subject string, s style, text string) {
	var b strings.Builder
	b.WriteString(p.paint(faint, time.Now().Format("15:04:05.000")))
	b.WriteString("  ")
	b.WriteString(p.paint(s, fmt.Sprintf("%-*s", subjectWidth, subject)))
	b.WriteString("  ")
	b.WriteString(text)
	b.WriteByte('\n')
	p.write(b.String())
}

// note writes a line about the program itself.
func (p *printer) note(format string, args ...any) {
	p.line("gateway", cyan, fmt.Sprintf(format, args...))
}

// warning writes a line about what may not be meant.
func (p *printer) warning(format string, args ...any) {
	p.line("gateway", yellow, p.paint(yellow, fmt.Sprintf(format, args...)))
}

// failure writes a line, or several, about what went wrong in the program itself.
func (p *printer) failure(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	p.line("gateway", red, p.paint(red, strings.ReplaceAll(text, "\n", "\n    ")))
}

// visible makes control characters of a text from outside visible, so that it cannot take
// over a terminal. A tab stays.
func visible(text string) string {
	return strings.Map(func(r rune) rune {
		if isControl(r) {
			return '\u00b7'
		}
		return r
	}, text)
}

// isControl reports whether a character is none of a line.
func isControl(r rune) bool { return r < ' ' && r != '\t' || r >= 0x7f && r < 0xa0 }

// clip shortens a text to a number of bytes.
func clip(text string, to int) string {
	if len(text) <= to {
		return text
	}
	return strings.ToValidUTF8(text[:to], "") + "…"
}

// handler prints the log of the packages. What the lines of the observer say already is left
// out.
type handler struct {
	print *printer
	level slog.Level
	attrs []slog.Attr
}

// Enabled implements [slog.Handler].
func (h *handler) Enabled(_ context.Context, level slog.Level) bool { return level >= h.level }

// told are the messages of the log that the observer prints in its own words.
func told(message string) bool {
	switch message {
	case "integration failed", "authorizer failed", "upgrade rejected", "message rejected", "connection opened", "connection closed",
		"deployed", "shutting down", "function ended":
		return true
	}
	return false
}

// Handle implements [slog.Handler].
func (h *handler) Handle(_ context.Context, r slog.Record) error {
	if h.level > slog.LevelDebug && told(r.Message) {
		return nil
	}
	attrs := append([]slog.Attr(nil), h.attrs...)
	r.Attrs(func(a slog.Attr) bool { attrs = append(attrs, a); return true })
	subject, subjectStyle, text := "gateway", cyan, r.Message
	var rest strings.Builder
	var below []string
	for _, a := range attrs {
		value := a.Value.Resolve().String()
		switch {
		case a.Key == "function" && r.Message == codeChanged:
			h.print.codeChanged(visible(value))
			return nil
		case a.Key == "function":
			subject, subjectStyle = value, yellow
		case a.Key == "line" && r.Message == "function output":
			h.print.line(subject, subjectStyle, visible(value))
			return nil
		case a.Key == "request_id" || a.Key == "stack" && h.level > slog.LevelDebug:
		case a.Key == "trace" || a.Key == "last_lines":
			below = append(below, blockOf(a.Value)...)
		case a.Key == "error_type" || a.Key == "error_message" || a.Key == "reason" || a.Key == "error" || a.Key == "fix":
			text += ": " + clip(visible(value), 2000)
		default:
			fmt.Fprintf(&rest, " %s=%s", a.Key, clip(visible(value), 2000))
		}
	}
	s := plain
	switch {
	case r.Level >= slog.LevelError:
		s = red
	case r.Level >= slog.LevelWarn:
		s = yellow
	}
	text = h.print.paint(s, userWords(text)) + h.print.paint(faint, rest.String())
	for _, line := range below {
		text += "\n    " + h.print.paint(faint, visible(line))
	}
	h.print.line(subject, subjectStyle, text)
	return nil
}

// blockOf returns the lines of an attribute that has several.
func blockOf(v slog.Value) []string {
	if lines, ok := v.Any().([]string); ok {
		return lines
	}
	text := strings.TrimRight(v.String(), "\n")
	if text == "" {
		return nil
	}
	return strings.Split(text, "\n")
}

// WithAttrs implements [slog.Handler].
func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	next := *h
	next.attrs = append(append([]slog.Attr(nil), h.attrs...), attrs...)
	return &next
}

// WithGroup implements [slog.Handler]. Nothing here needs groups.
func (h *handler) WithGroup(string) slog.Handler { return h }
