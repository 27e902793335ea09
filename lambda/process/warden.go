package process

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os/exec"
	"sync"
)

// warden is a small process that ends the processes of a function when this program is
// killed and cannot do it: they and their children would stay. It reads from a pipe which
// process groups there are. The end of the pipe is the end of this program.
//
// A warden that is nil, because there is no shell, does nothing.
type warden struct {
	cmd *exec.Cmd

	mu   sync.Mutex // guards the order of lines
	pipe io.WriteCloser
}

const wardenScript = `
groups=
while read -r sign group; do
  left=
  for g in $groups; do [ "$g" = "$group" ] || left="$left $g"; done
  [ "$sign" = - ] || left="$left $group"
  groups=$left
done
for g in $groups; do kill -9 "-$g"; done
`

// newWarden starts the warden of a function.
func (f *Function) newWarden(ctx context.Context) *warden {
	w := &warden{cmd: exec.Command("/bin/sh", "-c", wardenScript)} //nolint:noctx // close ends it
	w.cmd.Env = []string{}
	ownGroup(w.cmd) // a signal of the terminal does not end it
	var err error
	if w.pipe, err = w.cmd.StdinPipe(); err == nil {
		err = w.cmd.Start()
	}
	if err != nil {
		f.cfg.Logger.LogAttrs(ctx, slog.LevelWarn, "if this program is killed, processes of the function may stay", slog.String("error", err.Error()))
		return &warden{}
	}
	return w
}

// watch adds a process group.
func (w *warden) watch(group int) { w.write('+', group) }

// forget removes a process group that has ended.
func (w *warden) forget(group int) { w.write('-', group) }

func (w *warden) write(sign rune, group int) {
	if w == nil || w.pipe == nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	_, _ = fmt.Fprintf(w.pipe, "%c %d\n", sign, group)
}

// close ends the warden. There are no processes left.
func (w *warden) close() {
	if w == nil || w.pipe == nil {
		return
	}
	_ = w.pipe.Close()
	_ = w.cmd.Wait()
}
