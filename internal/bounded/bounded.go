// Package bounded calls the program's code so that the caller gets on in time, even
// if that code does not return, or ends its goroutine with [runtime.Goexit].
package bounded

import (
	"context"
	"sync/atomic"
	"time"
)

// Starter starts goroutines and counts them: a [sync.WaitGroup].
type Starter interface{ Go(f func()) }

// Attempt is a call of the program's code with the outcome T. All its methods run on
// the goroutine of the call. Either Done or Late is called, with the outcome.
type Attempt[T any] interface {
	// Do makes the call. ctx ends with the time that the call has.
	Do(ctx context.Context) T
	// Ended returns the outcome if Do ended its goroutine.
	Ended() T
	// Done is told that Do returned in time, before the caller is. It may end its
	// goroutine.
	Done(outcome T)
	// Late is told that Do returned after it was given up.
	Late(outcome T)
}

// Run makes an attempt on a goroutine of its own and returns its outcome. If ctx ends
// first, or timeout passes first, Run gives the attempt up and returns the error of
// the context, also if the attempt ends because of that. The goroutine goes on then:
// running counts it. A timeout of 0 is none.
func Run[T any](ctx context.Context, running Starter, timeout time.Duration, a Attempt[T]) (T, error) {
	ctx, cancel := withTimeout(ctx, timeout)
	done := make(chan T, 1)
	var over atomic.Bool // whoever sets it first decides: a.Do returned in time, or was given up
	running.Go(func() {
		defer cancel()
		var out T
		returned := false
		defer func() {
			if !returned {
				out = a.Ended()
			}
			if ctx.Err() != nil || !over.CompareAndSwap(false, true) { // what ends with ctx is late, whoever sees it first
				a.Late(out)
				return
			}
			defer func() { done <- out }() // in a defer: a.Done may end this goroutine
			a.Done(out)
		}()
		out = a.Do(ctx)
		returned = true
	})
	select {
	case out := <-done:
		return out, nil
	case <-ctx.Done():
		if over.CompareAndSwap(false, true) {
			var none T
			return none, ctx.Err()
		}
		return <-done, nil // it was just in time
	}
}

func withTimeout(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	if d == 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, d)
}

// Contain runs f on a goroutine of its own and waits for it, so that an f that ends its
// goroutine does not end the caller's.
func Contain(running Starter, f func()) {
	done := make(chan struct{})
	running.Go(func() {
		defer close(done)
		f()
	})
	<-done
}
