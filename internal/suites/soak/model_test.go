package soak_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

// The reference model: what may have happened to one connection, according to the
// records of both sides. It does not know how a gateway works.

// The ways in which a client ends its connection.
const (
	endClose   = "close"   // sends a Close frame, and reads up to the answer
	endFIN     = "fin"     // ends its stream, and reads up to the end of ours
	endHalf    = "half"    // ends its stream within a frame, and reads up to the end of ours
	endRST     = "rst"     // resets the connection, and reads no more
	endViolate = "violate" // sends a binary frame
	endBye     = "bye"     // sends a message whose integration deletes the connection
	endAwait   = "await"   // leaves the end to the server
	endBusy    = "busy"    // leaves the end to the server, and sends until then
	endCut     = "cut"     // as endBusy, and the server may cut the connection
	endRefused = "refused" // is refused by $connect
	endAborted = "aborted" // resets the connection before it has its 101
)

// served is what the server recorded about a connection.
type served struct {
	id                string
	connects, refused int // results of $connect
	disconnects       int
	disconnectedAt    time.Time
	code              int // of $disconnect
	reason            string
	messages          int       // that came; each was the client's next
	answerable        int       // messages that have a reply, which may be an error
	overdue           int       // messages whose only reply is that their integration timed out
	accepted          int       // posts that returned nil
	gone, full        int       // posts that were refused, by their error
	firstGone         time.Time // when a post or a delete first got it
	deletes           int       // calls of DeleteConnection that returned nil
	firstDelete       time.Time

	observedSent, observedRefused int // replies and posts, as reported to observers
}

func (s *served) repliesSent() int    { return s.observedSent - s.accepted }
func (s *served) repliesRefused() int { return s.observedRefused - s.gone - s.full }

// report is what a client recorded about its connection.
type report struct {
	Life        int // number of the connection
	Ending      string
	Code        int // for endClose
	Reason      string
	EndedAt     int64  // Unix nanoseconds, just before the client ended the connection; 0: it did not
	ID          string // connection ID in error frames
	Sent        int    // messages
	Replies     int    // that came; each was the next expected one
	TimedOut    int    // replies that said, unexpectedly, that the integration timed out
	Posts       int    // that came; each was the next expected one
	Closed      int    // code of the Close frame that came; 0: none
	CloseReason string
	Clean       bool // the end of the stream came after it
	Faults      []string
}

// dropped reports whether the client ended the connection without a Close frame.
func (r *report) dropped() bool {
	return r.Ending == endFIN || r.Ending == endHalf || r.Ending == endRST || r.Ending == endAborted
}

// clockSlack is how much the clocks of two processes may differ.
const clockSlack = 100 * time.Millisecond

// reconcile compares the two sides of a connection and returns what is not possible.
// shutdown is when the gateway's shutdown began, zero if it has not begun.
func reconcile(s *served, r *report, shutdown time.Time) (faults []string) {
	check := func(ok bool, format string, args ...any) {
		if !ok {
			faults = append(faults, fmt.Sprintf(format, args...))
		}
	}
	faults = append(faults, r.Faults...)
	reconcileUpgrade(s, r, check)
	if s.connects == 0 {
		return faults
	}
	code, reason := expectedEnd(s, r, !shutdown.IsZero())
	check(s.code == code && s.reason == reason, "$disconnect has %d %q, want %d %q", s.code, s.reason, code, reason)
	if code == 1005 {
		reason = "" // an empty Close frame has no reason
	}
	switch {
	case r.Ending == endCut && r.Closed == 0:
	case r.Ending == endCut:
		check(r.Closed == code, "the client got Close %d, want %d", r.Closed, code)
	case !r.dropped():
		check(r.Closed == code && r.CloseReason == reason, "the client got Close %d %q, want %d %q", r.Closed, r.CloseReason, code, reason)
		check(r.Clean || tooLate(s, r), "the client's stream has no clean end")
	case r.Closed != 0:
		check(s.deletes > 0 && r.Closed == 1000, "the client dropped and got Close %d", r.Closed)
	}
	reconcileMessages(s, r, check)
	if !s.firstGone.IsZero() {
		ended := earliest(shutdown, unixNano(r.EndedAt))
		if s.deletes > 0 {
			ended = earliest(ended, s.firstDelete)
		}
		check(!ended.IsZero() && s.firstGone.After(ended.Add(-clockSlack)), "ErrGone at %v, and the connection ended at %v", s.firstGone, ended)
	}
	return faults
}

// closeTimeout is how long a server waits for the answer to its Close frame.
const closeTimeout = 5 * time.Second

// tooLate reports whether the client may have taken too long to answer a Close frame
// that the server sent first.
func tooLate(s *served, r *report) bool {
	ended := unixNano(r.EndedAt)
	if s.deletes > 0 {
		ended = earliest(ended, s.firstDelete)
	}
	return r.Ending != endClose && !ended.IsZero() && s.disconnectedAt.Sub(ended) >= closeTimeout
}

type checker func(ok bool, format string, args ...any)

func reconcileUpgrade(s *served, r *report, check checker) {
	switch r.Ending {
	case endRefused:
		check(s.connects == 0 && s.refused == 1, "the client was refused; $connect accepted %d times, refused %d times", s.connects, s.refused)
	case endAborted:
		check(s.connects <= 1 && s.refused == 0, "the client left; $connect accepted %d times, refused %d times", s.connects, s.refused)
	default:
		check(s.connects == 1 && s.refused == 0, "the client was accepted; $connect accepted %d times, refused %d times", s.connects, s.refused)
	}
	check(s.disconnects == s.connects, "%d $disconnect", s.disconnects)
	check(s.deletes <= 1, "%d deletes succeeded", s.deletes)
}

// expectedEnd returns the code and reason that $disconnect must have, and that a
// client must get if it did not drop the connection.
func expectedEnd(s *served, r *report, shutdown bool) (code int, reason string) {
	switch {
	case s.deletes > 0:
		return 1000, "Connection Closed Normally"
	case r.Ending == endClose && r.Code == 1005:
		return 1005, "Client-side close frame status not set"
	case r.Ending == endClose:
		return r.Code, r.Reason
	case r.Ending == endViolate:
		return 1003, "Binary is not supported"
	case shutdown && r.Ending == endAborted && s.code == 1001: // the client had left before the server knew that it had connected
		return 1001, "Going away"
	case r.dropped():
		return 1006, "Connection closed abnormally"
	case shutdown && (r.Ending == endAwait || r.Ending == endBusy || r.Ending == endCut):
		return 1001, "Going away"
	}
	return 0, "nothing that would end it"
}

func reconcileMessages(s *served, r *report, check checker) {
	if s.deletes > 0 || slices.Contains([]string{endRST, endAborted, endBusy, endCut}, r.Ending) {
		check(s.messages <= r.Sent, "%d messages came, %d were sent", s.messages, r.Sent)
	} else {
		check(s.messages == r.Sent, "%d messages came, %d were sent and none may be lost", s.messages, r.Sent)
	}
	check(s.answerable == s.repliesSent()+s.repliesRefused(), "%d messages have replies, %d were sent and %d refused", s.answerable, s.repliesSent(), s.repliesRefused())
	if r.Closed != 0 { // everything that was accepted comes before the Close frame
		check(r.Posts == s.accepted, "%d posts arrived before the Close frame, %d were accepted", r.Posts, s.accepted)
		check(r.TimedOut == s.overdue || s.repliesRefused() > 0, "%d messages ran out of time, %d of them by the server's clock", r.TimedOut, s.overdue)
		check(r.Replies == s.repliesSent(), "%d replies arrived before the Close frame, %d were sent", r.Replies, s.repliesSent())
	} else {
		check(r.TimedOut <= s.overdue, "%d messages ran out of time, %d of them by the server's clock", r.TimedOut, s.overdue)
		check(r.Posts <= s.accepted, "%d posts arrived, %d were accepted", r.Posts, s.accepted)
		check(r.Replies <= s.repliesSent(), "%d replies arrived, %d were sent", r.Replies, s.repliesSent())
	}
	check(r.ID == "" || r.ID == s.id, "error frames name the connection %q, it is %q", r.ID, s.id)
}

func unixNano(ns int64) (t time.Time) {
	if ns != 0 {
		t = time.Unix(0, ns)
	}
	return t
}

// earliest returns the earliest of the times that are not zero.
func earliest(times ...time.Time) (first time.Time) {
	for _, t := range times {
		if !t.IsZero() && (first.IsZero() || t.Before(first)) {
			first = t
		}
	}
	return first
}

// expectation is the reply that a message must get.
type expectation struct {
	n    int    // number of the message
	text string // of the error frame; "": it is no error
	size int    // of the reply's padding
}

// inbound checks what a client receives: replies come in the order of the messages,
// posts in the order of their numbers, and a reply comes after the posts that were
// accepted before its integration returned.
type inbound struct {
	expected       []expectation
	replies, posts int
	timedOut       int
	id             string // the connection ID in error frames
}

// The texts that the two processes send. Each has a number, which says where it
// belongs in the order, and from which the padding is made.
func postText(seq, size int) []byte { return fmt.Appendf(nil, "p %d %s", seq, padding(seq, size)) }

func replyText(n, posts, size int) []byte {
	return fmt.Appendf(nil, "r %d %d %s", n, posts, padding(n, size))
}

const (
	broadcastText = "b"
	timedOutText  = "Endpoint request timed out"
)

var letters = bytes.Repeat([]byte("abcdefghijklmnopqrstuvwxyz"), 1<<12)

func padding(n, size int) []byte { return letters[n%26:][:size] }

// message checks the next text.
func (in *inbound) message(text []byte) error {
	var n, posts int
	switch {
	case string(text) == broadcastText:
		in.posts++
		return nil
	case bytes.HasPrefix(text, []byte("p ")):
		in.posts++
		if _, err := fmt.Sscanf(string(text[:min(len(text), 20)]), "p %d", &n); err != nil || n != in.posts {
			return fmt.Errorf("post %d came as number %d", n, in.posts)
		}
		return samePadding(text, n, -1)
	case len(in.expected) == 0:
		return fmt.Errorf("a reply without a message: %.80q", text)
	}
	want := in.expected[0]
	in.expected = in.expected[1:]
	in.replies++
	if want.text == "" && bytes.HasPrefix(text, []byte(`{"message": "`+timedOutText)) {
		in.timedOut++
		want.text = timedOutText
	}
	if want.text != "" {
		return in.errorFrame(text, want)
	}
	if _, err := fmt.Sscanf(string(text[:min(len(text), 40)]), "r %d %d", &n, &posts); err != nil || n != want.n {
		return fmt.Errorf("the reply to message %d was expected: %.80q", want.n, text)
	}
	if posts > in.posts {
		return fmt.Errorf("the reply to message %d came before post %d", n, posts)
	}
	return samePadding(text, n, want.size)
}

func samePadding(text []byte, n, size int) error {
	pad := text[bytes.LastIndexByte(text, ' ')+1:]
	if size >= 0 && len(pad) != size || !bytes.Equal(pad, padding(n, len(pad))) {
		return fmt.Errorf("%d bytes of other padding, want %d: %.80q", len(pad), size, text)
	}
	return nil
}

func (in *inbound) errorFrame(text []byte, want expectation) error {
	var frame struct{ Message, ConnectionID string }
	if err := json.Unmarshal(text, &frame); err != nil || frame.Message != want.text {
		return fmt.Errorf("%q for message %d was expected: %.80q", want.text, want.n, text)
	}
	if in.id == "" {
		in.id = frame.ConnectionID
	}
	if frame.ConnectionID != in.id {
		return fmt.Errorf("an error frame names the connection %q, another %q", frame.ConnectionID, in.id)
	}
	return nil
}
