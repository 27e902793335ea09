package conformance_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"example.com/gateway"
	"example.com/gateway/gatewaytest"
	"example.com/gateway/internal/suites/wiretest"
)

// frame is a message or a control frame that the server must send.
type frame struct {
	op         byte
	payload    string
	frames     int  // of a message; 0: any number
	packed     bool // the message comes compressed
	unanswered bool // the message reaches the integration, and no answer comes
}

func echo(payload string) frame { return frame{op: wiretest.OpText, payload: payload} }
func ponged(payload string) frame {
	return frame{op: wiretest.OpPong, payload: payload}
}

// step is what the client sends, and what it expects.
type step struct {
	send  []byte
	want  []frame
	quiet bool // nothing may come for a second; only in cases that are memoryOnly
}

func sends(send []byte, want ...frame) step { return step{send: send, want: want} }

// ending is how the connection ends after the last step.
type ending struct {
	code   int    // of the server's Close frame; 0: the client closes with 1000
	reason string // expected in an answer; if the client failed, the server chooses the reason
	failed bool   // the server closes because of a fault of the client
	closed bool   // the fault is in the client's Close frame
}

// fails is the ending if the client breaks a rule. refuses is the ending if the client's
// Close frame breaks one.
func fails(code int) ending   { return ending{code: code, failed: true} }
func refuses(code int) ending { return ending{code: code, failed: true, closed: true} }

func answers(code int, reason string) ending { return ending{code: code, reason: reason} }

// testCase is one numbered case of the suite.
type testCase struct {
	id, title string
	request   *request // nil: a normal upgrade
	steps     []step
	end       ending
	here      func(*testCase) // for an exception: changes the case into what the gateway does instead

	compress   bool // WithCompression
	binary     bool // WithBinaryMessages
	noQuotas   bool // FrameBytes and MessageBytes do not apply
	stepwise   bool // each step waits for what the one before it wants
	memoryOnly bool // needs virtual time
	talksOn    bool // the client sends more after its Close frame
	unfinished bool // what the client sends next would still belong to its last frame
}

// request is an upgrade request.
type request struct {
	text   string
	status int               // expected; 0: 101
	accept string            // expected Sec-WebSocket-Accept; "": the one for wiretest.SampleKey
	header map[string]string // expected in a refusal
	agreed string            // expected Sec-WebSocket-Extensions of the 101
}

// way is how a case is run.
type way struct{ tcp, chop bool }

func (w way) String() string {
	transport, manner := "memory", "whole"
	if w.tcp {
		transport = "TCP"
	}
	if w.chop {
		manner = "byte by byte"
	}
	return transport + ", " + manner
}

func (c *testCase) ways() []way {
	ways := []way{{}, {chop: true}, {tcp: true}, {tcp: true, chop: true}}
	switch {
	case underRace && (c.compress || c.binary): // the other ways are run without the race detector
		return ways[:1]
	case c.memoryOnly:
		return ways[:2]
	}
	return ways
}

// run plays a case; in memory it uses virtual time. The error says how the gateway
// differs from what the case expects.
func run(t *testing.T, c testCase, w way) (err error) {
	t.Helper()
	if w.tcp {
		return play(t, c, w)
	}
	synctest.Test(t, func(t *testing.T) { err = play(t, c, w) })
	return err
}

func play(t *testing.T, c testCase, w way) error {
	srv := newServer(t, c, w)
	p := dial(t, srv, w.chop)
	p.Binary = c.binary
	ended := false
	end := func() {
		if !ended {
			ended = true
			p.close()
		}
	}
	defer end()
	if upgraded, err := p.upgrade(c.request); err != nil || !upgraded {
		return err
	}
	steps, ending := c.script(!w.tcp)
	for n, s := range steps {
		p.send(s.send)
		if s.quiet {
			if err := p.quiet(); err != nil {
				return fmt.Errorf("step %d: %w", n+1, err)
			}
		}
		if err := p.expect(s.want); err != nil {
			return fmt.Errorf("step %d: %w", n+1, err)
		}
	}
	if err := p.finish(c, ending, !w.tcp); err != nil {
		return fmt.Errorf("at the end: %w", err)
	}
	end()
	return checkEvents(srv, steps, ending)
}

// newServer returns a gateway that echoes every message.
func newServer(t *testing.T, c testCase, w way) *gatewaytest.Server {
	t.Helper()
	quotas := gateway.Quotas{NewConnections: gateway.Throttle{RateLimit: -1}}
	if c.noQuotas {
		quotas.FrameBytes, quotas.MessageBytes = -1, -1
	}
	start := gatewaytest.New
	if w.tcp {
		start = gatewaytest.NewTCP
	}
	opts := []gateway.Option{gateway.WithQuotas(quotas)}
	if c.compress {
		opts = append(opts, gateway.WithCompression(gateway.Compression{Threshold: deflateFrom}))
	}
	if c.binary {
		opts = append(opts, gateway.WithBinaryMessages())
	}
	srv := start(t, opts...)
	srv.HandleFunc(gateway.RouteKeyDefault, func(_ context.Context, req *gateway.Request) (*gateway.Response, error) {
		return &gateway.Response{Body: req.Body, Binary: req.Binary}, nil
	}, gateway.WithRouteResponse())
	srv.HandleFunc(gateway.RouteKeyDisconnect, func(context.Context, *gateway.Request) (*gateway.Response, error) {
		return nil, nil
	})
	return srv
}

// script returns the steps of the case and how it ends. If everything goes in one
// write, the steps become one.
func (c *testCase) script(joined bool) ([]step, ending) {
	steps, end := slices.Clone(c.steps), c.end
	if end == (ending{}) {
		steps, end = append(steps, sends(closing(1000, ""))), answers(1000, "")
	}
	if !joined || c.stepwise {
		return steps, end
	}
	var all step
	for _, s := range steps {
		all.send, all.want = append(all.send, s.send...), append(all.want, s.want...)
	}
	return []step{all}, end
}

// upgrade sends the request and checks the answer. It reports whether there is now a
// connection.
func (p *peer) upgrade(r *request) (bool, error) {
	if r == nil {
		r = &request{text: upgradeRequest()}
	}
	p.send([]byte(r.text))
	got, err := p.ReadHead()
	if err != nil {
		return false, err
	}
	want := r.status
	if want == 0 {
		want = http.StatusSwitchingProtocols
	}
	if got.Status != want {
		return false, fmt.Errorf("status %d instead of %d", got.Status, want)
	}
	if want != http.StatusSwitchingProtocols {
		return false, checkRefusal(got, r.header)
	}
	accept := r.accept
	if accept == "" {
		accept = wiretest.SampleAccept
	}
	p.Deflates = r.agreed != ""
	return true, checkSwitching(got, accept, r.agreed)
}

// checkRefusal requires that the header fields of a refusal have these elements.
func checkRefusal(got wiretest.Answer, want map[string]string) error {
	for name, value := range want {
		list := strings.Join(got.Values(name), ",")
		if !slices.ContainsFunc(strings.Split(list, ","), func(s string) bool { return strings.EqualFold(strings.TrimSpace(s), value) }) {
			return fmt.Errorf("%s of the %d is %q, without %q", name, got.Status, list, value)
		}
	}
	return nil
}

// finish reads the server's Close frame, answers it unless it is itself an answer,
// and reads the end of the stream.
func (p *peer) finish(c testCase, end ending, virtual bool) error {
	got, err := p.ReadMessage()
	code, reason := wiretest.ParseClose(got.Payload)
	switch {
	case err != nil:
		return err
	case got.Op != wiretest.OpClose:
		return fmt.Errorf("unexpected %v", got)
	case code != end.code:
		return fmt.Errorf("close code %d instead of %d", code, end.code)
	case !end.failed && reason != end.reason:
		return fmt.Errorf("the close is answered with %q", got.Payload)
	}
	if end.failed && !end.closed {
		if virtual { // RFC 6455, section 7.1.1: both Close frames come before the end
			if err := p.quiet(); err != nil {
				return err
			}
		}
		p.send(client(wiretest.Close, got.Payload[:min(2, len(got.Payload))]))
	}
	if c.unfinished {
		p.halfClose()
	}
	start := time.Now()
	if err := p.readEnd(c.talksOn); err != nil {
		return err
	}
	// In memory, our Close frame can be hidden behind a frame that the server cannot
	// parse.
	hidden := c.unfinished || end.code == 1002
	if took := time.Since(start); virtual && (took > 5*time.Second || took > 0 && !hidden) {
		return fmt.Errorf("the stream ended after %v", took)
	}
	return nil
}

// checkEvents requires that each message reached its integration once, in order, and
// that $disconnect was told how the connection ended.
func checkEvents(srv *gatewaytest.Server, steps []step, end ending) error {
	gone := srv.WaitEvent(func(e gatewaytest.Event) bool { return e.EventType == gateway.EventDisconnect })
	if gone.DisconnectStatusCode != end.code {
		return fmt.Errorf("$disconnect has code %d instead of %d", gone.DisconnectStatusCode, end.code)
	}
	var want, got []string
	for _, s := range steps {
		for _, f := range s.want {
			if f.op == wiretest.OpText || f.op == wiretest.OpBinary {
				want = append(want, f.payload)
			}
		}
	}
	for _, e := range srv.Events() {
		if e.EventType == gateway.EventMessage {
			got = append(got, string(e.Body))
		}
	}
	if !slices.Equal(got, want) {
		return fmt.Errorf("%d messages reached the integration instead of %d, or others", len(got), len(want))
	}
	return nil
}

// upgradeRequest returns a request that RFC 6455 allows, with additional header
// lines.
func upgradeRequest(lines ...string) string { return wiretest.Upgrade("/test", lines...) }
