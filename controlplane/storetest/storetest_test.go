package storetest

import (
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/gateway/controlplane"
)

// leaky is a store whose views see what an Update writes.
type leaky struct {
	Store
	inside controlplane.Writer
}

func (l *leaky) View(read func(Reader) error) error {
	return l.Store.Update(func(w Writer) error {
		l.inside = w
		defer func() { l.inside = nil }()
		return read(w)
	})
}

func (l *leaky) Update(change func(Writer) error) error {
	if l.inside != nil {
		return change(l.inside)
	}
	return l.Store.Update(change)
}

// failing notes whether a test fails.
type failing struct {
	testing.TB
	failed bool
}

func (f *failing) Helper()               {}
func (f *failing) Fatal(...any)          { f.failed = true; runtime.Goexit() }
func (f *failing) Fatalf(string, ...any) { f.Fatal() }

// A store without isolation does not pass.
func TestSnapshot_FindsLeaks(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		store  Store
		failed bool
	}{{controlplane.NewMemory(), false}, {&leaky{Store: controlplane.NewMemory()}, true}} {
		f := &failing{}
		done := make(chan struct{})
		go func() {
			defer close(done)
			snapshot(f, test.store)
		}()
		<-done
		require.Equal(t, test.failed, f.failed)
	}
}
