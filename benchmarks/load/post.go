package load

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"time"

	"example.com/gateway/benchmarks/server"
	"example.com/gateway/benchmarks/wire"
)

// Post lets callers post messages over HTTP, each on its own persistent connection,
// to a client that reads them.
func Post(ctx context.Context, p *server.Process, plan Plan) (Figures, error) {
	cs, ids, err := identified(ctx, p, plan.Clients)
	if err != nil {
		return nil, err
	}
	defer cs.close()
	message := wire.Message(0)
	want := answersOf(p.Dialect, message, 1)
	return steady(ctx, p, plan, len(cs), func(n int, m *meter) error {
		caller, err := newCaller(ctx, p.Addresses[n%len(p.Addresses)], ids[n], message)
		if err != nil {
			return err
		}
		defer func() { _ = caller.Close() }()
		scratch := make([]byte, scratchBytes)
		for !m.stopped.Load() {
			if err := caller.post(scratch); err != nil {
				return err
			}
			if err := cs[n].expect(want, scratch); err != nil {
				return err
			}
			m.count.Add(1)
		}
		return nil
	})
}

// Flood makes the server post to each of the clients, within its process, and counts
// what arrives.
func Flood(ctx context.Context, p *server.Process, plan Plan) (Figures, error) {
	cs, ids, err := identified(ctx, p, plan.Clients)
	if err != nil {
		return nil, err
	}
	defer cs.close()
	message := wire.Message(0)
	if err := p.Flood(ids, message); err != nil {
		return nil, err
	}
	want := answersOf(p.Dialect, message, 1)
	return steady(ctx, p, plan, len(cs), func(n int, m *meter) error {
		defer func() { _ = cs[n].Close() }() // the server still posts
		return cs[n].drain(want, m)
	})
}

// drain reads a stream of copies of one message and counts them.
func (c *conn) drain(want *answers, m *meter) error {
	scratch := make([]byte, scratchBytes/len(want.frames)*len(want.frames))
	stream := bytes.Repeat(want.frames, 1+len(scratch)/len(want.frames))
	for ahead := 0; !m.stopped.Load(); {
		n, err := c.Read(scratch)
		if err != nil {
			return err
		}
		if expected := stream[ahead : ahead+n]; !bytes.Equal(scratch[:n], expected) {
			return fmt.Errorf("message %q, want %q", scratch[:n], expected)
		}
		m.count.Add(int64((ahead + n) / len(want.frames)))
		ahead = (ahead + n) % len(want.frames)
	}
	return nil
}

// identified connects clients and asks for their connection IDs.
func identified(ctx context.Context, p *server.Process, n int) (clients, []string, error) {
	cs, err := connect(ctx, p, n)
	if err != nil {
		return nil, nil, err
	}
	ids := make([]string, n)
	for i, c := range cs {
		if ids[i], err = c.ask(wire.WhoAmI); err != nil {
			cs.close()
			return nil, nil, err
		}
	}
	return cs, ids, nil
}

// caller posts to one connection.
type caller struct {
	net.Conn
	request []byte
}

func newCaller(ctx context.Context, address, id, message string) (*caller, error) {
	nc, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	if err := nc.SetDeadline(time.Now().Add(patience)); err != nil {
		return nil, err
	}
	return &caller{nc, []byte("POST /@connections/" + url.PathEscape(id) + " HTTP/1.1\r\nHost: " + address +
		"\r\nContent-Length: " + strconv.Itoa(len(message)) + "\r\n\r\n" + message)}, nil
}

// post is one call.
func (c *caller) post(scratch []byte) error {
	if _, err := c.Write(c.request); err != nil {
		return err
	}
	head, err := readHead(c, scratch)
	if err != nil {
		return err
	}
	if !bytes.HasPrefix(head, []byte("HTTP/1.1 200 ")) || !bytes.Contains(head, []byte("\r\nContent-Length: 0\r\n")) {
		return fmt.Errorf("a post was answered with %q", head)
	}
	return nil
}
