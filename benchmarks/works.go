package main

import (
	"context"
	"fmt"

	"example.com/gateway/benchmarks/load"
	"example.com/gateway/benchmarks/server"
	"example.com/gateway/benchmarks/wire"
)

// work is a kind of load, in one size or several.
type work struct {
	name, about string
	metrics     []load.Metric // the columns; the first is what the chart compares
	cases       []scenario
	targets     []target
}

// scenario is a work in one size.
type scenario struct {
	name    string // of the size; "" if the work has only one
	plan    load.Plan
	large   bool // needs a file descriptor for each of the plan's clients
	entries []entry
}

// entry is a line of a table: a variant, and how it is driven.
type entry struct {
	label, variant string
	drive          driver
}

type driver func(context.Context, *server.Process, load.Plan) (load.Figures, error)

// with makes entries for variants that are driven in the same way.
func with(drive driver, variants ...string) []entry {
	var entries []entry
	for _, v := range variants {
		entries = append(entries, entry{v, v, drive})
	}
	return entries
}

const (
	ours      = "gateway"
	inProcess = "gateway, in process"
	byIDs     = "gateway, by IDs"
	withState = "gateway, with state"
)

// works returns all works.
func works() []work {
	return []work{reply(), pipelined(), idle(), post(), fanout(), groupFanout(), rejoin(), kept(), connect(), growth()}
}

func reply() work {
	everybody := with(load.Exchange, "gateway", "gws", "gorilla", "coder", "nhooyr", "centrifuge", "tcp")
	return work{
		name: "reply", about: "a request of 128 bytes and a short reply, one under way on each connection",
		metrics: []load.Metric{load.PerSecond, load.CPUEach, load.Busy, load.LoadBusy},
		cases: []scenario{
			{name: "50 connections", plan: load.Plan{Clients: 50, Outstanding: 1}, entries: everybody},
			{name: "500 connections", plan: load.Plan{Clients: 500, Outstanding: 1}, entries: everybody},
		},
		targets: []target{
			against("gws", load.PerSecond, 1.0), against("gws", load.CPUEach, 1.0), against("tcp", load.PerSecond, 0.85),
		},
	}
}

func pipelined() work {
	everybody := with(load.Exchange, "gateway", "gws", "gorilla", "coder", "nhooyr", "centrifuge", "tcp")
	return work{
		name: "pipelined", about: "the same with many requests under way on each of 50 connections",
		metrics: []load.Metric{load.PerSecond, load.CPUEach, load.Busy, load.LoadBusy},
		cases: []scenario{
			{name: "16 under way", plan: load.Plan{Clients: 50, Outstanding: 16}, entries: everybody},
			{name: "1,000 under way", plan: load.Plan{Clients: 50, Outstanding: 1000}, entries: everybody},
		},
		targets: []target{against("gws", load.PerSecond, 4.0)},
	}
}

func idle() work {
	var cases []scenario
	for _, n := range []int{10000, 20000} {
		cases = append(cases, scenario{
			name: fmt.Sprintf("%d connections", n), plan: load.Plan{Clients: n}, large: true,
			entries: with(load.Idle, "gateway", "gws", "gorilla", "coder", "nhooyr", "centrifuge"),
		})
	}
	return work{
		name: "idle", about: "connections that have said nothing for 4 s after one message, the price of each",
		metrics: []load.Metric{load.HeapStacks, load.Stacks, load.RSS, load.Goroutines},
		cases:   cases,
		targets: []target{absolute(load.HeapStacks, 4096), absolute(load.Goroutines, 1)},
	}
}

func post() work {
	return work{
		name: "post", about: "50 callers post 128 bytes over HTTP, each to a client; gorilla's handler does no more than that; in process without HTTP",
		metrics: []load.Metric{load.PerSecond, load.CPUEach, load.Busy, load.LoadBusy},
		cases: []scenario{{
			plan:    load.Plan{Clients: 50},
			entries: append(with(load.Post, "gateway", "gorilla"), entry{inProcess, "gateway", load.Flood}),
		}},
		targets: []target{
			against("gorilla", load.PerSecond, 0.9),
			{metric: load.PerSecond, of: inProcess, against: ours, bound: 2},
		},
	}
}

func fanout() work {
	w := work{
		name: "fanout", about: "one message of 128 bytes to 5,000 connections, the next one when all have it",
		metrics: []load.Metric{load.PerSecond, load.UntilAll, load.CPUEach},
		cases: []scenario{{
			plan: load.Plan{Clients: 5000}, large: true,
			entries: with(load.Fanout, "gateway", "gws", "gorilla", "centrifuge"),
		}},
		targets: []target{against("centrifuge", load.PerSecond, 1.25)},
	}
	for _, peer := range []string{"gorilla", "gws"} {
		w.targets = append(w.targets, against(peer, load.PerSecond, 1.05))
	}
	for _, peer := range []string{"centrifuge", "gorilla", "gws"} {
		w.targets = append(w.targets, against(peer, load.CPUEach, 1.0))
	}
	return w
}

func groupFanout() work {
	w := work{
		name: "group", about: "one message of 128 bytes to the 5,000 members of a group, out of 6,000 connections, the next one when all have it; " +
			"by IDs it is posted to a list of the same connections",
		metrics: []load.Metric{load.PerSecond, load.UntilAll, load.CPUEach},
		cases: []scenario{{
			plan: load.Plan{Clients: 6000, Members: 5000}, large: true,
			entries: append(with(load.GroupFanout(server.Group), "gateway", "centrifuge", "melody", "hub"),
				entry{byIDs, "gateway", load.GroupFanout(server.Members)}),
		}},
		targets: []target{against(byIDs, load.PerSecond, 0.95), against(byIDs, load.CPUEach, 1.05)},
	}
	for _, peer := range []string{"centrifuge", "melody", "hub"} {
		w.targets = append(w.targets, against(peer, load.PerSecond, 1.0))
	}
	return w
}

func rejoin() work {
	return work{
		name: "join", about: "1,000 connections leave a group and join it again, all in turn; centrifuge also tells each client",
		metrics: []load.Metric{load.JoinTime, load.LeaveTime, load.JoinBytes},
		cases:   []scenario{{plan: load.Plan{Clients: 1000}, entries: with(load.Rejoin, "gateway", "centrifuge", "melody", "hub")}},
		targets: []target{absolute(load.JoinTime, 300)},
	}
}

func kept() work {
	return work{
		name: "kept", about: fmt.Sprintf("what it adds to an idle connection that it is in a group, or that the server keeps a state of %d bytes for it", wire.StateBytes),
		metrics: []load.Metric{load.More},
		cases: []scenario{{
			name: "10000 connections", plan: load.Plan{Clients: 10000}, large: true,
			entries: append(with(load.Joined, "gateway", "centrifuge", "melody", "hub"), entry{withState, "gateway", load.Remembered}),
		}},
		targets: []target{
			absolute(load.More, 120),
			{metric: load.More, of: withState, bound: wire.StateBytes + 48}, // Go's allocator rounds 200 up to 208
		},
	}
}

func connect() work {
	return work{
		name: "connect", about: "50 workers connect and close; gateway with a func on $connect",
		metrics: []load.Metric{load.PerSecond, load.CPUEach, load.Busy, load.LoadBusy},
		cases: []scenario{{
			plan:    load.Plan{Clients: 50},
			entries: with(load.Connect, "gateway", "gws", "gorilla", "coder", "nhooyr"),
		}},
		targets: []target{against("nhooyr", load.PerSecond, 0.95)},
	}
}

func growth() work {
	const rate = 20000
	w := work{
		name: "growth", about: "20,000 requests a second, spread over ever more connections",
		metrics: []load.Metric{load.PerCore, load.P50, load.P99, load.PerSecond, load.Busy, load.LoadBusy},
	}
	for _, n := range []int{1000, 5000, 20000} {
		w.cases = append(w.cases, scenario{
			name: fmt.Sprintf("%d connections", n), plan: load.Plan{Clients: n, Rate: rate}, large: true,
			entries: with(load.Growth, "gateway", "gws"),
		})
	}
	for n := 1; n < len(w.cases); n++ {
		w.targets = append(w.targets,
			target{metric: load.PerCore, of: ours, against: ours, bound: 0.9, size: w.cases[n].name, againstSize: w.cases[0].name},
			target{metric: load.P99, of: ours, against: ours, bound: 2, size: w.cases[n].name, againstSize: w.cases[0].name})
	}
	return w
}
