//go:build !linux

package host

import "os/exec"

// Cores returns nil: this system cannot pin processes.
func Cores() []int { return nil }

// Pin returns false: this system cannot pin processes.
func Pin([]int) bool { return false }

// StartPinned starts cmd on any core.
func StartPinned(cmd *exec.Cmd, _ int) error { return cmd.Start() }
