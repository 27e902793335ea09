//go:build unix

package dev

import (
	"io"
	"os"
	"syscall"
)

// Stdout returns the standard output in a form whose reader may go away: to a broken pipe as
// descriptor 1, a write would end the program at once, without a Close frame for any client.
func Stdout() io.Writer {
	fd, err := syscall.Dup(int(os.Stdout.Fd()))
	if err != nil {
		return os.Stdout
	}
	syscall.CloseOnExec(fd)
	return os.NewFile(uintptr(fd), os.Stdout.Name())
}
