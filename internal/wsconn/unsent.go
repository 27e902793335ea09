package wsconn

import (
	"net"
	"time"

	"example.com/gateway/internal/poll"
)

// Unsent returns how many bytes the kernel still holds for the client. The number
// falls while the client takes them. It is -1 if the kernel does not tell.
func (c *Conn) Unsent() int {
	if c.nc == nil {
		return c.polled.Unsent()
	}
	return unsent(c.nc.Conn)
}

// unsent returns the same for nc, or for the socket below it.
func unsent(nc net.Conn) int {
	n, raw := -1, rawConn(innermost(nc))
	if raw != nil {
		_ = raw.Control(func(fd uintptr) { n = poll.Unsent(fd) })
	}
	return n
}

// AwaitTaken waits until done is closed, for as long as patience says. While the kernel
// holds something for the client, the patience begins again whenever the client takes a part
// of it; but AwaitTaken never waits longer than limit. It returns false if the kernel still
// holds something then. If the kernel does not tell, AwaitTaken returns true.
func (c *Conn) AwaitTaken(done <-chan struct{}, patience, limit time.Duration) bool {
	return awaitTaken(c.Unsent, done, patience, limit)
}

func awaitTaken(unsent func() int, done <-chan struct{}, patience, limit time.Duration) bool {
	lookAgain := poll.Patience(func() time.Duration { return patience }).LookAgain
	end := time.Now().Add(limit)
	since, held := time.Now(), unsent()
	timer := time.NewTimer(lookAgain(0))
	defer timer.Stop()
	for {
		select {
		case <-done:
			return true
		case <-timer.C:
		}
		now, still := time.Now(), unsent()
		if still < held { // the client has taken some bytes
			since = now
		}
		held = still
		if now.Sub(since) >= patience || !now.Before(end) {
			return held <= 0
		}
		timer.Reset(min(lookAgain(now.Sub(since)), end.Sub(now)))
	}
}
