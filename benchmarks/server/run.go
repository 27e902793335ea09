package server

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"sync"
	"time"

	"example.com/gateway/benchmarks/host"
)

// Run is the server process. It serves the variant with this name, and carries out
// the commands from in until in ends.
func Run(ctx context.Context, name string, in io.Reader, out io.Writer) error {
	host.Descriptors()
	v, ok := Find(name)
	if !ok {
		return fmt.Errorf("unknown variant %q", name)
	}
	b, err := v.new(ctx)
	if err != nil {
		return err
	}
	p := &running{backend: b, answers: json.NewEncoder(out)}
	addresses, err := p.listen(ctx)
	if err != nil {
		return err
	}
	if err := p.answers.Encode(Report{Addresses: addresses}); err != nil {
		return err
	}
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var c command
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			return err
		}
		report, err := p.do(c)
		if err != nil {
			report.Error = err.Error()
		}
		report.CPU = host.Used()
		if err := p.answers.Encode(report); err != nil {
			return err
		}
	}
	return lines.Err()
}

// running is a variant that is being served.
type running struct {
	*backend
	answers *json.Encoder
	floods  sync.WaitGroup
	dry     chan struct{} // closed to end the floods
	profile *os.File
}

// loopbacks is how many addresses a server has, so that the clients have enough
// ports.
const loopbacks = 8

// listen listens on the same port of several loopback addresses, as many as the
// system has.
func (p *running) listen(ctx context.Context) ([]string, error) {
	var addresses []string
	port := "0"
	for n := range loopbacks {
		var config net.ListenConfig
		l, err := config.Listen(ctx, "tcp", net.JoinHostPort(fmt.Sprintf("127.0.0.%d", n+1), port))
		if err != nil {
			if n == 0 {
				return nil, err
			}
			break
		}
		if _, port, err = net.SplitHostPort(l.Addr().String()); err != nil {
			return nil, err
		}
		addresses = append(addresses, l.Addr().String())
		go func() { _ = p.accept(l) }() // until the process ends
	}
	return addresses, nil
}

func (p *running) accept(l net.Listener) error {
	if p.serve != nil {
		return p.serve(l)
	}
	server := &http.Server{Handler: p.handler, ReadHeaderTimeout: time.Minute}
	return server.Serve(l)
}

var errNotMeasured = errors.New("the variant does not do that")

func (p *running) do(c command) (r Report, err error) {
	switch c.Op {
	case opUsage:
	case opMemory:
		r.Memory = memory()
	case opBroadcast:
		send := map[Audience]func([]byte) error{Everyone: p.broadcast, Group: p.group, Members: p.members}[c.To]
		if send == nil {
			return r, errNotMeasured
		}
		err = send([]byte(c.Message))
	case opRejoin:
		if p.memberships == nil {
			return r, errNotMeasured
		}
		r.Changes, err = rejoin(p.memberships(), c.For)
	case opFlood:
		if p.post == nil {
			return r, errNotMeasured
		}
		p.flood(c.IDs, []byte(c.Message))
	case opDry:
		close(p.dry)
		p.floods.Wait()
	case opProfile:
		if p.profile, err = os.Create(c.Path); err == nil {
			err = pprof.StartCPUProfile(p.profile)
		}
	case opProfiled:
		pprof.StopCPUProfile()
		err = p.profile.Close()
	case opHeap:
		err = writeHeap(c.Path)
	default:
		err = fmt.Errorf("unknown operation %q", c.Op)
	}
	return r, err
}

// flood posts to each connection as fast as its client reads.
func (p *running) flood(ids []string, message []byte) {
	const pause = 50 * time.Microsecond // how long to wait when a send buffer is full
	p.dry = make(chan struct{})
	for _, id := range ids {
		p.floods.Go(func() {
			for {
				select {
				case <-p.dry:
					return
				default:
				}
				if p.post(id, message) != nil {
					<-time.After(pause)
				}
			}
		})
	}
}

func memory() *Memory {
	debug.FreeOSMemory() // collects
	debug.FreeOSMemory() // now, what pools held is free
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return &Memory{
		HeapAlloc: m.HeapAlloc, StackInuse: m.StackInuse, RSS: host.RSS(), Goroutines: runtime.NumGoroutine(),
	}
}

func writeHeap(path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(pprof.Lookup("heap").WriteTo(f, 0), f.Close())
}
