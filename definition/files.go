package definition

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
	"time"
)

// readFile reads a file, or a pipe that a program writes and closes. Anything else, such as
// /dev/zero, may have no end.
func readFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("definition: %w", err)
	}
	isPipe := info.Mode()&fs.ModeNamedPipe != 0
	if !info.Mode().IsRegular() && !isPipe {
		return nil, fileProblem(path, "this is no file: give the path of a file")
	}
	flags := os.O_RDONLY
	if isPipe {
		flags |= syscall.O_NONBLOCK // without it, the open waits for a program that writes
	}
	f, err := os.OpenFile(path, flags, 0) //nolint:gosec // the user names it
	if err != nil {
		return nil, fmt.Errorf("definition: %w", err)
	}
	defer f.Close()
	source := io.Reader(f)
	if isPipe {
		source = &pipe{File: f, until: time.Now().Add(longestPipe)}
	}
	content, err := io.ReadAll(io.LimitReader(source, maxBytes+1))
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded), isPipe && err == nil && len(content) == 0:
		return nil, fileProblem(path, "this is a pipe that no program writes and closes within %v: give the path of a file", longestPipe)
	case err != nil:
		return nil, fmt.Errorf("definition: %w", err)
	case len(content) > maxBytes:
		return nil, fileProblem(path, "the file has %d bytes: it may have %d", max(info.Size(), maxBytes+1), maxBytes)
	}
	return content, nil
}

func fileProblem(path, format string, args ...any) error {
	return &Error{Problems: []Note{{File: path, Text: fmt.Sprintf(format, args...)}}}
}

// longestPipe is how long a pipe may take.
const longestPipe = 2 * time.Second

// pipe reads a pipe. Before a program has opened it for writing, a pipe is as one at its end.
type pipe struct {
	*os.File
	until time.Time
	begun bool // something was read
}

// Read implements [io.Reader].
func (p *pipe) Read(b []byte) (int, error) {
	_ = p.SetReadDeadline(p.until) // a system whose pipes have no deadlines waits
	for {
		n, err := p.File.Read(b)
		p.begun = p.begun || n > 0
		if p.begun || err != io.EOF || time.Now().After(p.until) {
			return n, err
		}
		time.Sleep(5 * time.Millisecond) //nolint:forbidigo // nothing tells when a program opens a pipe
	}
}
