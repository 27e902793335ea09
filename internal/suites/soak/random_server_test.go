package soak_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
)

// action is the content of a client's message.
type action struct {
	Action string `json:"action"` // the route
	N      int    `json:"n"`      // number of the message
	Reply  int    `json:"reply"`  // bytes of padding in the reply
	Wait   int    `json:"wait"`   // milliseconds
	Posts  int    `json:"posts"`  // how many posts to the client itself come before the reply
	Pad    string `json:"pad"`
}

// randomServer is the gateway of the random soak, with its backend.
type randomServer struct {
	gw     *gateway.Gateway
	ledger *ledger
	url    string // of the server
	// A $connect for which the client asks so sends to holding, and then waits for
	// release.
	holding, release chan struct{}
	http             *http.Client
}

// newRandomServer returns a gateway whose integrations time out after lateAfter. Only
// the route "late" takes that long; if the machine is fast enough, everything else is
// done long before.
func newRandomServer(t *testing.T, lateAfter time.Duration) *randomServer {
	t.Helper()
	s := &randomServer{
		ledger:  newLedger(lateAfter),
		http:    &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 16}},
		holding: make(chan struct{}, heldUpgrades), release: make(chan struct{}),
	}
	gw, err := gateway.New(
		gateway.WithQuotas(gateway.Quotas{
			NewConnections:     gateway.Throttle{RateLimit: -1},
			IntegrationTimeout: lateAfter,
			WriteTimeout:       patience, // no client is slow on purpose
			SendBufferMessages: 48, SendBufferBytes: 256 << 10,
		}),
		gateway.WithoutManagementAuth(),
		gateway.WithObserver(&gateway.Observer{
			ConnectionOpened: func(_ context.Context, c gateway.Connection) { s.ledger.opened(c.ID) },
			ConnectionClosed: func(_ context.Context, c gateway.Connection, _ int, _ string) { s.ledger.closed(c.ID) },
			MessageSent:      func(_ context.Context, id string, _ int) { s.ledger.observed(id, true) },
			PostFailed:       func(_ context.Context, id string, _ int, _ error) { s.ledger.observed(id, false) },
			IntegrationDone:  s.integrationDone,
			MessageRejected: func(_ context.Context, req *gateway.Request, _ int, _ error) {
				s.message(req, func(*record, action) (*gateway.Response, error) { return nil, nil }) //nolint:errcheck // it cannot fail
			},
		}),
	)
	require.NoError(t, err)
	s.gw = gw
	gw.HandleFunc("$connect", s.connect)
	gw.HandleFunc("$disconnect", func(_ context.Context, req *gateway.Request) (*gateway.Response, error) {
		s.ledger.disconnect(req)
		return nil, nil
	})
	for key, do := range s.routes() {
		gw.HandleFunc(key, func(ctx context.Context, req *gateway.Request) (*gateway.Response, error) {
			return s.message(req, func(r *record, a action) (*gateway.Response, error) { return do(ctx, r, a) })
		}, gateway.WithRouteResponse())
	}
	return s
}

func (s *randomServer) handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", s.gw.Handler())
	mux.Handle("/@connections/", s.gw.ManagementHandler())
	return mux
}

func (s *randomServer) connect(_ context.Context, req *gateway.Request) (*gateway.Response, error) {
	query := req.Upgrade.URL.Query()
	life, err := strconv.Atoi(query.Get("life"))
	if err != nil {
		return nil, err
	}
	if query.Has("hold") {
		s.holding <- struct{}{}
		<-s.release
	}
	accept := !query.Has("refuse")
	s.ledger.connect(life, req.ConnectionID, accept)
	if !accept {
		return &gateway.Response{StatusCode: http.StatusForbidden}, nil
	}
	return nil, nil
}

// integrationDone checks whether an integration timed out.
func (s *randomServer) integrationDone(_ context.Context, req *gateway.Request, _ *gateway.Response, _ time.Duration, err error) {
	if errors.Is(err, context.DeadlineExceeded) && req.EventType == gateway.EventMessage {
		s.ledger.givenUp(req.ConnectionID, req.RouteKey != "late")
	}
}

// message records a message, and does what the client asks for.
func (s *randomServer) message(req *gateway.Request, do func(*record, action) (*gateway.Response, error)) (*gateway.Response, error) {
	var a action
	if err := json.Unmarshal(req.Body, &a); err != nil {
		s.ledger.fault(-1, "a message that cannot be parsed: %v", err)
		return nil, err
	}
	r := s.ledger.begin(req.ConnectionID, a.N, a.Action != "note")
	if r == nil {
		return nil, errors.New("over")
	}
	defer s.ledger.end(r, a.N)
	return do(r, a)
}

var errOnPurpose = errors.New("on purpose")

// routes returns what integrations do, by route key.
func (s *randomServer) routes() map[string]func(context.Context, *record, action) (*gateway.Response, error) {
	reply := func(r *record, a action) (*gateway.Response, error) {
		r.mu.Lock()
		defer r.mu.Unlock()
		return &gateway.Response{Body: replyText(a.N, r.accepted, a.Reply)}, nil
	}
	return map[string]func(context.Context, *record, action) (*gateway.Response, error){
		"echo": func(_ context.Context, r *record, a action) (*gateway.Response, error) { return reply(r, a) },
		"note": func(context.Context, *record, action) (*gateway.Response, error) { return nil, nil },
		"slow": func(ctx context.Context, r *record, a action) (*gateway.Response, error) {
			wait(ctx, time.Duration(a.Wait)*time.Millisecond)
			return reply(r, a)
		},
		"stubborn": func(ctx context.Context, r *record, a action) (*gateway.Response, error) {
			wait(context.WithoutCancel(ctx), time.Duration(a.Wait)*time.Millisecond)
			return reply(r, a)
		},
		"late": func(ctx context.Context, _ *record, a action) (*gateway.Response, error) {
			<-ctx.Done()
			wait(context.WithoutCancel(ctx), time.Duration(a.Wait)*time.Millisecond)
			return nil, ctx.Err()
		},
		"fail": func(_ context.Context, _ *record, a action) (*gateway.Response, error) {
			switch a.N % 3 {
			case 0:
				panic(errOnPurpose)
			case 1:
				runtime.Goexit()
			}
			return nil, errOnPurpose
		},
		"post": func(ctx context.Context, r *record, a action) (*gateway.Response, error) {
			for n := range a.Posts {
				size := a.Reply
				if n >= floodLarge { // fills the queue, as the posts before have filled the socket
					size /= 32
				}
				_ = s.ledger.post(r, func(seq int) error { return s.gw.PostToConnection(ctx, r.id, postText(seq, size)) })
			}
			return reply(r, a)
		},
		"bye": func(ctx context.Context, r *record, a action) (*gateway.Response, error) {
			s.ledger.remove(r, func() error { return s.gw.DeleteConnection(ctx, r.id) })
			return reply(r, a)
		},
	}
}

func wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// backend posts and deletes while integrations run.
type backend struct {
	*randomServer
	rate     int
	seed     uint64
	deleting sync.WaitGroup
	posting  sync.WaitGroup
}

// start posts until noPosts is closed, and deletes until noDeletes is closed.
func (d *backend) start(noDeletes, noPosts <-chan struct{}) {
	for n := range 3 {
		d.every(&d.posting, noPosts, 3*4, n, func(rnd *rand.Rand) { d.post(rnd) })
		d.every(&d.posting, noPosts, 3*40, 10+n, d.postHTTP)
	}
	d.every(&d.posting, noPosts, 400, 20, d.broadcast)
	d.every(&d.deleting, noDeletes, 200, 30, d.remove)
}

// every calls do once each time that the clients have done this number of actions.
func (d *backend) every(wg *sync.WaitGroup, stop <-chan struct{}, actions, stream int, do func(*rand.Rand)) {
	const tick = 10 * time.Millisecond
	rnd := rand.New(rand.NewPCG(d.seed, 1<<62+uint64(stream))) //nolint:gosec // must be repeatable
	wg.Go(func() {
		ticker := time.NewTicker(tick)
		defer ticker.Stop()
		for due := 0.0; ; {
			select {
			case <-ticker.C:
			case <-stop:
				return
			}
			for due += float64(d.rate) * tick.Seconds() / float64(actions); due >= 1; due-- {
				do(rnd)
			}
		}
	})
}

// sizeOf returns a random length for a text's padding, usually short.
func sizeOf(rnd *rand.Rand) int {
	switch n := rnd.IntN(100); {
	case n < 90:
		return rnd.IntN(200)
	case n < 99:
		return rnd.IntN(8 << 10)
	}
	return rnd.IntN(60 << 10)
}

func (d *backend) post(rnd *rand.Rand) {
	r := d.ledger.pick(rnd)
	if r == nil {
		return
	}
	defer d.ledger.leave(r)
	size := sizeOf(rnd)
	_ = d.ledger.post(r, func(seq int) error {
		return d.gw.PostToConnection(context.Background(), r.id, postText(seq, size))
	})
}

func (d *backend) postHTTP(rnd *rand.Rand) {
	r := d.ledger.pick(rnd)
	if r == nil {
		return
	}
	defer d.ledger.leave(r)
	size := sizeOf(rnd)
	_ = d.ledger.post(r, func(seq int) error { return d.call(http.MethodPost, r.id, postText(seq, size)) })
}

func (d *backend) call(method, id string, body []byte) error {
	req, err := http.NewRequest(method, d.url+"/@connections/"+url.PathEscape(id), bytes.NewReader(body))
	if err != nil {
		return err
	}
	resp, err := d.http.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return err
	}
	switch resp.StatusCode {
	case http.StatusOK, http.StatusNoContent:
		return nil
	case http.StatusGone:
		return gateway.ErrGone
	case http.StatusTooManyRequests:
		return gateway.ErrLimitExceeded
	}
	return fmt.Errorf("%s: %s", method, resp.Status)
}

// broadcast posts one text to many connections at once.
func (d *backend) broadcast(rnd *rand.Rand) {
	var to []*record
	var ids []string
	var over []bool
	for range 20 {
		r := d.ledger.pick(rnd)
		if r == nil {
			continue
		}
		if !r.posting.TryLock() { // another goroutine posts to it, or it was picked twice
			d.ledger.leave(r)
			continue
		}
		r.mu.Lock()
		to, ids, over = append(to, r), append(ids, r.id), append(over, r.disconnects > 0 || r.gone > 0)
		r.mu.Unlock()
	}
	errs := d.gw.PostToConnections(context.Background(), ids, []byte(broadcastText))
	for n, r := range to {
		r.mu.Lock()
		var err error
		if errs != nil {
			err = errs[n]
		}
		d.ledger.noteLocked(r, err, over[n])
		r.mu.Unlock()
		r.posting.Unlock()
		d.ledger.leave(r)
	}
}

func (d *backend) remove(rnd *rand.Rand) {
	r := d.ledger.pick(rnd)
	if r == nil {
		return
	}
	defer d.ledger.leave(r)
	d.ledger.remove(r, func() error {
		if rnd.IntN(4) == 0 {
			return d.call(http.MethodDelete, r.id, nil)
		}
		return d.gw.DeleteConnection(context.Background(), r.id)
	})
}
