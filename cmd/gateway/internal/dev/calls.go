package dev

import (
	"fmt"
	"net/http"
	"strings"
	"time"
)

// calls serves all requests with h, and prints a line for each call of an API of the service.
func (s *server) calls(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") != "" || strings.Contains(r.URL.Path+"/", "/@connections/") {
			h.ServeHTTP(w, r) // the observer tells of these
			return
		}
		began := time.Now()
		if apiID, ok := stageMade(r); ok {
			defer s.newStages(apiID, s.dialled(apiID))
		}
		c := &counted{ResponseWriter: w, status: http.StatusOK}
		h.ServeHTTP(c, r)
		look := plain
		switch {
		case c.status >= http.StatusBadRequest:
			look = red
		case r.Method == http.MethodGet:
			look = faint // Terraform reads much
		}
		if s.o.Quiet && c.status < http.StatusBadRequest {
			return
		}
		text := fmt.Sprintf("%s %s  %d  %.1f ms", r.Method, clip(visible(r.URL.EscapedPath()), 200), c.status, float64(time.Since(began).Microseconds())/1000)
		if c.status >= http.StatusBadRequest { // the message may have what the caller has signed
			text += "  " + errorType(c.Header())
		}
		s.print.line("control", cyan, s.print.paint(look, text))
	})
}

// errorType returns the name of the exception of an answer. The header is written as the
// service writes it, which is not as net/http does.
func errorType(h http.Header) string {
	for name, values := range h {
		if strings.EqualFold(name, "x-amzn-ErrorType") && len(values) == 1 {
			return values[0]
		}
	}
	return ""
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

// stageMade tells whether a call makes a stage, and of which API.
func stageMade(r *http.Request) (apiID string, ok bool) {
	path, ok := strings.CutPrefix(r.URL.Path, "/v2/apis/")
	apiID, rest, _ := strings.Cut(path, "/")
	return apiID, ok && apiID != "" && r.Method == http.MethodPost && rest == "stages"
}

// dialled are the addresses of the stages of an API, or of all.
func (s *server) dialled(apiID string) map[string]bool {
	all := map[string]bool{}
	stages, _ := s.plane.Stages(apiID) // what the store cannot read is not printed
	for _, st := range stages {
		all[st.URL] = true
	}
	return all
}

// newStages prints the addresses that were not there before.
func (s *server) newStages(apiID string, before map[string]bool) {
	stages, _ := s.plane.Stages(apiID)
	for _, st := range stages {
		if !before[st.URL] {
			s.print.note("stage %s of %s: %s", st.Name, visible(st.APIName), st.URL)
		}
	}
}
