//go:build !linux

package host

import "os/exec"

// Cores returns nothing: this system pins no processes.
func Cores() []int { return nil }

// Pin reports false: this system pins no processes.
func Pin([]int) bool { return false }

// StartPinned starts cmd on any core.
func StartPinned(cmd *exec.Cmd, _ int) error { return cmd.Start() }
