package faults_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
	"example.com/gateway/internal/testutil"
)

// overLossy runs a test on each kind of link that can lose packets.
func overLossy(t *testing.T, test func(t *testing.T, n *network)) {
	t.Helper()
	t.Parallel()
	for name, make := range map[string]func(*testing.T) *network{"netem": newNetem, "tun": newTun} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, make(t))
		})
	}
}

// requireReport checks what has happened to all connections.
func requireReport(t *testing.T, server *program, open int, ends map[int]int) {
	t.Helper()
	opened := open
	for _, n := range ends {
		opened += n
	}
	var r report
	server.do("report", &r)
	require.Equal(t, report{Opened: opened, Open: open, Ends: ends}, r)
}

// On a bad line everything takes longer, but nothing is lost, doubled or out of
// order.
func TestNetwork_Loss(t *testing.T) {
	testutil.NeedsLong(t)
	overLossy(t, func(t *testing.T, n *network) {
		const connections = 200
		server, clients := n.start(gateway.Quotas{PingInterval: 20 * time.Second})
		n.impair(impairment{lossPercent: 5, delay: 50, jitter: 20, reordered: 10})
		clients.do(fmt.Sprint("connect ", connections), nil)
		clients.do("ask 20 5", nil)
		var o outcomes
		server.do("post 5", &o)
		require.Equal(t, outcomes{Accepted: 5 * connections}, o)
		clients.do("posts 5", nil)
		clients.do(fmt.Sprint("leave ", connections), nil)
		server.do(fmt.Sprint("await ", connections), nil)
		requireReport(t, server, 0, map[int]int{leaving.code: connections})
		requireRetransmitted(t, server, 1)
		clients.end()
		server.end()
	})
}

// If packets are lost during the close, the close takes longer, but every side still
// gets the right code. The line gets better before the end of a test: otherwise the test
// would have to wait for TCP's slow retransmissions of the last packets.
func TestNetwork_LossInTheClose(t *testing.T) {
	overLossy(t, func(t *testing.T, n *network) {
		const each = 20 // how many connections the client closes, and how many the server
		bad, good := impairment{lossPercent: 30}, impairment{}
		server, clients := n.start(gateway.Quotas{})
		clients.do(fmt.Sprint("connect ", 2*each), nil)
		clients.do("ask 1 1", nil)

		n.impair(bad)
		leave := fmt.Sprint("leave ", each)
		clients.begin(leave)
		server.do(fmt.Sprint("await ", each/2), nil)
		n.impair(good)
		clients.finish(leave, nil)
		server.do(fmt.Sprint("await ", each), nil)

		n.impair(bad)
		clients.begin("drain")
		server.do("delete", nil)
		server.do(fmt.Sprint("await ", each+each/2), nil)
		n.impair(good)
		var d drained
		clients.finish("drain", &d)
		require.Equal(t, drained{Codes: map[int]int{deleted.code: each}}, d)
		server.do(fmt.Sprint("await ", 2*each), nil)
		requireReport(t, server, 0, map[int]int{leaving.code: each, deleted.code: each})
		requireRetransmitted(t, server, 1)
		clients.end()
		server.end()
	})
}

// The cable is pulled. No socket reports that; pings find out.
func TestNetwork_CablePulled(t *testing.T) {
	t.Parallel()
	const connections = 50
	n := newVeth(t)
	server, clients := n.start(gateway.Quotas{PingInterval: time.Second})
	clients.do(fmt.Sprint("connect ", connections), nil)
	clients.do("ask 1 1", nil)
	n.pull()
	var o outcomes
	server.do("post 1", &o)
	require.Equal(t, connections, o.Accepted+o.Gone, "%+v", o)
	server.do(fmt.Sprint("await ", connections), nil)
	requireReport(t, server, 0, map[int]int{abnormal.code: connections})
	server.do("post 1", &o)
	require.Equal(t, outcomes{}, o, "no connection is left")
	n.plug()
	clients.do(fmt.Sprint("connect ", connections), nil)
	clients.do("ask 1 1", nil)
	requireReport(t, server, connections, map[int]int{abnormal.code: connections})
	clients.do(fmt.Sprint("leave ", connections), nil)
	clients.end()
	server.end()
}

// The cable is pulled and put back before pings find out. The connections stay open,
// and everything that was sent in the meantime arrives, both ways.
func TestNetwork_CablePutBack(t *testing.T) {
	t.Parallel()
	const connections = 50
	n := newVeth(t)
	server, clients := n.start(gateway.Quotas{PingInterval: 20 * time.Second})
	clients.do(fmt.Sprint("connect ", connections), nil)
	clients.do("ask 1 1", nil)
	n.pull()
	var o outcomes
	server.do("post 5", &o)
	require.Equal(t, outcomes{Accepted: 5 * connections}, o)
	clients.do("send 5", nil)
	requireRetransmitted(t, server, connections)
	requireReport(t, server, connections, map[int]int{})
	n.plug()
	clients.do("posts 5", nil)
	clients.do("replies 5", nil)
	clients.do(fmt.Sprint("leave ", connections), nil)
	server.do(fmt.Sprint("await ", connections), nil)
	requireReport(t, server, 0, map[int]int{leaving.code: connections})
	clients.end()
	server.end()
}

// requireRetransmitted waits until the server has retransmitted at least this many
// TCP segments.
func requireRetransmitted(t *testing.T, server *program, want int) {
	t.Helper()
	n := 0
	for begin := time.Now(); n < want; <-time.After(10 * time.Millisecond) {
		require.Less(t, time.Since(begin), patience, "%d segments sent again", n)
		server.do("retrans", &n)
	}
}

// Posts come faster than the line carries them. What exceeds the send buffer is
// refused, memory is bounded, other clients get their posts, and what was accepted
// arrives.
func TestNetwork_Bandwidth(t *testing.T) {
	t.Parallel()
	const (
		remote, local   = 4, 3
		rounds, size    = 512, 1 << 10
		bufferBytes     = 64 << 10
		each, allowance = 2*bufferBytes + 64<<10, 2 << 20
	)
	n := newVeth(t)
	server, clients := n.start(gateway.Quotas{SendBufferBytes: bufferBytes, WriteTimeout: patience})
	n.run("tc", "-n", n.server, "qdisc", "add", "dev", n.device, "root", "tbf", "rate", "1mbit", "burst", "32kbit", "latency", "400ms")
	clients.do(fmt.Sprint("connect ", remote), nil)
	var f flooded
	server.do(fmt.Sprint("flood ", local, " ", rounds, " ", size), &f)
	t.Logf("%+v", f)
	require.Equal(t, outcomes{Accepted: local * rounds}, f.Local)
	require.Equal(t, remote*rounds, f.Remote.Accepted+f.Remote.Limited, "%+v", f)
	require.Greater(t, f.Remote.Limited, f.Remote.Accepted, "the line is slow")
	require.Less(t, f.Grown, remote*each+allowance)
	server.do(fmt.Sprint("await ", local), nil)
	server.do("delete", nil)
	var d drained
	clients.do("drain", &d)
	require.Equal(t, drained{Posts: f.Remote.Accepted, Codes: map[int]int{deleted.code: remote}}, d)
	server.do(fmt.Sprint("await ", local+remote), nil)
	requireReport(t, server, 0, map[int]int{leaving.code: local, deleted.code: remote})
	clients.end()
	server.end()
}
