package process

import (
	"context"
	"net/http"
	goruntime "runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway/lambda"
)

// idle makes a function with processes that wait for an event, and are none in truth.
func idle(t *testing.T, n int) *Function {
	t.Helper()
	f := &Function{
		cfg: Config{Concurrency: n, Timeout: time.Minute}, code: &code{}, all: map[*process]struct{}{},
		processes: n, idle: time.Hour,
	}
	for range n {
		p := &process{fn: f, code: f.code, events: make(chan *invocation, 1)}
		p.timer = time.AfterFunc(time.Hour, func() {})
		t.Cleanup(func() { p.timer.Stop() })
		f.all[p] = struct{}{}
		f.free = append(f.free, p)
	}
	return f
}

// arrive lets events arrive.
func (f *Function) arrive(n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for range n {
		f.enqueue(len(f.queue), &invocation{arrived: time.Now(), done: make(chan outcome, 1)})
		f.advance(lifetime())
	}
}

// finishOne ends the event of a process after a time, and the process asks for the next.
func (f *Function) finishOne(after time.Duration) {
	time.Sleep(after) //nolint:forbidigo // in a bubble
	f.mu.Lock()
	defer f.mu.Unlock()
	for p := range f.all {
		if p.current != nil {
			<-p.events
			f.took(p.current)
			p.current.finish(nil, nil)
			f.release(lifetime(), p)
			return
		}
	}
}

// state returns how many events run, and how many wait.
func (f *Function) state() [2]int {
	f.mu.Lock()
	defer f.mu.Unlock()
	running, _ := f.count()
	return [2]int{running, len(f.queue)}
}

// Short events share as many processes as there are cores. One that waits too long, and the
// events of a function that waits for others, get one more.
func TestFunction_Hesitates(t *testing.T) {
	t.Parallel()
	cores := goruntime.GOMAXPROCS(0)
	synctest.Test(t, func(t *testing.T) {
		f := idle(t, cores+3)
		f.arrive(cores + 2)
		require.Equal(t, [2]int{cores, 2}, f.state())
		f.finishOne(hesitation / 2)
		require.Equal(t, [2]int{cores, 1}, f.state(), "the process that is free takes the next")
		time.Sleep(hesitation) //nolint:forbidigo // in a bubble
		synctest.Wait()
		require.Equal(t, [2]int{cores + 1, 0}, f.state(), "it has waited long enough")
		for range cores + 1 {
			f.finishOne(time.Second)
		}
		require.Equal(t, [2]int{0, 0}, f.state())
		f.arrive(cores + 3)
		require.Equal(t, [2]int{cores + 3, 0}, f.state(), "its events take long")
		f.arrive(1)
		require.Equal(t, [2]int{cores + 3, 1}, f.state(), "there is no process left")
		f.finishOne(time.Second)
		require.Equal(t, [2]int{cores + 3, 0}, f.state())
	})
}

// Only so many events wait for a function, and only so many bytes. What does not wait any
// more makes room.
func TestFunction_TooManyWait(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		size, room int
	}{
		"events": {1, mostWaiting},
		"bytes":  {maxRequest, mostWaitingBytes / maxRequest},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f, err := New(Config{Name: "chat", Dir: t.TempDir(), Command: []string{"sh"}, Concurrency: 1, Unchanging: true})
				require.NoError(t, err)
				f.processes = 1 // it is none in truth, and busy
				payload := make([]byte, tt.size)
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				errs := make(chan error, tt.room)
				for range tt.room {
					go func() {
						_, err := f.InvokeFunction(ctx, payload)
						errs <- err
					}()
				}
				synctest.Wait()
				require.Empty(t, errs)
				_, err = f.InvokeFunction(t.Context(), payload)
				var refused *lambda.InvokeError
				require.ErrorAs(t, err, &refused)
				require.Equal(t, http.StatusTooManyRequests, refused.StatusCode)
				require.Equal(t, "TooManyRequestsException", refused.Type)
				cancel()
				for range tt.room {
					require.ErrorIs(t, <-errs, context.Canceled)
				}
				require.Zero(t, f.waits)
				late := make(chan error, 1)
				go func() {
					_, err := f.InvokeFunction(t.Context(), payload)
					late <- err
				}()
				synctest.Wait()
				require.Empty(t, late)
				require.NoError(t, f.Close())
				require.ErrorContains(t, <-late, "the function is closed")
				require.Zero(t, f.waits)
			})
		})
	}
}

// A request ID is a UUID: it is a part of a path and of headers.
func TestFunction_InvokeID(t *testing.T) {
	t.Parallel()
	f, err := New(Config{Dir: t.TempDir(), Command: []string{"sh"}})
	require.NoError(t, err)
	for _, id := range []string{"", "x", "8e6b1d0c2a774f0e9d1b6a5c4f3e2d10", "8e6b1d0c-2a77-4f0e-9d1b-6a5c4f3e2d1g", "8e6b1d0c-2a77-4f0e-9d1b-6a5c4f3e2d1", newUUID() + "0", "8e6b1d0c/2a77-4f0e-9d1b-6a5c4f3e2d10"} {
		_, err := f.Invoke(t.Context(), id, nil)
		require.ErrorContains(t, err, "is not a UUID", id)
	}
	require.True(t, isUUID(newUUID()))
	require.True(t, isUUID("8E6B1D0C-2A77-4F0E-9D1B-6A5C4F3E2D10"))
	require.NoError(t, f.Close())
}
