// Package load holds the clients of the benchmark: for each work a func that
// drives one server process and says what it measured. Every answer is compared
// with what it has to be, so that no variant wins by doing less.
package load

import (
	"fmt"
	"time"

	"example.com/gateway/benchmarks/host"
)

// Metric is a thing measured. Its text heads a column.
type Metric string

// The metrics.
const (
	PerSecond  Metric = "per second"
	PerCore    Metric = "per core second"     // of the server's time
	CPUEach    Metric = "CPU µs each"         // of the server, its kernel half included
	Busy       Metric = "server busy %"       // of the measured time
	LoadBusy   Metric = "clients busy %"      // near 100 for each core: they were the bound
	HeapStacks Metric = "heap + stacks bytes" // each connection
	Stacks     Metric = "stacks bytes"        // each connection
	RSS        Metric = "RSS bytes"           // each connection
	Goroutines Metric = "goroutines"          // each connection
	UntilAll   Metric = "ms until all"
	P50        Metric = "p50 µs"
	P99        Metric = "p99 µs"
)

// Less reports whether less of it is better.
func (m Metric) Less() bool { return m != PerSecond && m != PerCore }

// Figures are what one measurement came to.
type Figures map[Metric]float64

// Plan is the size of a measurement.
type Plan struct {
	Clients     int           // connections, or workers that connect
	Outstanding int           // requests of one connection under way
	Rate        int           // requests a second of all connections, where they are paced
	WarmUp      time.Duration // before
	Duration    time.Duration // measured
	Profile     string        // where profiles of the server go, without ending; "" for none
}

// Fit returns how many of n connections the system lets two processes have, and
// a reason if that is less. It is 0 where what fits says nothing of n.
func Fit(n int) (fits int, reason string) {
	const others = 200 // files that are no connection
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
