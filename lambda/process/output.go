package process

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	"example.com/gateway/internal/clip"
)

const (
	maxLine   = 16 << 10 // bytes of a line that are kept
	maxOutput = 1 << 20  // bytes of the output of one event that are logged
	tailLines = 10       // lines that are remembered, for a process that does not start
	tailLine  = 500      // bytes of each of these
	// atOnce is how much is read before the next event begins. What a child of the
	// function prints without end must not hold that up.
	atOnce = 1 << 20
	// lingering is how long output is read after the end of a process: only a child
	// that left its process group can still have the pipe.
	lingering = time.Second
)

// output makes lines of the log from what a process prints.
type output struct {
	log  *slog.Logger
	also func(requestID, line string)
	pipe *os.File // the end to read from
	done chan struct{}

	mu        sync.Mutex // guards the fields below, and the order of reading
	buffer    []byte
	requestID string
	line      []byte // the line that has begun
	cut       bool   // its rest is dropped
	logged    int    // bytes for this event
	dropped   int    // bytes for this event
	tail      []string
}

func newOutput(c Config, pipe *os.File) *output {
	also := c.Output
	if also == nil {
		also = func(string, string) {}
	}
	return &output{log: c.Logger, also: also, pipe: pipe, done: make(chan struct{}), buffer: make([]byte, 32<<10)}
}

// read reads until the last writer has closed the pipe.
func (o *output) read(ctx context.Context) {
	defer close(o.done)
	defer o.pipe.Close()
	conn, err := o.pipe.SyscallConn()
	if err != nil {
		return
	}
	for end := false; !end; {
		err = conn.Read(func(fd uintptr) bool {
			n, again, err := o.readOnce(ctx, fd)
			end = !again && (n == 0 || err != nil)
			return !again
		})
		end = end || err != nil
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.endLine(ctx)
	o.tellDropped(ctx)
}

// readOnce reads under the lock, so that two who read do not change the order.
func (o *output) readOnce(ctx context.Context, fd uintptr) (n int, again bool, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	n, again, err = readNow(fd, o.buffer)
	o.write(ctx, o.buffer[:n])
	return n, again, err
}

// begin says which event the following output belongs to: "" means none. What was
// printed until now belongs to the one before.
func (o *output) begin(ctx context.Context, requestID string) {
	o.catchUp(ctx)
	o.mu.Lock()
	defer o.mu.Unlock()
	o.endLine(ctx)
	o.tellDropped(ctx)
	o.requestID, o.logged = requestID, 0
}

// catchUp reads what the process has printed until now.
func (o *output) catchUp(ctx context.Context) {
	if conn, err := o.pipe.SyscallConn(); err == nil {
		_ = conn.Control(func(fd uintptr) {
			for total := 0; total < atOnce; {
				n, again, err := o.readOnce(ctx, fd)
				if again || err != nil || n == 0 {
					return
				}
				total += n
			}
		})
	}
}

// finish waits for the rest of the output of a process that has ended, and returns its
// last lines.
func (o *output) finish() []string {
	select {
	case <-o.done:
	case <-time.After(lingering):
		_ = o.pipe.SetReadDeadline(time.Now())
		<-o.done
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.tail
}

// write takes output. The caller holds the lock.
func (o *output) write(ctx context.Context, b []byte) {
	for len(b) > 0 {
		part, rest, ended := bytes.Cut(b, []byte{'\n'})
		if room := maxLine - len(o.line); len(part) > room {
			o.dropped += len(part) - room
			part, o.cut = part[:room], true
		}
		o.line = append(o.line, part...)
		if ended {
			o.endLine(ctx)
		}
		b = rest
	}
}

// endLine logs the line that has begun. The caller holds the lock.
func (o *output) endLine(ctx context.Context) {
	if len(o.line) == 0 {
		return
	}
	text := strings.ToValidUTF8(strings.TrimSuffix(string(o.line), "\r"), "\uFFFD")
	if o.cut {
		text += "…"
	}
	size := len(o.line)
	o.line, o.cut = o.line[:0], false
	if len(o.tail) == tailLines {
		o.tail = append(o.tail[:0], o.tail[1:]...)
	}
	o.tail = append(o.tail, clip.Cut(text, tailLine))
	if o.logged+size > maxOutput {
		o.dropped += size
		o.logged = maxOutput // shorter lines do not come after it either
		return
	}
	o.logged += size
	o.log.LogAttrs(ctx, slog.LevelInfo, "function output", o.attrs(slog.String("line", text))...)
	o.also(o.requestID, text)
}

// report writes a line of Lambda's own, after what was printed until now.
func (o *output) report(ctx context.Context, line string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.endLine(ctx)
	o.log.LogAttrs(ctx, slog.LevelDebug, "function report", o.attrs(slog.String("line", line))...)
}

// tellDropped logs how much of the output of an event was dropped. The caller holds the
// lock.
func (o *output) tellDropped(ctx context.Context) {
	if o.dropped > 0 {
		o.log.LogAttrs(ctx, slog.LevelWarn, "function printed too much: the rest is dropped", o.attrs(slog.Int("bytes", o.dropped))...)
		o.dropped = 0
	}
}

func (o *output) attrs(more slog.Attr) []slog.Attr {
	if o.requestID == "" {
		return []slog.Attr{more}
	}
	return []slog.Attr{slog.String("request_id", o.requestID), more}
}
