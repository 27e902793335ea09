// Package host asks the machine for what the benchmark needs: cores to pin processes
// to, file descriptors, and the resources that a process has used. If a system cannot
// answer or do something, the answer is zero and the benchmark goes on.
package host

import (
	"bytes"
	"os"
	"strconv"
)

// RSS returns the resident bytes of this process, or 0 if /proc does not say.
func RSS() uint64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	_, rest, _ := bytes.Cut(status, []byte("VmRSS:"))
	fields := bytes.Fields(rest)
	if len(fields) == 0 {
		return 0
	}
	kilobytes, err := strconv.ParseUint(string(fields[0]), 10, 64)
	if err != nil {
		return 0
	}
	return kilobytes << 10
}

// CPU returns the model of the machine's processors, or "".
func CPU() string {
	info, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return ""
	}
	_, rest, _ := bytes.Cut(info, []byte("model name"))
	line, _, _ := bytes.Cut(rest, []byte("\n"))
	return string(bytes.TrimLeft(line, " \t:"))
}
