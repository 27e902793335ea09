package faults_test

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"os"
	"sync/atomic"
	"time"

	"example.com/gateway"
	"example.com/gateway/internal/suites/wiretest"
)

// pausableProgram is an echo server on the loopback device.
func pausableProgram() (map[string]command, func() error, error) {
	var quotas gateway.Quotas
	if err := json.Unmarshal([]byte(os.Getenv(quotasEnv)), &quotas); err != nil {
		return nil, nil, err
	}
	gw, err := gateway.New(gateway.WithQuotas(quotas))
	if err != nil {
		return nil, nil, err
	}
	gw.HandleFunc(gateway.RouteKeyDefault, func(_ context.Context, req *gateway.Request) (*gateway.Response, error) {
		return &gateway.Response{Body: req.Body}, nil
	}, gateway.WithRouteResponse())
	var lc net.ListenConfig
	l, err := lc.Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, nil, err
	}
	web := &http.Server{Handler: gw.Handler(), ReadHeaderTimeout: patience}
	go func() { _ = web.Serve(l) }() // ends with the program
	return map[string]command{
		"address": func(...int) (any, error) { return l.Addr().String(), nil },
	}, gw.Close, nil
}

var errClosed = errors.New("the server sent a Close frame")

// answerPings answers each ping after a pause and counts it, until the server closes
// the connection.
func (p *peer) answerPings(after time.Duration, answered *atomic.Int64) error {
	for {
		m, err := p.ReadMessage()
		switch {
		case err != nil:
			return err
		case m.Op == wiretest.OpClose:
			return errClosed
		case m.Op == wiretest.OpPing:
			<-time.After(after)
			p.write(wiretest.Frame(wiretest.Pong, m.Payload))
			answered.Add(1)
		}
	}
}
