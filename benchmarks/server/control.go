package server

import "time"

// The operations that the benchmark asks of a server process, a line of JSON
// each, and gets a [Report] for, likewise.
const (
	opUsage     = "usage"
	opMemory    = "memory"
	opBroadcast = "broadcast"
	opFlood     = "flood"
	opDry       = "dry"
	opProfile   = "profile"
	opProfiled  = "profiled"
	opHeap      = "heap"
)

// command is one operation.
type command struct {
	Op      string   `json:"op"`
	Message string   `json:"message,omitempty"` // broadcast, flood
	IDs     []string `json:"ids,omitempty"`     // flood
	Path    string   `json:"path,omitempty"`    // profile, heap: the file to write
}

// Report is what a server process says of itself.
type Report struct {
	Error     string        `json:"error,omitempty"`
	Addresses []string      `json:"addresses,omitempty"` // the first report only
	CPU       time.Duration `json:"cpu"`                 // used so far
	Memory    *Memory       `json:"memory,omitempty"`
}

// Memory is what a server process holds after a garbage collection.
type Memory struct {
	HeapAlloc  uint64 `json:"heapAlloc"`
	StackInuse uint64 `json:"stackInuse"`
	RSS        uint64 `json:"rss"`
	Goroutines int    `json:"goroutines"`
}
