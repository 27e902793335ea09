package lambda_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
	"example.com/gateway/gatewaytest"
	"example.com/gateway/lambda"
)

// peak counts the calls that run now, and the most that ran at once.
type peak struct {
	mu            sync.Mutex // guards the fields below
	running, most int
}

func (p *peak) begin() (running int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.running++
	p.most = max(p.most, p.running)
	return p.running
}

func (p *peak) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.running--
}

func (p *peak) atMost() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.most
}

// emulator behaves like a runtime interface emulator: if a call comes while another runs,
// it stops, and answers nothing any more.
type emulator struct {
	peak

	calls atomic.Int32
	dead  atomic.Bool
}

func (e *emulator) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if e.begin() > 1 {
		e.dead.Store(true)
	}
	defer e.end()
	body, _ := io.ReadAll(r.Body)
	for range 50 { // as long as other goroutines want to run
		_, _ = io.Copy(io.Discard, strings.NewReader(strings.Repeat(" ", 64<<10)))
	}
	if e.dead.Load() {
		panic(http.ErrAbortHandler)
	}
	e.calls.Add(1)
	if strings.Contains(string(body), "methodArn") {
		answers(`{"principalId":"x","policyDocument":{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}}`)(w, r)
		return
	}
	answers(`{"statusCode":200,"body":"done"}`)(w, r)
}

// A Function with a Concurrency of 1 never makes two calls to an emulator at once, however
// many clients there are and for whatever routes.
func TestFunction_Concurrency(t *testing.T) {
	t.Parallel()
	e := &emulator{}
	f := &lambda.Function{URL: endpoint(t, e.ServeHTTP), Concurrency: 1}
	srv := gatewaytest.New(t)
	srv.Handle(gateway.RouteKeyConnect, f, gateway.WithAuthorizer(f.Authorizer()))
	srv.Handle("m", f, gateway.WithRouteResponse())
	const clients, messages = 8, 5
	var all []*gatewaytest.Client
	for range clients {
		all = append(all, srv.Dial(t))
	}
	for _, c := range all {
		for range messages {
			c.Send(`{"action":"m"}`)
		}
	}
	for _, c := range all {
		for range messages {
			require.Equal(t, "done", c.Receive())
		}
	}
	require.Equal(t, 1, e.atMost())
	require.Equal(t, int32(clients*(2+messages)), e.calls.Load())
}

// A call frees its place however it ends. Nobody waits longer than the timeout, and a call
// that gave up waiting takes no place.
func TestFunction_ConcurrencyOfFailures(t *testing.T) {
	t.Parallel()
	for _, concurrency := range []int{1, 3} {
		synctest.Test(t, func(t *testing.T) {
			var calling peak
			f := &lambda.Function{
				URL: "http://x", Concurrency: concurrency, Timeout: 5 * time.Second,
				Sign: func(r *http.Request, body []byte) error {
					if strings.Contains(string(body), "unsigned") {
						return errors.New("no credentials")
					}
					return nil
				},
				Client: &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
					calling.begin()
					defer calling.end()
					body, _ := io.ReadAll(r.Body)
					switch {
					case strings.Contains(string(body), "lost"):
						return nil, errors.New("lost")
					case strings.Contains(string(body), "hangs"):
						<-r.Context().Done()
						return nil, r.Context().Err()
					}
					return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(`{"statusCode":200}`))}, nil
				})},
			}
			for _, text := range []string{"unsigned", "lost", "unsigned", "lost"} {
				_, err := f.Invoke(t.Context(), message(text))
				require.Error(t, err)
			}
			start := time.Now()
			var calls sync.WaitGroup
			waited := make(chan error, 10)
			for range concurrency {
				calls.Go(func() { _, _ = f.Invoke(t.Context(), message("hangs")) })
			}
			synctest.Wait()
			gone, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			for range 10 {
				calls.Go(func() {
					_, err := f.Invoke(gone, message("waits"))
					waited <- err
				})
			}
			for range 10 {
				err := <-waited
				requireFailed(t, err, http.StatusGatewayTimeout)
				require.ErrorContains(t, err, "waiting for one of")
			}
			require.Equal(t, time.Second, time.Since(start))
			_, err := f.Invoke(t.Context(), message("patient")) // its own timeout is a second later
			require.NoError(t, err)
			require.Equal(t, 5*time.Second, time.Since(start))
			calls.Wait()
			require.Equal(t, concurrency, calling.atMost())
		})
	}
}

// Without a Concurrency, or with a negative one, nobody waits.
func TestFunction_AnyConcurrency(t *testing.T) {
	t.Parallel()
	for _, concurrency := range []int{0, -1} {
		var arrived, calls sync.WaitGroup
		arrived.Add(8)
		f := &lambda.Function{Concurrency: concurrency, URL: endpoint(t, func(w http.ResponseWriter, r *http.Request) {
			arrived.Done()
			arrived.Wait()
			answers(`{"statusCode":200}`)(w, r)
		})}
		errs := make(chan error, 8)
		for range 8 {
			calls.Go(func() {
				_, err := f.Invoke(t.Context(), message(""))
				errs <- err
			})
		}
		calls.Wait()
		for range 8 {
			require.NoError(t, <-errs)
		}
	}
}
