package soak_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"time"

	"example.com/gateway/internal/suites/wiretest"
)

// Kinds of busy clients: every n-th client is of this kind.
const (
	hoseEvery     = 50  // sends without a pause, so that its work never ends on its own
	longEvery     = 200 // begins with a message that takes longer than a shutdown waits
	stubbornEvery = 20  // begins with a message that takes seconds and ignores its context
	longWait      = 7000
	stubbornWait  = 3000
)

// busyClient always has messages with integrations, until the server closes the
// connection.
type busyClient struct {
	*wire
	report
	inbound
	rnd *rand.Rand
}

// runBusyClients connects all clients and reports that. When it is told to, it starts
// upgrades that $connect holds. The server ends the connections. The output has one
// line for the result of each connection.
func runBusyClients(p plan) error {
	var mu sync.Mutex // guards out
	out := json.NewEncoder(os.Stdout)
	printLine := func(line any) {
		mu.Lock()
		defer mu.Unlock()
		_ = out.Encode(line)
	}
	var running, connecting sync.WaitGroup
	slots := make(chan struct{}, randomWorkers)
	failed := make(chan error, p.Connections)
	for n := range p.Connections {
		connecting.Add(1)
		slots <- struct{}{}
		running.Go(func() {
			c, err := dialBusy(p, n+1, "")
			<-slots
			connecting.Done()
			if err != nil {
				failed <- err
				return
			}
			c.read()
			printLine(&c.report)
		})
	}
	connecting.Wait()
	select {
	case err := <-failed:
		return err
	default:
	}
	printLine("busy")
	words := bufio.NewScanner(os.Stdin)
	words.Scan()
	if words.Text() == "hold" {
		for n := range heldUpgrades {
			running.Go(func() {
				c, err := dialBusy(p, p.Connections+n+1, "&hold")
				if err != nil {
					c = &busyClient{report: report{Life: p.Connections + n + 1, Faults: []string{err.Error()}}}
				} else {
					c.read()
				}
				printLine(&c.report)
			})
		}
	}
	running.Wait()
	printLine("done")
	return nil
}

// heldUpgrades is how many upgrades are in progress when the shutdown begins.
const heldUpgrades = 50

func dialBusy(p plan, n int, query string) (*busyClient, error) {
	w, status, err := dialWire(p.Addr, n, fmt.Sprintf("/?life=%d%s", n, query))
	if err != nil || w == nil {
		return nil, fmt.Errorf("client %d: status %d: %w", n, status, err)
	}
	c := &busyClient{wire: w, rnd: rand.New(rand.NewPCG(p.Seed, uint64(n)))} //nolint:gosec // must be repeatable
	c.Life, c.Ending = n, endBusy
	if p.Program == "cut" {
		c.Ending = endCut
	}
	if err := w.SetDeadline(time.Now().Add(3 * patience)); err != nil {
		return nil, err
	}
	switch {
	case n%longEvery == 1:
		c.send("slow", longWait)
	case c.Ending == endCut && n%stubbornEvery == 2:
		c.send("stubborn", stubbornWait)
	}
	c.sendMore()
	return c, nil
}

func (c *busyClient) send(route string, milliseconds int) {
	c.Sent++
	a := action{Action: route, N: c.Sent, Wait: milliseconds, Reply: sizeOf(c.rnd)}
	c.expected = append(c.expected, expectation{n: a.N, size: a.Reply})
	_, _ = c.Write(appendMessage(nil, &a, false)) // the reader finds out what happened to the connection
}

// sendMore keeps a client busy: some clients send a message for each reply, most send
// the next messages when they have all replies.
func (c *busyClient) sendMore() {
	hose := c.Life%hoseEvery == 0
	for want := 2; len(c.expected) < want; {
		if !hose && c.Sent > 0 && len(c.expected) == 0 {
			want = 1 + c.rnd.IntN(3)
		}
		milliseconds := 100 + c.rnd.IntN(500)
		if !hose && c.rnd.IntN(100) == 0 {
			milliseconds = 2000
		}
		c.send("slow", milliseconds)
	}
}

func (c *busyClient) read() {
	defer c.Close()
	for {
		m, err := c.ReadMessage()
		switch {
		case err != nil:
			if c.Ending != endCut {
				c.Faults = append(c.Faults, fmt.Sprint("broken off: ", err))
			}
		case m.Op == wiretest.OpClose:
			c.Closed, c.CloseReason = wiretest.ParseClose(m.Payload)
			_, _ = c.Write(closeFrame(c.Closed, ""))
			if err = c.ReadEnd(); err != nil && c.Ending != endCut {
				c.Faults = append(c.Faults, err.Error())
			}
			c.Clean = err == nil
		case m.Op == wiretest.OpText:
			err = c.message([]byte(m.Payload))
			if err != nil {
				c.Faults = append(c.Faults, err.Error())
			} else if c.Life%hoseEvery == 0 || len(c.expected) == 0 {
				c.sendMore()
			}
		}
		c.Replies, c.TimedOut, c.ID = c.replies, c.timedOut, c.id
		if err != nil || m.Op == wiretest.OpClose {
			return
		}
	}
}
