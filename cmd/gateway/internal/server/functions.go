package server

import (
	"time"

	"example.com/gateway/lambda/process"
)

// lateCalls is how long a function that a reload has removed can still be called: a client
// that connects may have begun with the old routes, and a function may run for 15 minutes.
const lateCalls = 20 * time.Minute

// removed is a function that a reload has removed.
type removed struct {
	function *process.Function
	at       time.Time
}

// remove ends the processes of functions that no route names any more, after their events.
func (s *server) remove(functions []*process.Function) {
	now := time.Now()
	for _, f := range functions {
		f.Retire()
		s.removed = append(s.removed, removed{f, now})
	}
	for len(s.removed) > 0 && now.Sub(s.removed[0].at) > lateCalls {
		_ = s.removed[0].function.Close() // it never fails
		s.removed = s.removed[1:]
	}
}

// closeFunctions ends the processes of all functions.
func (s *server) closeFunctions() {
	_ = s.builder.Close() // it never fails
	for _, r := range s.removed {
		_ = r.function.Close()
	}
}
