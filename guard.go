package gateway

import (
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"
)

// guard recovers the panics of those callbacks of the embedding program that do not
// answer a client: observers and the [ManagementAuth]. A panic ends the call of the
// callback and nothing else. It is counted, and logged with its stack: the first panic of
// each callback at once, later ones at most once in panicLogEvery, with their number.
//
// A callback that calls [runtime.Goexit] cannot be recovered. So what the gateway has to
// do after a callback is in a defer, which runs in that case, too.
type guard struct {
	log   *slog.Logger
	stage string

	mu     sync.Mutex // guards the field below
	panics map[string]*panicCount
}

type panicCount struct {
	unlogged int // panics since the last one that was logged
	logged   time.Time
}

const panicLogEvery = time.Minute

// recovered has to be deferred around each call of the callback with this name.
func (g *guard) recovered(callback string) {
	if p := recover(); p != nil {
		g.panicked(callback, p)
	}
}

// panicked counts and logs a panic with the value p. The deferred func that has recovered
// it calls panicked, so that the stack is still that of the panic.
func (g *guard) panicked(callback string, p any) {
	now := time.Now()
	g.mu.Lock()
	count := g.panics[callback]
	if count == nil {
		if g.panics == nil {
			g.panics = map[string]*panicCount{}
		}
		count = &panicCount{}
		g.panics[callback] = count
	}
	count.unlogged++
	n := count.unlogged
	due := count.logged.IsZero() || now.Sub(count.logged) >= panicLogEvery
	if due {
		count.logged, count.unlogged = now, 0
	}
	g.mu.Unlock()
	if due {
		err := &panicError{p, debug.Stack()}
		g.logPanic(callback, n, err)
	}
}

// panicError is what code of the embedding program panicked with.
type panicError struct {
	value any
	stack []byte
}

func (e *panicError) Error() string { return fmt.Sprintf("panic: %v", e.value) }

// StackTrace returns the stack of the panic. The log prints it of any error that has
// this method.
func (e *panicError) StackTrace() []byte { return e.stack }
