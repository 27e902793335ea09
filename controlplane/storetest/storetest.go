// Package storetest tests that a store of the control plane keeps its contract, whatever
// it keeps the documents in.
package storetest

import (
	"errors"
	"fmt"
	"reflect"
	"sync"
	"testing"
	"time"
)

// Run tests the stores that open returns. Each call of open returns a new store that is
// empty. Run closes it.
func Run(t *testing.T, open func(t *testing.T) Store) {
	t.Helper()
	for name, test := range map[string]func(testing.TB, Store){
		"an empty store":              empty,
		"put, replace, get":           putAndGet,
		"an update is all or nothing": allOrNothing,
		"a panic changes nothing":     panics,
		"delete by prefix":            deleteByPrefix,
		"pages by key":                pages,
		"a view is a snapshot":        snapshot,
		"an update sees itself":       ownChanges,
		"values are copied":           copies,
		"nothing is empty":            nothingEmpty,
		"concurrent use":              concurrent,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open(t)
			t.Cleanup(func() { _ = s.Close() })
			test(t, s)
		})
	}
}

func empty(t testing.TB, s Store) {
	view(t, s, func(r Reader) {
		value, err := r.Get("apis/a")
		ok(t, err)
		equal(t, value == nil, true)
		keys, values, err := r.List("", "", 0)
		ok(t, err)
		equal(t, len(keys)+len(values), 0)
	})
	update(t, s, func(w Writer) { ok(t, w.Delete("apis/a")) })
}

func putAndGet(t testing.TB, s Store) {
	put(t, s, "apis/a", `{"name":"a"}`, "apis/b", "b")
	put(t, s, "apis/a", `{"name":"c"}`)
	holds(t, s, "apis/a", `{"name":"c"}`, "apis/b", "b")
}

func allOrNothing(t testing.TB, s Store) {
	put(t, s, "apis/a", "a", "apis/a/routes/1", "1")
	failure := errors.New("no")
	err := s.Update(func(w Writer) error {
		ok(t, w.Put("apis/b", []byte("b")))
		ok(t, w.Put("apis/a", []byte("changed")))
		ok(t, w.Delete("apis/a/routes"))
		return failure
	})
	equal(t, errors.Is(err, failure), true)
	holds(t, s, "apis/a", "a", "apis/a/routes/1", "1")
	equal(t, errors.Is(s.View(func(Reader) error { return failure }), failure), true)
}

func panics(t testing.TB, s Store) {
	func() {
		defer func() { equal(t, recover(), any("no")) }()
		_ = s.Update(func(w Writer) error {
			ok(t, w.Put("apis/a", []byte("a")))
			panic("no")
		})
	}()
	func() {
		defer func() { equal(t, recover(), any("no")) }()
		_ = s.View(func(Reader) error { panic("no") })
	}()
	put(t, s, "apis/b", "b") // no lock remains
	holds(t, s, "apis/b", "b")
}

func deleteByPrefix(t testing.TB, s Store) {
	all := []string{
		"apis/a", "1", "apis/a/routes/r", "2", "apis/a/routes/r/routeresponses/x", "3", "apis/a/stages/s", "4",
		"apis/a-b", "5", "apis/a0", "6", "apis/ab", "7", "domainnames/a", "8",
	}
	put(t, s, all...)
	update(t, s, func(w Writer) { ok(t, w.Delete("apis/a/routes/")) })
	holds(t, s, "apis/a", "1", "apis/a-b", "5", "apis/a/stages/s", "4", "apis/a0", "6", "apis/ab", "7", "domainnames/a", "8")
	update(t, s, func(w Writer) { ok(t, w.Delete("apis/a")) })
	holds(t, s, "apis/a-b", "5", "apis/a0", "6", "apis/ab", "7", "domainnames/a", "8")

	var many []string
	for n := range 500 {
		many = append(many, fmt.Sprintf("apis/m/routes/%03d", n), "x")
	}
	put(t, s, many...)
	update(t, s, func(w Writer) { ok(t, w.Delete("apis/m")) })
	holds(t, s, "apis/a-b", "5", "apis/a0", "6", "apis/ab", "7", "domainnames/a", "8")
}

func pages(t testing.TB, s Store) {
	var want []string
	for n := range 25 {
		key := fmt.Sprintf("apis/a/routes/%02d", n)
		want = append(want, key)
		put(t, s, key, "x")
	}
	put(t, s, "apis/a", "x", "apis/b", "x")
	for _, limit := range []int{1, 2, 7, 25, 26, 0} {
		var got []string
		for after := ""; ; {
			var keys []string
			view(t, s, func(r Reader) {
				var values [][]byte
				var err error
				keys, values, err = r.List("apis/a/routes/", after, limit)
				ok(t, err)
				equal(t, len(values), len(keys))
				equal(t, limit == 0 || len(keys) <= limit, true)
			})
			if len(keys) == 0 {
				break
			}
			got = append(got, keys...)
			after = keys[len(keys)-1]
			// A key before the position and the deletion of the position move nothing.
			put(t, s, "apis/a/routes/0", "x")
			update(t, s, func(w Writer) { ok(t, w.Delete(after)) })
			put(t, s, after, "x")
			update(t, s, func(w Writer) { ok(t, w.Delete("apis/a/routes/0")) })
		}
		equal(t, got, want)
	}
	view(t, s, func(r Reader) {
		keys, _, err := r.List("apis/", "apis/a/routes/23", 2)
		ok(t, err)
		equal(t, keys, []string{"apis/a/routes/24", "apis/b"})
		keys, _, err = r.List("apis/a/", "apis/b", 0)
		ok(t, err)
		equal(t, len(keys), 0)
		keys, _, err = r.List("apis/", "apis/a/\xff", 1) // past everything below apis/a
		ok(t, err)
		equal(t, keys, []string{"apis/b"})
		keys, _, err = r.List("apis/a/", "a", 1) // a position before the prefix
		ok(t, err)
		equal(t, keys, []string{"apis/a/routes/00"})
	})
}

func snapshot(t testing.TB, s Store) {
	put(t, s, "apis/a", "old", "apis/b", "old")
	written, committed := make(chan struct{}), make(chan struct{})
	var failed error
	change := func() {
		defer close(committed)
		failed = s.Update(func(w Writer) error {
			defer close(written)
			return errors.Join(w.Put("apis/a", []byte("new")), w.Delete("apis/b"))
		})
	}
	view(t, s, func(r Reader) {
		for n, reached := range []chan struct{}{written, committed} {
			for _, key := range []string{"apis/a", "apis/b"} {
				value, err := r.Get(key)
				ok(t, err)
				equal(t, string(value), "old")
			}
			if n == 0 {
				go change()
			}
			// A store may let the update wait for the view.
			select {
			case <-reached:
			case <-time.After(100 * time.Millisecond):
			}
		}
		keys, _, err := r.List("apis/", "", 0)
		ok(t, err)
		equal(t, keys, []string{"apis/a", "apis/b"})
	})
	<-committed
	ok(t, failed)
	holds(t, s, "apis/a", "new")
}

// Nothing empty is stored, and nothing is deleted by mistake.
func nothingEmpty(t testing.TB, s Store) {
	put(t, s, "apis/a", "a")
	for _, change := range []func(Writer) error{
		func(w Writer) error { return w.Put("", []byte("x")) },
		func(w Writer) error { return w.Put("apis/a", nil) },
		func(w Writer) error { return w.Put("apis/a", []byte{}) },
		func(w Writer) error { return w.Delete("") },
	} {
		update(t, s, func(w Writer) {
			if change(w) == nil {
				t.Fatal("an empty key or value is no error")
			}
		})
		holds(t, s, "apis/a", "a")
	}
}

func ownChanges(t testing.TB, s Store) {
	put(t, s, "apis/a", "old", "apis/b", "old")
	update(t, s, func(w Writer) {
		ok(t, w.Put("apis/a", []byte("new")))
		ok(t, w.Delete("apis/b"))
		ok(t, w.Put("apis/c", []byte("new")))
		value, err := w.Get("apis/a")
		ok(t, err)
		equal(t, string(value), "new")
		keys, _, err := w.List("apis/", "", 0)
		ok(t, err)
		equal(t, keys, []string{"apis/a", "apis/c"})
	})
}

func copies(t testing.TB, s Store) {
	mine := []byte("abc")
	update(t, s, func(w Writer) {
		ok(t, w.Put("apis/a", mine))
		mine[0] = 'x'
		value, err := w.Get("apis/a")
		ok(t, err)
		ok(t, w.Put("apis/a", []byte("new"))) // what was read stays as it was read
		ok(t, w.Delete("apis/b"))
		equal(t, string(value), "abc")
	})
	holds(t, s, "apis/a", "new")
}

// Each update moves one unit between two keys, so that every state has the same sum.
func concurrent(t testing.TB, s Store) {
	put(t, s, "apis/a", string(rune(50)), "apis/b", string(rune(50)))
	read := func(r Reader) (a, b byte, err error) {
		va, err1 := r.Get("apis/a")
		vb, err2 := r.Get("apis/b")
		if err := errors.Join(err1, err2); err != nil {
			return 0, 0, err
		}
		return va[0], vb[0], nil
	}
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 10 {
				if err := s.Update(func(w Writer) error {
					a, b, err := read(w)
					if err != nil {
						return err
					}
					return errors.Join(w.Put("apis/a", []byte{a - 1}), w.Put("apis/b", []byte{b + 1}))
				}); err != nil {
					t.Error(err)
				}
			}
		})
		all.Go(func() {
			for range 100 {
				if err := s.View(func(r Reader) error {
					a, b, err := read(r)
					if err == nil && a+b != 100 {
						err = fmt.Errorf("a view saw %d and %d", a, b)
					}
					return err
				}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	holds(t, s, "apis/a", string(rune(10)), "apis/b", string(rune(90)))
}

// view and update fail the test if the store fails.
func view(t testing.TB, s Store, read func(Reader)) {
	t.Helper()
	ok(t, s.View(func(r Reader) error { read(r); return nil }))
}

func update(t testing.TB, s Store, change func(Writer)) {
	t.Helper()
	ok(t, s.Update(func(w Writer) error { change(w); return nil }))
}

// put puts pairs of keys and values in one update.
func put(t testing.TB, s Store, pairs ...string) {
	t.Helper()
	update(t, s, func(w Writer) {
		for n := 0; n < len(pairs); n += 2 {
			ok(t, w.Put(pairs[n], []byte(pairs[n+1])))
		}
	})
}

// holds requires that the store has these pairs, in the order of the keys, and no more.
func holds(t testing.TB, s Store, pairs ...string) {
	t.Helper()
	var got []string
	view(t, s, func(r Reader) {
		keys, values, err := r.List("", "", 0)
		ok(t, err)
		for n, key := range keys {
			got = append(got, key, string(values[n]))
		}
	})
	equal(t, got, pairs)
}

func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func equal(t testing.TB, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("got %v, want %v", got, want)
	}
}
