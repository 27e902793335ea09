package faults_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"example.com/gateway/internal/suites/wiretest"
)

// The address where the two programs meet.
const (
	serverIP = "10.213.0.1"
	clientIP = "10.213.0.2"
	port     = "7000"
)

// clients is the program that runs the clients.
type clients struct{ peers []*peer }

func (c *clients) commands() map[string]command {
	return map[string]command{
		"connect": func(args ...int) (any, error) { return nil, c.connect(args[0]) },
		// arguments: the number of messages, and how many may be unanswered at once
		"ask": func(args ...int) (any, error) {
			return nil, c.each(func(p *peer) error { return p.ask(args[0], args[1]) })
		},
		"send": func(args ...int) (any, error) { return nil, c.each(func(p *peer) error { return p.send(0, args[0]) }) },
		"replies": func(args ...int) (any, error) {
			return nil, c.each(func(p *peer) error { return p.replies(0, args[0]) })
		},
		"posts": func(args ...int) (any, error) { return nil, c.each(func(p *peer) error { return p.posts(args[0]) }) },
		"leave": func(args ...int) (any, error) { return nil, c.leave(args[0]) },
		"drain": func(...int) (any, error) { return c.drain() },
	}
}

// each calls do for all peers at once.
func (c *clients) each(do func(p *peer) error) error { return each(c.peers, do) }

func each(peers []*peer, do func(p *peer) error) error {
	var wg sync.WaitGroup
	errs := make([]error, len(peers))
	for n, p := range peers {
		wg.Go(func() { errs[n] = do(p) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

func (c *clients) connect(n int) error {
	c.peers = make([]*peer, n)
	for n := range c.peers {
		c.peers[n] = &peer{}
	}
	return c.each(func(p *peer) error { return p.dial(net.JoinHostPort(serverIP, port)) })
}

func (p *peer) dial(addr string) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var d net.Dialer
	nc, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	p.Conn = wiretest.NewConn(nc)
	if tcp, ok := nc.(*net.TCPConn); ok {
		err = tcp.SetReadBuffer(socketBuffer)
	}
	p.write(request(""))
	return errors.Join(err, nc.SetDeadline(time.Now().Add(patience)), p.upgraded())
}

// ask sends messages, at most atOnce of them unanswered, and checks that the replies
// come once each, in order.
func (p *peer) ask(messages, atOnce int) error {
	for n := 0; n < messages; n += atOnce {
		if err := errors.Join(p.send(n, atOnce), p.replies(n, atOnce)); err != nil {
			return err
		}
	}
	return nil
}

func question(n int) string { return fmt.Sprintf("question %d %s", n, strings.Repeat("?", n*100)) }

func (p *peer) send(from, messages int) error {
	for n := from; n < from+messages; n++ {
		if _, err := p.Write(wiretest.Frame(wiretest.Text, question(n))); err != nil {
			return err
		}
	}
	return nil
}

func (p *peer) replies(from, messages int) error {
	for n := from; n < from+messages; n++ {
		switch reply, err := p.message(); {
		case err != nil:
			return fmt.Errorf("reply %d: %w", n, err)
		case reply != question(n):
			return fmt.Errorf("reply %d is %.20q", n, reply)
		}
	}
	return nil
}

// posts reads numbered messages.
func (p *peer) posts(messages int) error {
	for n := range messages {
		switch post, err := p.message(); {
		case err != nil:
			return fmt.Errorf("post %d: %w", n, err)
		case !strings.HasPrefix(post, numbered(n, 0)):
			return fmt.Errorf("post %d is %.20q", n, post)
		}
	}
	return nil
}

// numbered returns message n with size bytes.
func numbered(n, size int) string {
	s := fmt.Sprintf("%08d ", n)
	return s + strings.Repeat("x", max(0, size-len(s)))
}

// leave closes the last n peers. It requires that nothing follows what they have
// read, and that the server answers with the same Close frame.
func (c *clients) leave(n int) error {
	some := c.peers[len(c.peers)-n:]
	c.peers = c.peers[:len(c.peers)-n]
	return each(some, func(p *peer) error {
		p.write(closeFrame())
		answer, err := p.next()
		if err != nil {
			return fmt.Errorf("answer to the Close frame: %w", err)
		}
		if answer.Op != wiretest.OpClose || answer.Payload != wiretest.ClosePayload(leaving.code, leaving.reason) {
			return fmt.Errorf("the Close frame is answered by %v", answer)
		}
		return p.Close()
	})
}

// drained is what the peers received before the server closed them.
type drained struct {
	Posts int         // of all peers together
	Codes map[int]int // of Close frames
}

// drain reads numbered messages up to the server's Close frame, and answers the Close
// frame.
func (c *clients) drain() (drained, error) {
	var mu sync.Mutex
	d := drained{Codes: map[int]int{}}
	err := c.each(func(p *peer) error {
		for n := 0; ; n++ {
			m, err := p.next()
			code, _ := wiretest.ParseClose(m.Payload)
			switch {
			case err != nil:
				return fmt.Errorf("post %d: %w", n, err)
			case m.Op == wiretest.OpText && strings.HasPrefix(m.Payload, numbered(n, 0)):
				continue
			case m.Op != wiretest.OpClose || code == wiretest.NoStatus:
				return fmt.Errorf("instead of post %d: %v", n, m)
			}
			p.write(wiretest.CloseFrame(code, ""))
			mu.Lock()
			defer mu.Unlock()
			d.Posts += n
			d.Codes[code]++
			return p.Close()
		}
	})
	c.peers = nil
	return d, err
}
