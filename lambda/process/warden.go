package process

import (
	"context"
	"io"
	"log/slog"
	"os/exec"
)

// warden is a small process that leads the process group of a process. It ends the group
// when this program is killed and cannot do it: the process and its children would stay. It
// reads from a pipe, whose end is the end of this program. It is there before the process is,
// so that there is no moment without it.
type warden struct {
	cmd  *exec.Cmd
	pipe io.Closer
}

// A signal for the whole group, which the process may ignore, does not end it.
const wardenScript = `trap '' HUP INT QUIT TERM USR1 USR2 ALRM; read -r end; kill -9 0`

// newWarden starts a warden, or returns nil if there is no shell.
func (f *Function) newWarden(ctx context.Context) *warden {
	w := &warden{cmd: exec.Command("/bin/sh", "-c", wardenScript)} //nolint:noctx // end ends it
	w.cmd.Env = []string{}
	ownGroup(w.cmd, 0)
	var err error
	if w.pipe, err = w.cmd.StdinPipe(); err == nil {
		err = w.cmd.Start()
	}
	if err != nil {
		f.alone.Do(func() {
			f.cfg.Logger.LogAttrs(ctx, slog.LevelWarn, "if this program is killed, processes of the function may stay", slog.String("error", err.Error()))
		})
		return nil
	}
	return w
}

// group returns the process group of a process that starts. 0 means one of its own.
func (w *warden) group() int {
	if w == nil {
		return 0
	}
	return w.cmd.Process.Pid
}

// end kills all that is left of the group. Until it returns, no other group has this number.
func (w *warden) end() {
	if w == nil {
		return
	}
	_ = killGroup(w.group())
	_ = w.pipe.Close()
	_ = w.cmd.Wait()
}
