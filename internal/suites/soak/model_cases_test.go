package soak_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The model accepts what is allowed and finds what is not. Each case changes one
// thing in a connection that its client closed after three messages and two posts.
func TestModel_reconcile(t *testing.T) {
	t.Parallel()
	start := time.Unix(1000, 0)
	type sides struct {
		s        served
		r        report
		shutdown time.Time
	}
	deleted := func(c *sides) {
		c.s.deletes, c.s.firstDelete = 1, start
		c.s.code, c.s.reason = 1000, "Connection Closed Normally"
		c.r.Closed, c.r.CloseReason = c.s.code, c.s.reason
	}
	ends := func(c *sides, ending string, code int, reason string) {
		c.r.Ending, c.s.code, c.s.reason, c.r.Closed, c.r.CloseReason = ending, code, reason, code, reason
	}
	drops := func(c *sides, ending string) {
		ends(c, ending, 1006, "Connection closed abnormally")
		c.r.Closed, c.r.CloseReason, c.r.Clean = 0, "", false
	}
	for _, tc := range []struct {
		name   string
		change func(c *sides)
		fault  string // "": it is allowed
	}{
		{"a client closes", func(*sides) {}, ""},
		{"without a code", func(c *sides) {
			c.r.Code, c.r.Reason = 1005, ""
			ends(c, endClose, 1005, "")
			c.s.reason = "Client-side close frame status not set"
		}, ""},
		{"a delete comes first", deleted, ""},
		{"a client drops and all has arrived", func(c *sides) { drops(c, endFIN) }, ""},
		{"a client drops and a post is lost", func(c *sides) { drops(c, endFIN); c.r.Posts-- }, ""},
		{"a client drops and a reply is lost", func(c *sides) { drops(c, endRST); c.r.Replies-- }, ""},
		{"a reset loses a message", func(c *sides) { drops(c, endRST); c.r.Sent++ }, ""},
		{"a delete loses a message", func(c *sides) { deleted(c); c.r.Sent++ }, ""},
		{"a delete refuses a reply", func(c *sides) { deleted(c); c.r.Replies--; c.s.observedSent--; c.s.observedRefused++ }, ""},
		{"a client violates", func(c *sides) { ends(c, endViolate, 1003, "Binary is not supported") }, ""},
		{"a shutdown", func(c *sides) { ends(c, endAwait, 1001, "Going away"); c.shutdown = start }, ""},
		{"a shutdown cuts", func(c *sides) {
			ends(c, endCut, 1001, "Going away")
			c.r.Closed, c.r.Clean, c.r.Posts, c.shutdown = 0, false, 0, start
		}, ""},
		{"a client was refused", func(c *sides) { *c = sides{s: served{refused: 1}, r: report{Ending: endRefused}} }, ""},
		{"a client left too early to be noticed", func(c *sides) { *c = sides{r: report{Ending: endAborted}} }, ""},
		{"a post is refused after the end", func(c *sides) { c.s.gone, c.s.observedRefused, c.s.firstGone = 1, 1, start.Add(time.Second) }, ""},
		{"a client is too slow to answer", func(c *sides) {
			deleted(c)
			c.r.Ending, c.r.EndedAt, c.r.Clean, c.s.disconnectedAt = endAwait, 0, false, start.Add(6*time.Second)
		}, ""},

		{"no $disconnect", func(c *sides) { c.s.disconnects = 0 }, "0 $disconnect"},
		{"two $disconnect", func(c *sides) { c.s.disconnects = 2 }, "2 $disconnect"},
		{"another code", func(c *sides) { c.s.code = 1006 }, "$disconnect has 1006"},
		{"another reason", func(c *sides) { c.s.reason = "" }, `$disconnect has 4000 ""`},
		{"a drop with a code", func(c *sides) { drops(c, endHalf); c.s.code = 1000 }, "$disconnect has 1000"},
		{"a delete without its code", func(c *sides) { c.s.deletes = 1 }, "$disconnect has 4000"},
		{"two deletes succeed", func(c *sides) { deleted(c); c.s.deletes = 2 }, "2 deletes succeeded"},
		{"nothing ended it", func(c *sides) { c.r.Ending = endAwait }, "nothing that would end it"},
		{"the client got another code", func(c *sides) { c.r.Closed = 1001 }, "the client got Close 1001"},
		{"a Close frame after a drop", func(c *sides) { drops(c, endFIN); c.r.Closed = 1006 }, "the client dropped and got Close 1006"},
		{"a reset behind the Close frame", func(c *sides) { c.r.Clean = false }, "no clean end"},
		{"a post is lost", func(c *sides) { c.r.Posts-- }, "1 posts arrived before the Close frame, 2 were accepted"},
		{"a delete loses a post", func(c *sides) { deleted(c); c.r.Posts-- }, "1 posts arrived before the Close frame, 2 were accepted"},
		{"a refused post arrives", func(c *sides) { drops(c, endFIN); c.r.Posts++ }, "3 posts arrived, 2 were accepted"},
		{"a reply is lost", func(c *sides) { c.r.Replies-- }, "1 replies arrived before the Close frame, 2 were sent"},
		{"a reply was never sent", func(c *sides) { c.r.Replies--; c.s.observedSent-- }, "2 messages have replies, 1 were sent and 0 refused"},
		{"a message is lost", func(c *sides) { c.r.Sent++ }, "3 messages came, 4 were sent and none may be lost"},
		{"the end of a stream loses a message", func(c *sides) { drops(c, endFIN); c.r.Sent++ }, "3 messages came, 4 were sent and none may be lost"},
		{"a message comes from nowhere", func(c *sides) { drops(c, endRST); c.s.messages++ }, "4 messages came, 3 were sent"},
		{"gone before the end", func(c *sides) { c.s.gone, c.s.observedRefused, c.s.firstGone = 1, 1, start.Add(-time.Second) }, "ErrGone"},
		{"an error frame of another connection", func(c *sides) { c.r.ID = "B" }, `error frames name the connection "B", it is "A"`},
		{"out of time without reason", func(c *sides) { c.r.TimedOut = 1 }, "1 messages ran out of time, 0 of them"},
		{"the client noticed something itself", func(c *sides) { c.r.Faults = []string{"post 2 came as number 1"} }, "post 2 came as number 1"},
		{"a refused client was accepted", func(c *sides) { c.r.Ending = endRefused }, "the client was refused; $connect accepted 1 times"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			c := &sides{
				s: served{
					id: "A", connects: 1, disconnects: 1, disconnectedAt: start, code: 4000, reason: "bye",
					messages: 3, answerable: 2, accepted: 2, observedSent: 4,
				},
				r: report{
					Ending: endClose, Code: 4000, Reason: "bye", EndedAt: start.UnixNano(), ID: "A",
					Sent: 3, Replies: 2, Posts: 2, Closed: 4000, CloseReason: "bye", Clean: true,
				},
			}
			tc.change(c)
			faults := reconcile(&c.s, &c.r, c.shutdown)
			if tc.fault == "" {
				require.Empty(t, faults)
				return
			}
			require.NotEmpty(t, faults)
			require.Contains(t, faults[0], tc.fault)
		})
	}
}

// A client notices texts in the wrong order, and texts that were not sent like this.
func TestModel_inbound(t *testing.T) {
	t.Parallel()
	errorFrame := func(text, id string) string {
		return `{"message": "` + text + `", "connectionId":"` + id + `", "requestId":"x"}`
	}
	for _, tc := range []struct {
		name  string
		texts []string
		fault string // of the last text; "": none
	}{
		{"posts in order", []string{string(postText(1, 0)), broadcastText, string(postText(3, 500))}, ""},
		{"replies in order", []string{string(replyText(1, 0, 10)), errorFrame("Forbidden", "A"), string(replyText(4, 0, 20))}, ""},
		{"a reply behind its posts", []string{string(postText(1, 5)), string(replyText(1, 1, 10))}, ""},
		{"a post twice", []string{string(postText(1, 0)), string(postText(1, 0))}, "post 1 came as number 2"},
		{"posts reordered", []string{string(postText(2, 0))}, "post 2 came as number 1"},
		{"a post cut short", []string{string(postText(1, 5)[:5]) + "x"}, "other padding"},
		{"replies reordered", []string{string(replyText(4, 0, 20))}, "the reply to message 1 was expected"},
		{"a reply before its posts", []string{string(replyText(1, 1, 10))}, "the reply to message 1 came before post 1"},
		{"a reply cut short", []string{string(replyText(1, 0, 9))}, "9 bytes of other padding, want 10"},
		{"a reply too many", []string{string(replyText(1, 0, 10)), errorFrame("Forbidden", "A"), string(replyText(4, 0, 20)), string(replyText(4, 0, 20))}, "a reply without a message"},
		{"an error instead of a reply", []string{errorFrame("Internal server error", "A")}, "the reply to message 1 was expected"},
		{"another error", []string{string(replyText(1, 0, 10)), errorFrame("Internal server error", "A")}, `"Forbidden" for message 3 was expected`},
		{"an error frame of another connection", []string{string(replyText(1, 0, 10)), errorFrame("Forbidden", "B")}, "names the connection"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			in := inbound{expected: []expectation{{n: 1, size: 10}, {n: 3, text: "Forbidden"}, {n: 4, size: 20}}, id: "A"}
			for n, text := range tc.texts {
				err := in.message([]byte(text))
				if tc.fault == "" || n < len(tc.texts)-1 {
					require.NoError(t, err)
					continue
				}
				require.ErrorContains(t, err, tc.fault)
			}
		})
	}
}
