package server

import (
	"errors"
	"runtime"
	"time"

	"example.com/gateway/benchmarks/host"
)

// membership is a connection that can be in the group.
type membership struct{ join, leave func() error }

// rejoin lets all leave the group and all join it, again and again for d.
func rejoin(all []membership, d time.Duration) (*Changes, error) {
	if len(all) == 0 {
		return nil, errors.New("no connections")
	}
	var c Changes
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for began := time.Now(); c.Count == 0 || time.Since(began) < d; {
		start := host.Used()
		for _, m := range all {
			if err := m.leave(); err != nil {
				return nil, err
			}
		}
		left := host.Used()
		for _, m := range all {
			if err := m.join(); err != nil {
				return nil, err
			}
		}
		c.Leave += left - start
		c.Join += host.Used() - left
		c.Count += len(all)
	}
	runtime.ReadMemStats(&after)
	c.Bytes = after.TotalAlloc - before.TotalAlloc
	return &c, nil
}
