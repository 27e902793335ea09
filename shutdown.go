package gateway

import (
	"context"
	"fmt"
	"time"
)

// This file ends the gateway. How one connection ends is in closing.go.

const (
	// closersAtOnce is how many connections a shutdown closes at the same time. With
	// more, the backend would get every $disconnect at once, and the clients would all
	// reconnect at once.
	closersAtOnce = 128
	// cutGrace is how long Close waits for $disconnect after it has cut the connections.
	cutGrace = time.Second
	// disconnectGrace is how long $disconnect may take then. It is a little less than
	// cutGrace, so that an integration that returns when its context ends is in time.
	disconnectGrace = cutGrace - cutGrace/10
	// tellingGrace is how long $join and $leave may take then, all together. $disconnect
	// waits for them, and needs the rest.
	tellingGrace = 4 * cutGrace / 10
)

// Shutdown stops the gateway gracefully: it refuses new upgrades with 503 and
// Retry-After, and closes every connection with 1001, up to 128 at a time. Messages that
// have arrived are still served, what is queued for a client is sent before its Close
// frame, and every $disconnect runs. Then Shutdown returns nil.
//
// Integrations that run have 5 s to answer. Then the client is closed with 1001, and a
// later answer is dropped, which is logged as a warning. Shutdown still waits for these
// integrations until ctx ends.
//
// If ctx ends first, the remaining connections are cut: the contexts of their integrations
// end, their sockets close, and $disconnect has one second. Of that second, $join and $leave
// have 400 ms, all together; what has not run then is lost, which is logged, so that one of
// them that hangs does not take the time of each $disconnect. The error then wraps that of
// ctx and says how many connections were cut. Shutdown may be called more than once, also
// at the same time; each call waits.
//
// Call it before [http.Server.Shutdown], which does not know of the connections.
func (g *Gateway) Shutdown(ctx context.Context) error {
	stopped := g.stop() //nolint:contextcheck // ctx bounds the wait, not each $disconnect
	select {
	case <-stopped:
		return nil
	case <-ctx.Done():
	}
	select {
	case <-stopped: // at the same moment, or before Shutdown was called
		return nil
	default:
	}
	n, _ := g.cut(stopped)
	return fmt.Errorf("gateway: shutdown cut %d connections: %w", n, ctx.Err())
}

// Close stops the gateway at once, as [Gateway.Shutdown] does when its context ends. The
// clients see that their connections break off. Close waits up to one second for
// $leave and $disconnect. It returns an error if code of the program still runs after that: an
// integration, an authorizer, a usage store, an observer, or the handler of the logger.
func (g *Gateway) Close() error {
	if _, ended := g.cut(g.stop()); !ended {
		return fmt.Errorf("gateway: close: code of the program (an integration, an authorizer, an observer, …) still runs after %v", cutGrace)
	}
	return nil
}

// join counts one more upgrade as running and returns true, unless the gateway shuts
// down. Until the upgrade ends, it may count more goroutines without calling join.
func (g *Gateway) join() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.stopped != nil {
		return false
	}
	g.running.Add(1)
	return true
}

// draining reports whether a shutdown has begun.
func (g *Gateway) draining() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.stopped != nil
}

// stop begins a shutdown, unless one has begun. The returned channel is closed at the end
// of the shutdown.
func (g *Gateway) stop() <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.stopped == nil {
		stopped := make(chan struct{})
		g.stopped = stopped
		g.running.Add(1)
		go func() { // ends when closeAll returns; the goroutine below waits for it
			defer g.running.Done()
			defer g.closeAll() // in a defer: the log handler may end this goroutine
			g.logShutdown()
		}()
		go func() { // ends when everything else has ended; Shutdown and Close wait for it
			g.running.Wait()
			g.cutOff()
			g.endDisconnects()
			g.sockets.Close()
			g.endpoints.Close()
			g.watch.Close()
			close(stopped)
		}()
	}
	return g.stopped
}

// closeAll closes all connections politely. It returns early if the gateway is cut.
func (g *Gateway) closeAll() {
	slots := make(chan struct{}, closersAtOnce)
	for c := range g.connections.All() {
		select {
		case slots <- struct{}{}:
		case <-g.root.Done():
			return
		}
		done := c.end(goingAway(byShutdown))
		g.running.Go(func() {
			<-done
			<-slots
		})
	}
}

// cut ends the contexts of all integrations, cuts all connections, and waits up to cutGrace
// for the end of everything, when stopped is closed. It returns how many connections it has
// cut, and whether everything has ended.
func (g *Gateway) cut(stopped <-chan struct{}) (connections int, ended bool) {
	g.cutOff()
	disconnects := time.AfterFunc(disconnectGrace, g.endDisconnects)
	defer disconnects.Stop()
	tellings := time.AfterFunc(tellingGrace, g.endTellings)
	defer tellings.Stop()
	for c := range g.connections.All() {
		c.cut(goingAway(byShutdown))
		connections++
	}
	grace := time.NewTimer(cutGrace)
	defer grace.Stop()
	select {
	case <-stopped:
		return connections, true
	case <-grace.C:
		return connections, false
	}
}
