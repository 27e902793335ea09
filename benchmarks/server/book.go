package server

import (
	"io"
	"net/http"
	"strconv"
	"sync"
)

// book holds the open connections of a server by ID, as a program needs that wants to
// write to them.
type book[T any] struct {
	mu    sync.RWMutex // guards the fields below
	conns map[string]T
	last  int
}

func newBook[T any]() *book[T] { return &book[T]{conns: map[string]T{}} }

func (b *book[T]) add(conn T) (id string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.last++
	id = strconv.Itoa(b.last)
	b.conns[id] = conn
	return id
}

func (b *book[T]) remove(id string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.conns, id)
}

func (b *book[T]) find(id string) (conn T, ok bool) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	conn, ok = b.conns[id]
	return conn, ok
}

// all returns a copy of the open connections, so that no lock is held while the
// caller writes to them.
func (b *book[T]) all() []T {
	b.mu.RLock()
	defer b.mu.RUnlock()
	conns := make([]T, 0, len(b.conns))
	for _, c := range b.conns {
		conns = append(conns, c)
	}
	return conns
}

// serve is the smallest possible handler for posts: it looks up the connection and
// writes.
func (b *book[T]) serve(write func(conn T, message []byte) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, ok := b.find(r.PathValue("id"))
		if !ok {
			http.Error(w, "gone", http.StatusGone)
			return
		}
		message, err := io.ReadAll(r.Body)
		if err == nil {
			err = write(conn, message)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	})
}

// routes puts the upgrade and the posts of a server on one mux.
func routes(upgrade, posts http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", upgrade)
	if posts != nil {
		mux.Handle("POST /@connections/{id}", posts)
	}
	return mux
}
