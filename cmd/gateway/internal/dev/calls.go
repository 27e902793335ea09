package dev

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"example.com/gateway/controlplane"
)

// calls serves all requests with h, and prints a line for each call of an API of the service.
func (s *server) calls(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") != "" || strings.Contains(r.URL.Path, "/@connections/") {
			h.ServeHTTP(w, r) // the observer tells of these
			return
		}
		began := time.Now()
		before := s.dialled()
		c := &counted{ResponseWriter: w, status: http.StatusOK}
		h.ServeHTTP(c, r)
		look := plain
		switch {
		case c.status >= http.StatusBadRequest:
			look = red
		case r.Method == http.MethodGet:
			look = faint // Terraform reads much
		}
		s.print.line("control", cyan, s.print.paint(look, fmt.Sprintf("%s %s  %d  %.1f ms",
			r.Method, clip(visible(r.URL.EscapedPath()), 200), c.status, float64(time.Since(began).Microseconds())/1000)))
		if r.Method != http.MethodGet {
			s.newStages(before)
		}
	})
}

// counted keeps the status of an answer.
type counted struct {
	http.ResponseWriter
	status int
}

// WriteHeader implements [http.ResponseWriter].
func (c *counted) WriteHeader(status int) {
	c.status = status
	c.ResponseWriter.WriteHeader(status)
}

// Unwrap lets an [http.ResponseController] reach what c hides.
func (c *counted) Unwrap() http.ResponseWriter { return c.ResponseWriter }

// dialled are the addresses of the stages that there are now.
func (s *server) dialled() map[string]controlplane.Stage {
	all := map[string]controlplane.Stage{}
	stages, _ := s.plane.Stages() // what the store cannot read is not printed
	for _, st := range stages {
		all[st.URL] = st
	}
	return all
}

// newStages prints the addresses that were not there before.
func (s *server) newStages(before map[string]controlplane.Stage) {
	for url, st := range s.dialled() {
		if _, old := before[url]; !old {
			s.print.note("stage %s of %s: %s", st.Name, st.APIName, url)
		}
	}
}
