package faults_test

import (
	"strings"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
	"example.com/gateway/internal/suites/wiretest"
)

// moment is a point in the life of a connection at which a fault happens.
type moment struct {
	name string
	// reach brings the scene to this point and makes strike be called there.
	reach func(s *scene, strike func())
	// meanwhile is what the test does after the fault has happened; nil: nothing.
	meanwhile func(s *scene, f fault)
	// finish is what the client does if the fault broke nothing.
	finish func(s *scene)
}

var (
	inHandshake = moment{
		"in the upgrade request",
		func(s *scene, strike func()) {
			s.relay.up.after(len(request(""))/2, strike)
			s.client.write(request(""))
		},
		nil,
		func(s *scene) {
			s.client.requireUpgraded()
			s.client.leave()
		},
	}
	beforeAnswer = moment{
		"before the 101",
		func(s *scene, strike func()) {
			s.client.write(request("wait"))
			s.receive("$connect", s.entered)
			strike()
		},
		func(s *scene, f fault) {
			if f.noted {
				s.receive("net/http notes that the client left", s.left)
			}
			close(s.release)
		},
		func(s *scene) {
			s.client.requireUpgraded()
			s.client.leave()
		},
	}
	idle = moment{
		"idle",
		func(s *scene, strike func()) {
			s.open()
			strike()
		},
		nil,
		(*scene).echoAndLeave,
	}
	inHeader  = within("within a frame's header", wiretest.Frame(wiretest.Text, middling), 3)
	inPayload = within("within a payload", wiretest.Frame(wiretest.Text, middling), 1000)
	inMessage = within("between fragments",
		append(wiretest.Frame(wiretest.TextBegin, middling[:10]), wiretest.Frame(wiretest.Last, middling[10:])...), len(wiretest.Frame(wiretest.TextBegin, middling[:10])))
	inIntegration = moment{
		"while an integration runs",
		func(s *scene, strike func()) {
			s.open()
			s.client.write(wiretest.Frame(wiretest.Text, `{"action":"wait"}`))
			s.receive("the integration", s.entered)
			strike()
		},
		func(s *scene, f fault) {
			if !f.passes {
				if !f.noted {
					s.requirePost(accepted)
				}
				s.awaitGone()
				require.Empty(s.t, s.ends, "$disconnect is the last event")
			}
			close(s.release)
		},
		func(s *scene) {
			s.client.requireMessage("waited")
			s.client.leave()
		},
	}
	inReply = moment{
		"while a reply is being written",
		func(s *scene, strike func()) {
			s.open()
			s.relay.down.set(stalled)
			for range replies {
				s.client.write(wiretest.Frame(wiretest.Text, `{"action":"large"}`))
			}
			// One reply is being written, one is queued, the third waits for room.
			s.await("the replies", func() bool { return s.done == replies })
			require.ErrorIs(s.t, s.post("no room"), gateway.ErrLimitExceeded)
			strike()
		},
		nil,
		func(s *scene) {
			for range replies {
				s.client.requireMessage(large)
			}
			s.client.leave()
		},
	}
	inPost = moment{
		"while a post is being written",
		func(s *scene, strike func()) {
			s.open()
			s.stick()
			strike()
		},
		nil,
		func(s *scene) {
			for range sendBufferMessages {
				s.client.requireMessage(large)
			}
			s.client.leave()
		},
	}
	inClientsClose = within("within the client's Close frame", closeFrame(), 5)
	inServersClose = moment{
		"in the server's close",
		func(s *scene, strike func()) {
			s.open()
			require.NoError(s.t, s.DeleteConnection(s.t.Context(), s.id()))
			require.ErrorIs(s.t, s.post("too late"), gateway.ErrGone)
			s.client.requireClose(deleted)
			strike()
		},
		nil,
		(*scene).answerClose,
	}
	inShutdown = moment{
		"in Shutdown",
		func(s *scene, strike func()) {
			s.open()
			s.shutDown()
			s.client.requireClose(away)
			strike()
		},
		nil,
		(*scene).answerClose,
	}
)

// The limit of a scene's send buffer, and how many replies fill it.
const (
	sendBufferMessages = 2
	replies            = sendBufferMessages + 1
)

// middling is a message that is longer than any frame header.
var middling = strings.Repeat("m", 3000)

// within is the moment after the first n bytes of what the client sends.
func within(name string, sent []byte, n int) moment {
	return moment{
		name,
		func(s *scene, strike func()) {
			s.open()
			s.relay.up.after(n, strike)
			s.client.write(sent)
		},
		nil,
		func(s *scene) {
			if sent[0] == wiretest.Close {
				s.client.requireClose(leaving)
				s.client.requireEnd()
				return
			}
			s.client.requireMessage(middling)
			s.client.leave()
		},
	}
}

// open connects the client and checks that it gets one reply.
func (s *scene) open() {
	s.t.Helper()
	s.client.upgrade("")
	s.client.write(wiretest.Frame(wiretest.Text, "hello"))
	s.client.requireMessage("hello")
	s.await("the first event", func() bool { return s.done == 1 })
	s.note(func() { s.done = 0 })
}

func (s *scene) echoAndLeave() {
	s.t.Helper()
	s.client.write(wiretest.Frame(wiretest.Text, middling))
	s.client.requireMessage(middling)
	s.client.leave()
}

func (s *scene) answerClose() {
	s.t.Helper()
	s.client.write(closeFrame())
	s.client.requireEnd()
}
