package faults_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"runtime"
	"strings"
	"sync"
	"time"

	"example.com/gateway"
)

// quotasEnv holds the quotas of the server program, as JSON.
const quotasEnv = "GATEWAY_FAULTS_QUOTAS"

// server is the program that runs the server.
type server struct {
	*gateway.Gateway
	web *http.Server

	mu      sync.Mutex // guards the fields below
	changed sync.Cond  // for ended
	opened  int
	closed  map[string]int // as the observer reports, by connection ID
	left    map[string]int // $disconnect events, by connection ID
	ended   int
	ends    map[int]int // $disconnect events, by code
}

func serverProgram() (map[string]command, func() error, error) {
	s := &server{closed: map[string]int{}, left: map[string]int{}, ends: map[int]int{}}
	s.changed.L = &s.mu
	var quotas gateway.Quotas
	if err := json.Unmarshal([]byte(os.Getenv(quotasEnv)), &quotas); err != nil {
		return nil, nil, err
	}
	quotas.NewConnections.RateLimit = -1
	gw, err := gateway.New(gateway.WithQuotas(quotas), gateway.WithObserver(&gateway.Observer{
		ConnectionOpened: func(context.Context, gateway.Connection) { s.note(func() { s.opened++ }) },
		ConnectionClosed: func(_ context.Context, c gateway.Connection, _ int, _ string) {
			s.note(func() { s.closed[c.ID]++ })
		},
	}))
	if err != nil {
		return nil, nil, err
	}
	s.Gateway = gw
	gw.HandleFunc(gateway.RouteKeyDefault, func(_ context.Context, req *gateway.Request) (*gateway.Response, error) {
		return &gateway.Response{Body: req.Body}, nil
	}, gateway.WithRouteResponse())
	gw.HandleFunc(gateway.RouteKeyDisconnect, func(_ context.Context, req *gateway.Request) (*gateway.Response, error) {
		s.note(func() {
			s.left[req.ConnectionID]++
			s.ends[req.DisconnectStatusCode]++
			s.ended++
		})
		return nil, nil
	})
	var lc net.ListenConfig
	l, err := lc.Listen(context.Background(), "tcp", ":"+port)
	if err != nil {
		return nil, nil, err
	}
	s.web = &http.Server{Handler: gw.Handler(), ReadHeaderTimeout: patience}
	go func() { _ = s.web.Serve(smallBuffers{l}) }() // ends with the program
	return map[string]command{
		"report":  func(...int) (any, error) { return s.report(), nil },
		"await":   func(args ...int) (any, error) { return nil, s.await(args[0]) },
		"post":    func(args ...int) (any, error) { return s.postAll(args[0]), nil },
		"delete":  func(...int) (any, error) { return nil, s.deleteAll() },
		"flood":   func(args ...int) (any, error) { return s.flood(args[0], args[1], args[2]) },
		"retrans": func(...int) (any, error) { return retransmitted() },
	}, s.end, nil
}

func (s *server) note(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
	s.changed.Broadcast()
}

// report says what has happened to the connections so far.
type report struct {
	Opened, Open int
	Twice        int         // connections that ended more than once
	Ends         map[int]int // $disconnect events, by code
}

func (s *server) report() report {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := report{Opened: s.opened, Ends: s.ends}
	for range s.Connections() {
		r.Open++
	}
	for id, times := range s.left {
		if times != 1 || s.closed[id] != 1 {
			r.Twice++
		}
	}
	return r
}

// await waits until n connections have ended.
func (s *server) await(n int) error {
	timeout := time.AfterFunc(patience, func() { s.note(func() {}) })
	defer timeout.Stop()
	begin := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.ended < n {
		if time.Since(begin) > patience {
			return fmt.Errorf("only %d connections have ended", s.ended)
		}
		s.changed.Wait()
	}
	return nil
}

// outcomes counts the results of posts.
type outcomes struct{ Accepted, Limited, Gone, Other int }

func (o *outcomes) count(err error) {
	switch {
	case err == nil:
		o.Accepted++
	case errors.Is(err, gateway.ErrLimitExceeded):
		o.Limited++
	case errors.Is(err, gateway.ErrGone):
		o.Gone++
	default:
		o.Other++
	}
}

// postAll posts n messages to each connection.
func (s *server) postAll(n int) (o outcomes) {
	for c := range s.Connections() {
		for n := range n {
			o.count(s.PostToConnection(context.Background(), c.ID, []byte(numbered(n, 100))))
		}
	}
	return o
}

func (s *server) deleteAll() (err error) {
	for c := range s.Connections() {
		err = errors.Join(err, s.DeleteConnection(context.Background(), c.ID))
	}
	return err
}

// flooded is the result of a flood.
type flooded struct {
	Remote, Local outcomes
	Grown         int // bytes of heap and stacks
}

// flood posts rounds of messages to every connection. Some connections come from the
// server's own machine: these clients read all the time, and flood waits for them
// after every 16 rounds.
func (s *server) flood(locals, rounds, size int) (f flooded, err error) {
	peers := make([]*peer, locals)
	for n := range peers {
		peers[n] = &peer{}
		if err := peers[n].dial(net.JoinHostPort("127.0.0.1", port)); err != nil {
			return f, err
		}
	}
	counts := map[string]int{} // accepted posts, by connection
	local := map[string]bool{}
	for c := range s.Connections() {
		counts[c.ID], local[c.ID] = 0, c.Identity.SourceIP == "127.0.0.1"
	}
	before := memory()
	const window = 16
	for round := range rounds {
		for id, n := range counts {
			o := &f.Remote
			if local[id] {
				o, n = &f.Local, n%window // posts counts from 0 in each window
			}
			err := s.PostToConnection(context.Background(), id, []byte(numbered(n, size)))
			if err == nil {
				counts[id]++
			}
			o.count(err)
		}
		if (round+1)%window == 0 {
			if err := each(peers, func(p *peer) error { return p.posts(window) }); err != nil {
				return f, fmt.Errorf("round %d: %w", round, err)
			}
		}
	}
	f.Grown = memory() - before
	return f, each(peers, func(p *peer) error {
		p.write(closeFrame())
		_, err := p.next()
		return errors.Join(err, p.Close())
	})
}

// memory returns the bytes of heap and stacks in use.
func memory() int {
	runtime.GC()
	runtime.GC() // now, what pools held is free
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc + m.StackInuse)
}

// retransmitted returns how many TCP segments this network namespace has sent more
// than once.
func retransmitted() (n int, err error) {
	b, err := os.ReadFile("/proc/self/net/snmp")
	if err != nil {
		return 0, err
	}
	var names []string
	for line := range strings.Lines(string(b)) {
		words := strings.Fields(line)
		switch {
		case words[0] != "Tcp:":
		case names == nil:
			names = words
		default:
			for i, name := range names {
				if name == "RetransSegs" {
					_, err = fmt.Sscan(words[i], &n)
					return n, err
				}
			}
		}
	}
	return 0, errors.New("no RetransSegs")
}

// end checks that a shutdown leaves nothing running.
func (s *server) end() error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return errors.Join(s.Shutdown(ctx), s.web.Close())
}
