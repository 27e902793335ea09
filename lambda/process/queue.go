package process

import (
	"context"
	"fmt"
	"net/http"
	goruntime "runtime"
	"slices"
	"time"

	"example.com/gateway/lambda"
)

// This file decides when an event gets a process, and when a process is started.
//
// Every event of Lambda has a processor. Here, all share those of one machine, and to switch
// between processes costs more than a short event takes: a function whose events take 0.1 ms
// answers twice as many of them with two processes on two cores as with eight. So as many
// processes as there are cores get events at once. An event that would need one more waits a
// moment first.

const (
	// hesitation is how long an event waits for one of the processes that run an event, as
	// many as there are cores, before it gets an idle one. It does so only if events usually
	// take less than that: a function that waits for others leaves the cores alone.
	hesitation = 2 * time.Millisecond
	// patience is how long an event waits before a process is started for it, if there are
	// as many as cores, or if one will ask for an event soon. It is long enough for short events
	// to wait for a machine that has other work, where more processes would only be in the way.
	patience = 100 * time.Millisecond
	// startPatience is the same while a process starts.
	startPatience = 250 * time.Millisecond
)

// How many events may wait for a function, and how many bytes they may have.
const (
	mostWaiting      = 10_000
	mostWaitingBytes = 128 << 20
)

// room returns an error if too many events wait. The caller holds the lock.
func (f *Function) room(inv *invocation) error {
	if len(f.queue) < mostWaiting && f.waits+len(inv.payload) <= mostWaitingBytes {
		return nil
	}
	return &lambda.InvokeError{
		Function: f.cfg.Name, StatusCode: http.StatusTooManyRequests, Type: "TooManyRequestsException",
		Message: fmt.Sprintf("Rate Exceeded: %d events with %d bytes wait for the function already. It has up to %d processes: allow it more, or send fewer events at a time", len(f.queue), f.waits, f.cfg.Concurrency),
	}
}

// enqueue lets an event wait. The caller holds the lock.
func (f *Function) enqueue(at int, inv *invocation) {
	f.queue = slices.Insert(f.queue, at, inv)
	f.waits += len(inv.payload)
}

// dequeue takes an event that waits. The caller holds the lock.
func (f *Function) dequeue(at int) *invocation {
	inv := f.queue[at]
	f.queue = slices.Delete(f.queue, at, at+1)
	f.waits -= len(inv.payload)
	return inv
}

// advance gives events to free processes, and starts processes for the others. The caller
// holds the lock.
func (f *Function) advance(ctx context.Context) {
	if f.closed || len(f.queue) == 0 {
		return
	}
	now, cores := time.Now(), goruntime.GOMAXPROCS(0)
	running, soon := f.count()
	for len(f.queue) > 0 && len(f.free) > 0 && (running < cores || f.usual > hesitation || now.Sub(f.queue[0].arrived) >= hesitation) {
		last := len(f.free) - 1
		p := f.free[last]
		f.free = f.free[:last]
		p.assign(f.dequeue(0), now)
		running++
	}
	if len(f.queue) == 0 {
		return
	}
	wait := hesitation
	if len(f.free) == 0 {
		wait = patience
		if f.starting > 0 {
			wait = startPatience
		}
		f.startFor(ctx, max(f.waiting(now.Add(-wait)), min(len(f.queue)-soon, cores-f.processes+f.starting)))
	}
	f.lookAgain(ctx, now, wait)
}

// count returns how many processes run an event, and how many have answered theirs, but not
// yet asked for the next. The caller holds the lock.
func (f *Function) count() (running, soon int) {
	for p := range f.all {
		switch {
		case p.current == nil || p.retired:
		case !p.current.answered:
			running++
		case p.code == f.code:
			soon++
		}
	}
	return running, soon
}

// waiting returns how many events have waited since before a time. The caller holds the lock.
func (f *Function) waiting(since time.Time) (n int) {
	for _, inv := range f.queue {
		if !inv.arrived.After(since) {
			n++
		}
	}
	return n
}

// startFor starts processes for a number of events. The caller holds the lock.
func (f *Function) startFor(ctx context.Context, events int) {
	for f.starting < events && f.processes < f.cfg.Concurrency {
		f.starting++
		f.processes++
		code := f.code
		f.running.Go(func() { f.start(ctx, code) })
	}
}

// lookAgain calls advance when the next event has waited long enough. The caller holds the
// lock.
func (f *Function) lookAgain(ctx context.Context, now time.Time, wait time.Duration) {
	for _, inv := range f.queue {
		left := inv.arrived.Add(wait).Sub(now)
		if left <= 0 {
			continue // nothing more can be done for it
		}
		if f.again != nil {
			f.again.Reset(left)
			return
		}
		f.again = time.AfterFunc(left, func() {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.advance(ctx)
		})
		return
	}
}

// took notes how long an event took that ends now. The caller holds the lock.
func (f *Function) took(inv *invocation) {
	d := f.cfg.Timeout - time.Until(inv.deadline)
	f.usual += (d - f.usual) / 8
}
