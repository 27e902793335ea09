package faults_test

import (
	"slices"
	"testing"
	"time"

	"example.com/gateway"
)

// fault is what a relay does to a connection.
type fault struct {
	name   string
	strike func(*relay)
	noted  bool // the socket of the other end reports the fault
	passes bool // nothing is broken
}

var (
	cut      = fault{"cut (FIN)", (*relay).cut, true, false}
	reset    = fault{"reset (RST)", (*relay).reset, true, false}
	stall    = fault{"stalled", (*relay).stall, false, false}
	halfOpen = fault{"half-open", (*relay).halfOpen, false, false}
	sliced   = fault{"byte by byte", (*relay).slice, false, true}
)

// bound is what makes the gateway end a connection. The scene sets no other time
// quota.
type bound struct {
	name   string
	quotas gateway.Quotas
}

// short is a time quota that the tests wait for. It is long enough for a busy machine
// to bring a scene to its moment.
const short = 2 * time.Second

var (
	atOnce        = bound{"its socket says so", gateway.Quotas{}}
	headerTimeout = bound{"http.Server.ReadHeaderTimeout", gateway.Quotas{}}
	pings         = bound{"twice PingInterval", gateway.Quotas{PingInterval: short}}
	writeTimeout  = bound{"WriteTimeout", gateway.Quotas{WriteTimeout: short}}
	closeTimeout  = bound{"five seconds for the answer to a Close", gateway.Quotas{}}
	idleTimeout   = bound{"IdleTimeout, and five seconds for the answer to the Close", gateway.Quotas{IdleTimeout: short}}
)

// posts is what PostToConnection returns after the fault. Once the gateway has
// noticed the end, it returns ErrGone.
type posts struct{ err error }

var (
	accepted = posts{}
	limited  = posts{gateway.ErrLimitExceeded}
	gone     = posts{gateway.ErrGone}
	none     = posts{} // not checked: there is no fault, or no connection
)

// nobody stands for a connection that never opened: no code is reported for it.
var nobody = end{}

// Every fault at every moment: what $disconnect and the observer are told, once, and
// what makes the gateway notice the end. The package comment has the same in words.
var table = []struct {
	moment
	fault
	told end
	bound
	posts
}{
	{inHandshake, cut, nobody, atOnce, none},
	{inHandshake, reset, nobody, atOnce, none},
	{inHandshake, stall, nobody, headerTimeout, none},
	{inHandshake, halfOpen, nobody, headerTimeout, none},
	{inHandshake, sliced, leaving, atOnce, none},

	{beforeAnswer, cut, abnormal, atOnce, gone},
	{beforeAnswer, reset, abnormal, atOnce, gone},
	{beforeAnswer, stall, abnormal, pings, accepted},
	{beforeAnswer, halfOpen, abnormal, pings, accepted},
	{beforeAnswer, sliced, leaving, atOnce, none},

	{idle, cut, abnormal, atOnce, gone},
	{idle, reset, abnormal, atOnce, gone},
	{idle, stall, abnormal, pings, accepted},
	{idle, stall, away, idleTimeout, accepted},
	{idle, halfOpen, abnormal, pings, accepted},
	{idle, halfOpen, away, idleTimeout, accepted},
	{idle, sliced, leaving, atOnce, none},

	{inHeader, cut, abnormal, atOnce, gone},
	{inHeader, reset, abnormal, atOnce, gone},
	{inHeader, stall, abnormal, pings, accepted},
	{inHeader, stall, away, idleTimeout, accepted},
	{inHeader, halfOpen, abnormal, pings, accepted},
	{inHeader, sliced, leaving, atOnce, none},

	{inPayload, cut, abnormal, atOnce, gone},
	{inPayload, reset, abnormal, atOnce, gone},
	{inPayload, stall, abnormal, pings, accepted},
	{inPayload, halfOpen, abnormal, pings, accepted},
	{inPayload, halfOpen, away, idleTimeout, accepted},
	{inPayload, sliced, leaving, atOnce, none},

	{inMessage, cut, abnormal, atOnce, gone},
	{inMessage, reset, abnormal, atOnce, gone},
	{inMessage, stall, abnormal, pings, accepted},
	{inMessage, stall, away, idleTimeout, accepted},
	{inMessage, halfOpen, abnormal, pings, accepted},
	{inMessage, sliced, leaving, atOnce, none},

	{inIntegration, cut, abnormal, atOnce, gone},
	{inIntegration, reset, abnormal, atOnce, gone},
	{inIntegration, stall, abnormal, pings, accepted},
	{inIntegration, halfOpen, abnormal, pings, accepted},
	{inIntegration, sliced, leaving, atOnce, none},

	{inReply, cut, unread, writeTimeout, limited},
	{inReply, reset, abnormal, atOnce, gone},
	{inReply, stall, unread, writeTimeout, limited},
	{inReply, stall, abnormal, pings, limited},
	{inReply, halfOpen, abnormal, pings, accepted},
	{inReply, sliced, leaving, atOnce, none},

	{inPost, cut, abnormal, atOnce, gone},
	{inPost, reset, abnormal, atOnce, gone},
	{inPost, stall, unread, writeTimeout, limited},
	{inPost, stall, abnormal, pings, limited},
	{inPost, halfOpen, abnormal, pings, accepted},
	{inPost, sliced, leaving, atOnce, none},

	{inClientsClose, cut, abnormal, atOnce, gone},
	{inClientsClose, reset, abnormal, atOnce, gone},
	{inClientsClose, stall, abnormal, pings, accepted},
	{inClientsClose, halfOpen, abnormal, pings, accepted},
	{inClientsClose, sliced, leaving, atOnce, none},

	{inServersClose, cut, deleted, atOnce, gone},
	{inServersClose, reset, deleted, atOnce, gone},
	{inServersClose, stall, deleted, closeTimeout, gone},
	{inServersClose, halfOpen, deleted, closeTimeout, gone},
	{inServersClose, sliced, deleted, atOnce, none},

	{inShutdown, cut, away, atOnce, gone},
	{inShutdown, reset, away, atOnce, gone},
	{inShutdown, stall, away, closeTimeout, gone},
	{inShutdown, halfOpen, away, closeTimeout, gone},
	{inShutdown, sliced, away, atOnce, none},
}

func TestFaults(t *testing.T) {
	t.Parallel()
	for _, tc := range table {
		t.Run(tc.moment.name+"/"+tc.fault.name+"/"+tc.bound.name, func(t *testing.T) {
			t.Parallel()
			quotas := tc.quotas
			quotas.SendBufferMessages = sendBufferMessages
			s := newScene(t, quotas)
			struck := make(chan struct{})
			tc.reach(s, func() {
				tc.strike(s.relay)
				close(struck)
			})
			s.receive("the fault", struck)
			if tc.meanwhile != nil {
				tc.meanwhile(s, tc.fault)
			}
			if tc.told != nobody && !tc.noted && !tc.passes {
				s.requirePost(tc.posts)
			}
			if tc.passes {
				tc.finish(s)
			}
			if tc.told == nobody {
				s.await("the end of the request", func() bool { return s.dropped == 1 })
			}
			s.requireEnd(s.firstOf(tc.told, tc.fault))
		})
	}
}

// firstOf returns how the connection ended. There are two possible ends if the client goes
// while a reply is being written: if another goroutine writes, the reader sees the FIN at
// once; if the reader itself writes, the write's timeout comes first.
func (s *scene) firstOf(told end, f fault) end {
	s.t.Helper()
	if told != unread || f.name != cut.name {
		return told
	}
	s.requireOver()
	id := s.id()
	s.mu.Lock()
	defer s.mu.Unlock()
	if slices.Equal(s.ends[id], []end{abnormal}) {
		return abnormal
	}
	return told
}
