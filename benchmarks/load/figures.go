// Package load holds the clients of the benchmark. For each work it has a func that
// drives one server process and returns its measurements. Every answer is compared
// with the expected one, so that no variant wins by doing less.
package load

import (
	"fmt"
	"time"

	"example.com/gateway/benchmarks/host"
)

// Metric is something that is measured. Its text is the head of a column.
type Metric string

// The metrics.
const (
	PerSecond  Metric = "per second"
	PerCore    Metric = "per core second"     // seconds of the server's time
	CPUEach    Metric = "CPU µs each"         // of the server, including its time in the kernel
	Busy       Metric = "server busy %"       // of the measured time
	LoadBusy   Metric = "clients busy %"      // near 100 for each core: the clients were the limit
	HeapStacks Metric = "heap + stacks bytes" // each connection
	Stacks     Metric = "stacks bytes"        // each connection
	RSS        Metric = "RSS bytes"           // each connection
	Goroutines Metric = "goroutines"          // each connection
	More       Metric = "bytes more"          // each connection, heap and stacks
	UntilAll   Metric = "ms until all"
	JoinTime   Metric = "join ns"         // of the server's CPU
	LeaveTime  Metric = "leave ns"        // of the server's CPU
	JoinBytes  Metric = "bytes allocated" // by a join and a leave
	P50        Metric = "p50 µs"
	P99        Metric = "p99 µs"
)

// Less reports whether a lower value is better.
func (m Metric) Less() bool { return m != PerSecond && m != PerCore }

// Figures are the results of one measurement.
type Figures map[Metric]float64

// Plan is the size of a measurement.
type Plan struct {
	Clients     int           // connections, or workers that connect
	Members     int           // connections that are in the group
	Outstanding int           // unanswered requests on each connection
	Rate        int           // requests a second on all connections together, if they are paced
	WarmUp      time.Duration // before the measurement
	Duration    time.Duration // measured
	Profile     string        // where to write profiles of the server, without file extension; "": none
}

// Fit returns how many of n connections the system allows two processes, and a reason
// if that is less than n. It returns 0 if so few fit that they say nothing about n.
func Fit(n int) (fits int, reason string) {
	const others = 200 // open files that are not connections
	limit := host.Descriptors()
	switch most := limit - others; {
	case n <= most:
		return n, ""
	case most >= n*3/4:
		return most, fmt.Sprintf("%d connections do not fit into %d descriptors: %d instead", n, limit, most)
	default:
		return 0, fmt.Sprintf("%d connections do not fit into %d descriptors: skipped", n, limit)
	}
}
