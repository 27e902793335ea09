package server

import "time"

// The operations that the benchmark asks of a server process. Each is a line of JSON,
// and is answered by a line of JSON, a [Report].
const (
	opUsage     = "usage"
	opMemory    = "memory"
	opBroadcast = "broadcast"
	opRejoin    = "rejoin"
	opFlood     = "flood"
	opDry       = "dry"
	opProfile   = "profile"
	opProfiled  = "profiled"
	opHeap      = "heap"
)

// command is one operation.
type command struct {
	Op      string        `json:"op"`
	To      Audience      `json:"to,omitempty"`      // broadcast
	Message string        `json:"message,omitempty"` // broadcast, flood
	IDs     []string      `json:"ids,omitempty"`     // flood
	Path    string        `json:"path,omitempty"`    // profile, heap: the file to write
	For     time.Duration `json:"for,omitempty"`     // rejoin: how long
}

// Audience says who gets a message, and how the server names them.
type Audience string

// The audiences.
const (
	Everyone Audience = "everyone"
	Group    Audience = "group"
	Members  Audience = "members" // of the group, each by its connection ID
)

// Report is what a server process reports about itself.
type Report struct {
	Error     string        `json:"error,omitempty"`
	Addresses []string      `json:"addresses,omitempty"` // only in the first report
	CPU       time.Duration `json:"cpu"`                 // used so far
	Memory    *Memory       `json:"memory,omitempty"`
	Changes   *Changes      `json:"changes,omitempty"`
}

// Changes is what the memberships of a group cost that ended and began again.
type Changes struct {
	Count       int           `json:"count"` // of the leaves, and of the joins
	Join, Leave time.Duration // CPU time of all
	Bytes       uint64        `json:"bytes"` // allocated by both
}

// Memory is what a server process occupies after a garbage collection.
type Memory struct {
	HeapAlloc  uint64 `json:"heapAlloc"`
	StackInuse uint64 `json:"stackInuse"`
	RSS        uint64 `json:"rss"`
	Goroutines int    `json:"goroutines"`
}
