package soak_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"example.com/gateway/internal/suites/wiretest"
)

// randomClients is the client process of the random soak. It has a number of places,
// and each place has one connection after another.
type randomClients struct {
	plan
	lives    atomic.Int64
	readers  sync.WaitGroup
	draining chan struct{} // closed when no more connections may begin

	mu  sync.Mutex // guards the field below
	out *json.Encoder
}

// randomWorkers is how many workers share the places. A worker does one thing at a
// time. Each connection also has a goroutine that reads.
const randomWorkers = 64

// runRandomClients runs until it is told to drain. Then every client waits for its
// replies and ends; some leave the end to the server. The output has one line for the
// result of each connection.
func runRandomClients(p plan) error {
	c := &randomClients{plan: p, draining: make(chan struct{}), out: json.NewEncoder(os.Stdout)}
	var workers sync.WaitGroup
	failed := make(chan error, randomWorkers)
	for n := range randomWorkers {
		workers.Go(func() { failed <- c.work(n) })
	}
	words := bufio.NewScanner(os.Stdin)
	words.Scan()
	close(c.draining)
	workers.Wait()
	for range randomWorkers {
		if err := <-failed; err != nil {
			return err
		}
	}
	c.print("drained")
	c.readers.Wait()
	c.print("done")
	return nil
}

func (c *randomClients) print(line any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	_ = c.out.Encode(line) // if a line is missing, the server's process notices it
}

// work serves every randomWorkers-th place in turn.
func (c *randomClients) work(n int) error {
	var places []*randomClient
	for place := n; place < c.Connections; place += randomWorkers {
		places = append(places, nil)
	}
	const tick = 20 * time.Millisecond
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	next, due := 0, float64(len(places)) // at first, all connect at once
	for {
		select {
		case <-c.draining:
			return c.drain(places)
		default:
		}
		for ; due >= 1; due-- {
			var err error
			if places[next], err = c.step(places[next]); err != nil {
				return err
			}
			next = (next + 1) % len(places)
		}
		select {
		case <-ticker.C:
		case <-c.draining:
		}
		due += float64(c.Rate) * tick.Seconds() / randomWorkers
	}
}

// step does the next thing in a place. r is its client, nil at first. The client
// connects, acts, or ends so that another can follow.
func (c *randomClients) step(r *randomClient) (*randomClient, error) {
	if r == nil || r.over() {
		return c.connect()
	}
	if r.left--; r.left > 0 {
		r.act()
	} else if r.Ending != endAwait {
		r.end()
	}
	return r, nil
}

func (c *randomClients) drain(places []*randomClient) error {
	for _, r := range places {
		if r == nil {
			continue
		}
		select {
		case <-r.quiet():
		case <-r.ended:
		}
		if r.Ending != endAwait {
			r.end()
			<-r.ended
		}
	}
	return nil
}

// randomClient is one connection of a client.
type randomClient struct {
	*wire // wire's lock also guards the fields below
	report
	inbound
	rnd    *rand.Rand
	left   int  // how many things it will still do
	small  bool // its receive buffer is small
	last   bool // sends no more messages
	rest   chan struct{}
	pause  atomic.Int64 // milliseconds for which the reader pauses
	ended  chan struct{}
	closed bool // a Close frame has been sent
}

func (c *randomClients) connect() (*randomClient, error) {
	life := int(c.lives.Add(1))
	rnd := rand.New(rand.NewPCG(c.Seed, uint64(life))) //nolint:gosec // must be repeatable
	r := &randomClient{rnd: rnd, left: 1 + rnd.IntN(40), ended: make(chan struct{})}
	r.Life, r.Ending = life, endings[rnd.IntN(len(endings))]
	r.Code, r.Reason = 1005, ""
	if n := rnd.IntN(4); n > 0 {
		r.Code = []int{1000, 1001, 3000, 4000 + rnd.IntN(1000)}[rnd.IntN(4)]
		r.Reason = strings.Repeat("bye ", rnd.IntN(5))
	}
	path := fmt.Sprintf("/?life=%d", life)
	switch rnd.IntN(100) {
	case 0:
		return nil, c.refused(r, path+"&refuse")
	case 1:
		return nil, c.abort(r, path)
	}
	w, status, err := dialWire(c.Addr, life, path)
	if err != nil || w == nil {
		return nil, fmt.Errorf("connection %d: status %d: %w", life, status, err)
	}
	if r.small = rnd.IntN(4) == 0; r.small {
		_ = w.tcp.SetReadBuffer(64 << 10) // with a smaller buffer, the loopback interface is very slow
	}
	r.wire = w
	c.readers.Go(func() { // ends with the connection; waited for by runRandomClients
		r.read()
		c.print(&r.report)
		close(r.ended)
	})
	return r, nil
}

// endings are the ways in which clients end, each as often as it is in the list.
var endings = []string{
	endClose, endClose, endClose, endFIN, endFIN, endHalf, endRST, endRST, endViolate, endBye, endBye, endAwait,
}

func (c *randomClients) refused(r *randomClient, path string) error {
	w, status, err := dialWire(c.Addr, r.Life, path)
	if err != nil || w != nil {
		return fmt.Errorf("connection %d was to be refused: %d: %w", r.Life, status, err)
	}
	if status != 403 {
		r.fault("status %d", status)
	}
	r.Ending = endRefused
	c.print(&r.report)
	return nil
}

// abort leaves without waiting for the answer.
func (c *randomClients) abort(r *randomClient, path string) error {
	r.Ending, r.EndedAt = endAborted, time.Now().UnixNano()
	nc, err := dialTCP(c.Addr, r.Life)
	if err != nil {
		return err
	}
	_, _ = nc.Write([]byte(wiretest.Upgrade(path)))
	_ = nc.tcp.SetLinger(0)
	_ = nc.Close()
	c.print(&r.report)
	return nil
}

func (r *randomClient) fault(format string, args ...any) {
	if len(r.Faults) < 3 {
		r.Faults = append(r.Faults, fmt.Sprintf(format, args...))
	}
}

func (r *randomClient) over() bool {
	select {
	case <-r.ended:
		return true
	default:
		return false
	}
}

// act does one thing, but not one that ends the connection.
func (r *randomClient) act() {
	r.mu.Lock()
	busy := len(r.expected) > 64
	r.mu.Unlock()
	switch n := r.rnd.IntN(1000); {
	case busy:
	case n < 30:
		r.mu.Lock()
		r.floodLocked()
		r.mu.Unlock()
	case n < 70:
		r.sendFrame(wiretest.Ping, "ping")
	case n < 120:
		var burst []action
		for range r.rnd.IntN(40) {
			burst = append(burst, r.action())
		}
		r.send(burst...)
	default:
		r.send(r.action())
	}
}

// floodLarge is how many posts of a flood are large.
const floodLarge = 12

// floodLocked stops reading for a while. If the client's receive buffer is small, it
// also asks for more posts than its send buffer in the gateway holds, so that they
// queue.
func (r *randomClient) floodLocked() {
	r.pause.Store(1 + int64(r.rnd.IntN(500)))
	if r.small {
		r.sendLocked(action{Action: "post", Posts: floodLarge + 40 + r.rnd.IntN(20), Reply: 30 << 10})
	}
}

// action makes a random message.
func (r *randomClient) action() action {
	a := action{Reply: sizeOf(r.rnd), Pad: string(padding(0, sizeOf(r.rnd)/4))}
	switch n := r.rnd.IntN(1000); {
	case n < 600:
		a.Action = "echo"
	case n < 800:
		a.Action = "note"
	case n < 860:
		a.Action, a.Wait = "slow", r.rnd.IntN(300)
	case n < 920:
		a.Action = "fail"
	case n < 970:
		a.Action, a.Posts = "post", r.rnd.IntN(5)
	case n < 999:
		a.Action = "nowhere"
	default:
		a.Action, a.Wait = "late", r.rnd.IntN(2)*r.rnd.IntN(500)
	}
	return a
}

// errorTexts are the texts of the error frames that answer these actions.
var errorTexts = map[string]string{"fail": "Internal server error", "nowhere": "Forbidden", "late": timedOutText}

// send sends messages in one write, unless the connection is ending.
func (r *randomClient) send(actions ...action) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sendLocked(actions...)
}

func (r *randomClient) sendLocked(actions ...action) {
	if r.last {
		return
	}
	var frames []byte
	for _, a := range actions {
		r.Sent++
		a.N = r.Sent
		if a.Action != "note" {
			r.expected = append(r.expected, expectation{n: a.N, text: errorTexts[a.Action], size: a.Reply})
		}
		frames = appendMessage(frames, &a, r.rnd.IntN(10) == 0)
	}
	_, _ = r.Write(frames) // the reader finds out what happened to the connection
}

func appendMessage(dst []byte, a *action, fragmented bool) []byte {
	text, _ := json.Marshal(a) // only numbers and strings: this cannot fail
	if !fragmented {
		return wiretest.AppendFrame(dst, wiretest.Text, text)
	}
	dst = wiretest.AppendFrame(dst, wiretest.TextBegin, text[:len(text)/2])
	return wiretest.AppendFrame(dst, wiretest.Last, text[len(text)/2:])
}

func (r *randomClient) sendFrame(first byte, payload string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.last {
		_ = r.Conn.Send(first, payload)
	}
}

// end ends the connection in the planned way, unless it is already ending.
func (r *randomClient) end() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.last {
		return
	}
	if r.rnd.IntN(2) == 0 {
		r.floodLocked() // so that messages are queued
	}
	r.EndedAt = time.Now().UnixNano()
	_ = r.SetReadDeadline(time.Now().Add(patience))
	switch r.Ending {
	case endClose:
		r.closed = true
		_, _ = r.Write(closeFrame(r.Code, r.Reason))
	case endViolate:
		_ = r.Conn.Send(wiretest.Binary, "\x01\x02\x03")
	case endBye:
		r.sendLocked(action{Action: "bye"})
	case endHalf:
		frame := wiretest.Frame(wiretest.Text, strings.Repeat("\x00", 100))
		_, _ = r.Write(frame[:1+r.rnd.IntN(100)])
		_ = r.tcp.CloseWrite()
	case endFIN:
		_ = r.tcp.CloseWrite()
	case endRST:
		_ = r.tcp.SetLinger(0)
		_ = r.Close()
	}
	r.last = true
}

// quiet sends a last message. It returns a channel that is closed when the client has
// all its replies.
func (r *randomClient) quiet() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.rest = make(chan struct{})
	r.sendLocked(action{Action: "echo"})
	if r.Ending == endAwait {
		r.last = true
	}
	return r.rest
}

// read is the reader: it checks everything that comes until the connection has ended.
func (r *randomClient) read() {
	defer r.Close()
	for {
		if d := r.pause.Swap(0); d > 0 {
			timer := time.NewTimer(time.Duration(d) * time.Millisecond)
			<-timer.C
		}
		m, err := r.ReadMessage()
		r.mu.Lock()
		switch {
		case err != nil:
			r.brokenLocked(err)
		case m.Op == wiretest.OpText:
			r.textLocked(m.Payload)
		case m.Op == wiretest.OpClose:
			r.closeLocked(m.Payload)
		case m.Op != wiretest.OpPong || m.Payload != "ping":
			r.fault("%v", m)
		}
		r.Replies, r.Posts, r.TimedOut, r.ID = r.replies, r.posts, r.timedOut, r.id
		if err != nil || m.Op == wiretest.OpClose {
			r.last = true
			r.mu.Unlock()
			return
		}
		r.mu.Unlock()
	}
}

func (r *randomClient) textLocked(payload string) {
	if err := r.message([]byte(payload)); err != nil {
		r.fault("%v", err)
	}
	if len(r.expected) == 0 && r.rest != nil {
		close(r.rest)
		r.rest = nil
	}
}

func (r *randomClient) brokenLocked(err error) {
	if errors.Is(err, os.ErrDeadlineExceeded) || !r.dropped() || r.EndedAt == 0 {
		r.fault("broken off: %v", err)
	}
}

// closeLocked answers a Close frame, and reads up to the end.
func (r *randomClient) closeLocked(payload string) {
	r.Closed, r.CloseReason = wiretest.ParseClose(payload)
	if !r.closed && (!r.last || !r.dropped()) {
		_, _ = r.Write(closeFrame(r.Closed, ""))
	}
	r.last = true
	_ = r.SetReadDeadline(time.Now().Add(patience))
	if err := r.ReadEnd(); err != nil {
		if !r.dropped() {
			r.fault("%v", err)
		}
		return
	}
	r.Clean = true
}
