package bounded_test

import (
	"context"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway/internal/bounded"
)

// attempt records what it was told.
type attempt struct {
	do         func(ctx context.Context) string
	inDone     func()
	done, late []string
}

func (a *attempt) Do(ctx context.Context) string { return a.do(ctx) }
func (a *attempt) Ended() string                 { return "ended" }
func (a *attempt) Late(outcome string)           { a.late = append(a.late, outcome) }

func (a *attempt) Done(outcome string) {
	a.done = append(a.done, outcome)
	if a.inDone != nil {
		a.inDone()
	}
}

func TestRun(t *testing.T) {
	t.Parallel()
	sleep := func(d time.Duration) { time.Sleep(d) } //nolint:forbidigo // in a synctest bubble
	sleeps := func(d time.Duration) func(context.Context) string {
		return func(context.Context) string { sleep(d); return "returned" }
	}
	for _, tt := range []struct {
		name    string
		attempt attempt
		timeout time.Duration
		cancel  time.Duration // 0: never
		want    string
		wantErr error
		takes   time.Duration
		late    string
	}{
		{name: "it returns at once", attempt: attempt{do: sleeps(0)}, timeout: time.Second, want: "returned"},
		{name: "it returns in time", attempt: attempt{do: sleeps(time.Second - 1)}, timeout: time.Second, want: "returned", takes: time.Second - 1},
		{name: "it takes too long", attempt: attempt{do: sleeps(time.Hour)}, timeout: time.Second, wantErr: context.DeadlineExceeded, takes: time.Second, late: "returned"},
		{name: "no timeout", attempt: attempt{do: sleeps(time.Hour)}, want: "returned", takes: time.Hour},
		{name: "the context ends", attempt: attempt{do: sleeps(time.Hour)}, cancel: time.Minute, wantErr: context.Canceled, takes: time.Minute, late: "returned"},
		{
			name:    "it ends with its context",
			attempt: attempt{do: func(ctx context.Context) string { <-ctx.Done(); return "gave up" }},
			timeout: time.Second, wantErr: context.DeadlineExceeded, takes: time.Second, late: "gave up",
		},
		{name: "it ends its goroutine", attempt: attempt{do: func(context.Context) string { runtime.Goexit(); return "" }}, timeout: time.Second, want: "ended"},
		{
			name:    "it ends its goroutine too late",
			attempt: attempt{do: func(context.Context) string { sleep(time.Hour); runtime.Goexit(); return "" }},
			timeout: time.Second, wantErr: context.DeadlineExceeded, takes: time.Second, late: "ended",
		},
		{name: "whoever is told ends the goroutine", attempt: attempt{do: sleeps(0), inDone: runtime.Goexit}, timeout: time.Second, want: "returned"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				if tt.cancel > 0 {
					time.AfterFunc(tt.cancel, cancel)
				}
				var running sync.WaitGroup
				begin, a := time.Now(), tt.attempt
				got, err := bounded.Run(ctx, &running, tt.timeout, &a)
				took := time.Since(begin)
				require.ErrorIs(t, err, tt.wantErr)
				require.Equal(t, tt.want, got)
				require.Equal(t, tt.takes, took)
				running.Wait()
				if tt.wantErr == nil {
					require.Equal(t, []string{tt.want}, a.done)
					require.Empty(t, a.late)
				} else {
					require.Equal(t, []string{tt.late}, a.late)
					require.Empty(t, a.done)
				}
			})
		})
	}
}

func TestContain(t *testing.T) {
	t.Parallel()
	var running sync.WaitGroup
	ran := false
	bounded.Contain(&running, func() { ran = true; runtime.Goexit() })
	require.True(t, ran)
	running.Wait()
}
