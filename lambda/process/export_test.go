package process

import "time"

// SetIdle sets how long a process waits for an event before it ends. Call it before the
// first event.
func SetIdle(f *Function, d time.Duration) { f.idle = d }

// Processes returns how many processes there are.
func Processes(f *Function) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.processes
}

// Reload does what a changed file does.
var Reload = (*Function).reload

// Address returns the address of the runtime API of the process that waits for an event.
func Address(f *Function) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.free[0].api.address
}

// Fingerprint is what the watch compares.
var Fingerprint = fingerprint

// SetStartup sets how long a process may take to start. Call it before the first event.
func SetStartup(f *Function, d time.Duration) { f.startup = d }

// Look returns what stands for the present state of the files under Dir.
func Look(f *Function) uint64 {
	state, _ := f.look()
	return state
}

// Wardens returns the process IDs of the wardens.
func Wardens(f *Function) (pids []int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for p := range f.all {
		pids = append(pids, p.warden.group())
	}
	return pids
}
