//go:build !linux && !darwin

package process

import (
	"errors"
	"os/exec"
)

const supported = false

func ownGroup(*exec.Cmd, int) {}

func killGroup(int) error { return errors.ErrUnsupported }

func readNow(uintptr, []byte) (n int, again bool, err error) {
	return 0, false, errors.ErrUnsupported
}
