package host

import (
	"os"
	"os/exec"
	"runtime"
	"strconv"

	"golang.org/x/sys/unix"
)

// Cores returns the numbers of the cores that this process may use.
func Cores() []int {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return nil
	}
	var cores []int
	for n := range len(set) * 64 {
		if set.IsSet(n) {
			cores = append(cores, n)
		}
	}
	return cores
}

// Pin binds every thread of this process, and those that they will start, to cores.
// It reports whether that succeeded.
func Pin(cores []int) bool {
	set := setOf(cores)
	for range 2 { // twice, for threads that started in between
		tasks, err := os.ReadDir("/proc/self/task")
		if err != nil {
			return false
		}
		for _, task := range tasks {
			id, err := strconv.Atoi(task.Name())
			if err != nil || unix.SchedSetaffinity(id, set) != nil {
				return false
			}
		}
	}
	runtime.GOMAXPROCS(len(cores))
	return true
}

// StartPinned starts cmd on one core: a process starts on the cores of the thread
// that started it. A negative core means any core.
func StartPinned(cmd *exec.Cmd, core int) error {
	if core < 0 {
		return cmd.Start()
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var before unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		return cmd.Start()
	}
	_ = unix.SchedSetaffinity(0, setOf([]int{core})) // if this fails, cmd starts on any core
	defer func() { _ = unix.SchedSetaffinity(0, &before) }()
	return cmd.Start()
}

func setOf(cores []int) *unix.CPUSet {
	var set unix.CPUSet
	for _, core := range cores {
		set.Set(core)
	}
	return &set
}
