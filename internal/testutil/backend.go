package testutil

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
)

// Backend is an HTTP server that records what it is asked.
type Backend struct {
	*httptest.Server

	mu       sync.Mutex // guards requests
	requests []Recorded
}

// Recorded is a request and its body.
type Recorded struct {
	*http.Request

	Text string // the body, which is read already
}

// NewBackend starts a Backend that answers like a handler, and ends with the test.
func NewBackend(tb testing.TB, answer http.HandlerFunc) *Backend {
	tb.Helper()
	b := &Backend{}
	b.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		b.mu.Lock()
		b.requests = append(b.requests, Recorded{r, string(body)})
		b.mu.Unlock()
		r.Body = io.NopCloser(bytes.NewReader(body))
		answer(w, r)
	}))
	tb.Cleanup(b.Close)
	return b
}

// Last returns the newest request.
func (b *Backend) Last(tb testing.TB) Recorded {
	tb.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.requests) == 0 {
		tb.Fatal("the backend was not asked")
	}
	return b.requests[len(b.requests)-1]
}

// Count returns how many requests there were.
func (b *Backend) Count() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.requests)
}

// OK answers with 200 and no body.
func OK(http.ResponseWriter, *http.Request) {}
