package server

import "time"

// The operations that the benchmark asks of a server process. Each is a line of JSON,
// and is answered by a line of JSON, a [Report].
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

// Report is what a server process reports about itself.
type Report struct {
	Error     string        `json:"error,omitempty"`
	Addresses []string      `json:"addresses,omitempty"` // only in the first report
	CPU       time.Duration `json:"cpu"`                 // used so far
	Memory    *Memory       `json:"memory,omitempty"`
}

// Memory is what a server process occupies after a garbage collection.
type Memory struct {
	HeapAlloc  uint64 `json:"heapAlloc"`
	StackInuse uint64 `json:"stackInuse"`
	RSS        uint64 `json:"rss"`
	Goroutines int    `json:"goroutines"`
}
