package main

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"
)

// message is what each client sends, and gets back.
const message = `{"action":"say","to":"everybody","text":"A message of a hundred and twenty-eight bytes, as people write them in a chat room."}`

// rate is how a contender answered a number of connections.
type rate struct {
	perSecond float64
	p50, p99  time.Duration
	all       int // messages, also those of the time to warm up
}

// measure opens connections, and sends on each the next message when the answer to the
// one before has come. It counts what is answered in d, after a time to warm up.
func measure(ctx context.Context, url string, connections int, warmUp, d time.Duration) (rate, error) {
	ctx, cancel := context.WithTimeout(ctx, warmUp+d+time.Minute) // so that a hang becomes an error
	defer cancel()
	clients := make([]*client, connections)
	defer func() {
		for _, c := range clients {
			if c != nil {
				_ = c.conn.Close(websocket.StatusNormalClosure, "")
			}
		}
	}()
	for n := range clients {
		c, err := connect(ctx, url)
		if err != nil {
			return rate{}, err
		}
		clients[n] = c
	}
	var stopped atomic.Bool
	from := time.Now().Add(warmUp)
	errs := make(chan error, connections)
	var running sync.WaitGroup
	for _, c := range clients {
		running.Go(func() { errs <- c.talk(ctx, from, &stopped) })
	}
	timer := time.AfterFunc(time.Until(from.Add(d)), func() { stopped.Store(true) })
	defer timer.Stop()
	running.Wait()
	took := time.Since(from)
	var all []time.Duration
	for _, c := range clients {
		if err := <-errs; err != nil {
			return rate{}, err
		}
		all = append(all, c.took...)
	}
	got, err := rateOf(all, took)
	for _, c := range clients {
		got.all += c.said
	}
	return got, err
}

func rateOf(latencies []time.Duration, took time.Duration) (rate, error) {
	if len(latencies) == 0 {
		return rate{}, fmt.Errorf("no message was answered in %v", took)
	}
	slices.Sort(latencies)
	at := func(q float64) time.Duration { return latencies[int(q*float64(len(latencies)-1))] }
	return rate{perSecond: float64(len(latencies)) / took.Seconds(), p50: at(0.50), p99: at(0.99)}, nil
}

// client is a connection with how long its messages took.
type client struct {
	conn *websocket.Conn
	said int
	took []time.Duration // without those of the time to warm up
}

func connect(ctx context.Context, url string) (*client, error) {
	conn, _, err := websocket.Dial(ctx, url, nil)
	if err != nil {
		return nil, err
	}
	return &client{conn: conn}, nil
}

// talk sends messages until it is stopped, at least one that counts.
func (c *client) talk(ctx context.Context, from time.Time, stopped *atomic.Bool) error {
	for !stopped.Load() || len(c.took) == 0 {
		began := time.Now()
		if err := c.say(ctx); err != nil {
			return err
		}
		if ended := time.Now(); began.After(from) {
			c.took = append(c.took, ended.Sub(began))
		}
	}
	return nil
}

// say sends one message and waits for its answer.
func (c *client) say(ctx context.Context) error {
	if err := c.conn.Write(ctx, websocket.MessageText, []byte(message)); err != nil {
		return err
	}
	_, answer, err := c.conn.Read(ctx)
	c.said++
	if err == nil && string(answer) != message {
		err = fmt.Errorf("the answer is %q", answer)
	}
	return err
}
