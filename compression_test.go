package gateway_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
	"example.com/gateway/gatewaytest"
	"example.com/gateway/internal/suites/wiretest"
)

const deflateAnswer = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"

// compressing returns a gateway that compresses, and echoes every message.
func compressing(t *testing.T, opts ...gateway.Option) *gatewaytest.Server {
	t.Helper()
	srv := gatewaytest.New(t, append([]gateway.Option{gateway.WithCompression(gateway.Compression{})}, opts...)...)
	srv.HandleFunc(gateway.RouteKeyDefault, func(_ context.Context, req *gateway.Request) (*gateway.Response, error) {
		return &gateway.Response{Body: req.Body}, nil
	}, gateway.WithRouteResponse())
	srv.HandleFunc(gateway.RouteKeyDisconnect, answerNothing)
	return srv
}

// dialDeflate opens a connection with this offer. agreed is the answer.
func dialDeflate(t *testing.T, srv *gatewaytest.Server, offers ...string) (p *wiretest.Peer, agreed string) {
	t.Helper()
	p = wiretest.Dial(t, srv.HTTPClient())
	fields := make([]string, len(offers))
	for n, offer := range offers {
		fields[n] = "Sec-WebSocket-Extensions: " + offer
	}
	agreed = strings.Join(p.MustOpen(fields...).Values("Sec-WebSocket-Extensions"), ", ")
	p.Deflates = agreed != ""
	return p, agreed
}

func long(n int) string { return strings.Repeat(`{"data":"hello"},`, n/17+1)[:n] }

func TestCompression_Handshake(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		offers []string
		want   string
	}{
		{[]string{"permessage-deflate"}, deflateAnswer},
		{[]string{"permessage-deflate; client_max_window_bits"}, deflateAnswer},
		{[]string{"x-other", "permessage-deflate; x, permessage-deflate; server_max_window_bits=10"}, deflateAnswer + "; server_max_window_bits=10"},
		{[]string{"permessage-deflate; server_max_window_bits=7"}, ""},
		{[]string{"x-webkit-deflate-frame"}, ""},
		{[]string{"permessage-deflate; ="}, ""},
		{nil, ""},
	} {
		_, agreed := dialDeflate(t, compressing(t), tc.offers...)
		require.Equal(t, tc.want, agreed, "%q", tc.offers)
	}
}

// Messages are compressed in both directions, if it is worth it.
func TestCompression_Messages(t *testing.T) {
	t.Parallel()
	srv := compressing(t)
	p, _ := dialDeflate(t, srv, "permessage-deflate")
	for _, tc := range []struct {
		name, text string
		want       bool
	}{
		{"below the threshold", long(511), false},
		{"at the threshold", long(512), true},
		{"several frames", long(120_000), true},
	} {
		for _, first := range []byte{wiretest.Text, wiretest.Text | wiretest.RSV1} {
			payload := tc.text
			if first&wiretest.RSV1 != 0 {
				payload = wiretest.Deflate(payload)
			}
			p.MustWrite(fragmentsOf(first, payload))
			got := p.ReceiveAny()
			require.Equal(t, tc.text, got.Payload, tc.name)
			require.Equal(t, tc.want, got.Compressed > 0, tc.name)
			require.Less(t, got.Compressed, len(tc.text)/2, tc.name)
		}
	}
}

// fragmentsOf returns a message that begins with first, in frames of at most 32 KiB.
func fragmentsOf(first byte, payload string) (b []byte) {
	for first &^= wiretest.Fin; len(payload) > 32<<10; first = wiretest.Next {
		b, payload = append(b, wiretest.Frame(first, payload[:32<<10])...), payload[32<<10:]
	}
	return append(b, wiretest.Frame(wiretest.Fin|first, payload)...)
}

// noise returns text that cannot be compressed well.
func noise(n int) string {
	var b strings.Builder
	x := uint32(1)
	for b.Len() < n {
		x = x*1664525 + 1013904223
		b.WriteRune(rune(0x80 + x>>21))
	}
	return b.String()
}

// Replies that go out in one write are compressed, too, and stay in order.
func TestCompression_PipelinedReplies(t *testing.T) {
	t.Parallel()
	p, _ := dialDeflate(t, compressing(t), "permessage-deflate")
	var all []byte
	for n := range 50 {
		all = append(all, wiretest.Frame(wiretest.Text, fmt.Sprint(n, long(100*n)))...)
	}
	failed := make(chan error, 1)
	go func() { // ends when everything is written
		_, err := p.Write(all)
		failed <- err
	}()
	for n := range 50 {
		got := p.ReceiveAny()
		require.Equal(t, fmt.Sprint(n, long(100*n)), got.Payload)
		require.Equal(t, len(got.Payload) >= 512, got.Compressed > 0)
	}
	require.NoError(t, <-failed)
}

// Each of many clients gets the message in the form that it has agreed on.
func TestCompression_ToMany(t *testing.T) {
	t.Parallel()
	srv := compressing(t)
	peers := map[string]*wiretest.Peer{}
	for _, offer := range []string{"permessage-deflate", "permessage-deflate; server_max_window_bits=9", "x-none", "permessage-deflate; client_max_window_bits"} {
		peers[offer], _ = dialDeflate(t, srv, offer)
	}
	var ids []string
	for c := range srv.Connections() {
		ids = append(ids, c.ID)
	}
	for _, size := range []int{100, 512, 513, 100_000} {
		require.Nil(t, srv.PostToConnections(t.Context(), ids, []byte(long(size))))
		done, err := srv.PostTo(t.Context(), gateway.Everyone(), []byte(long(size)))
		require.NoError(t, err)
		require.Equal(t, gateway.Delivery{Accepted: len(peers)}, done)
		for offer, p := range peers {
			for range 2 {
				got := p.ReceiveAny()
				require.Equal(t, long(size), got.Payload)
				small := offer == "permessage-deflate; server_max_window_bits=9" && size > 512
				require.Equal(t, size >= 512 && offer != "x-none" && !small, got.Compressed > 0, "%s, %d bytes", offer, size)
			}
		}
	}
}

// What a client sends is bounded before and after it is inflated.
func TestCompression_Bounds(t *testing.T) {
	t.Parallel()
	zeros := func(n int) string { return wiretest.Deflate(strings.Repeat("0", n)) }
	for _, tc := range []struct {
		name   string
		quotas gateway.Quotas
		send   []byte
		code   int
		reason string
	}{
		{"a message of one byte more", gateway.Quotas{}, wiretest.Frame(wiretest.Text|wiretest.RSV1, wiretest.Deflate(long(128<<10+1))), 1009, "Message too big"},
		{"a bomb", gateway.Quotas{}, wiretest.Frame(wiretest.Text|wiretest.RSV1, zeros(16<<20)), 1009, "Message too big"},
		{"a bomb without a quota", gateway.Quotas{MessageBytes: -1}, wiretest.Frame(wiretest.Text|wiretest.RSV1, zeros(16<<20)), 1009, "Message too big"},
		{"a frame of one byte more on the wire", gateway.Quotas{}, wiretest.Frame(wiretest.Text|wiretest.RSV1, strings.Repeat("\x00", 32<<10+1)), 1009, "Message too big"},
		{"no DEFLATE data", gateway.Quotas{}, wiretest.Frame(wiretest.Text|wiretest.RSV1, "hello"), 1007, "Invalid compressed data"},
		{"no UTF-8", gateway.Quotas{}, wiretest.Frame(wiretest.Text|wiretest.RSV1, wiretest.Deflate("\xff\xff")), 1007, "Invalid UTF-8"},
		{"a compressed ping", gateway.Quotas{}, wiretest.Frame(wiretest.Ping|wiretest.RSV1, ""), 1002, "Protocol error"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				srv := compressing(t, gateway.WithQuotas(tc.quotas))
				p, _ := dialDeflate(t, srv, "permessage-deflate")
				go func() { _, _ = p.Write(append(tc.send, wiretest.CloseFrame(tc.code, "")...)) }() // ends with the connection
				p.ExpectClose(tc.code, tc.reason)
				p.ExpectEnd()
				gone := srv.WaitEvent(func(e gatewaytest.Event) bool { return e.EventType == gateway.EventDisconnect })
				require.Equal(t, tc.code, gone.DisconnectStatusCode)
				for _, e := range srv.Events() {
					require.NotEqual(t, gateway.EventMessage, e.EventType, "no part of it reaches an integration")
				}
			})
		})
	}
}

// A client that has not agreed on compression must not compress.
func TestCompression_NotAgreed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, agreed := dialDeflate(t, compressing(t))
		require.Empty(t, agreed)
		p.MustSend(wiretest.Text, long(1000))
		p.Expect(wiretest.OpText, long(1000))
		p.MustSend(wiretest.Text|wiretest.RSV1, wiretest.Deflate("hello"))
		p.ExpectClose(1002, "Protocol error")
	})
}

// Quotas.SendBufferBytes counts what waits as it will be sent.
func TestCompression_SendBuffer(t *testing.T) {
	t.Parallel()
	accepted := func(t *testing.T, opts ...gatewaytest.DialOption) (n int) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			srv := compressing(t, gateway.WithQuotas(gateway.Quotas{SendBufferBytes: 64 << 10, SendBufferMessages: 200}))
			c := srv.Dial(t, opts...)
			c.Pause()
			for srv.PostToConnection(t.Context(), c.ConnectionID(), []byte(long(16<<10))) == nil {
				n++
			}
			c.Resume()
			for range n {
				require.Equal(t, long(16<<10), c.Receive())
			}
		})
		return n
	}
	require.Less(t, accepted(t), 10)
	require.Equal(t, 200, accepted(t, gatewaytest.Compression()))
}

// A level that compresses better makes messages no longer.
func TestCompression_Level(t *testing.T) {
	t.Parallel()
	size := func(c gateway.Compression) int {
		p, _ := dialDeflate(t, compressing(t, gateway.WithCompression(c)), "permessage-deflate")
		p.MustSend(wiretest.Text, noise(10_000)+long(10_000))
		return p.ReceiveAny().Compressed
	}
	require.Less(t, size(gateway.Compression{Level: 9}), size(gateway.Compression{}))
}

// Many connections that compress at the same time share writers, readers and buffers, and
// get nothing of each other.
func TestCompression_Together(t *testing.T) {
	t.Parallel()
	srv := gatewaytest.NewTCP(t, gateway.WithCompression(gateway.Compression{Threshold: 1}), gateway.WithQuotas(gateway.Quotas{NewConnections: gateway.Throttle{RateLimit: -1}}))
	srv.HandleFunc(gateway.RouteKeyDefault, func(_ context.Context, req *gateway.Request) (*gateway.Response, error) {
		return &gateway.Response{Body: req.Body}, nil
	}, gateway.WithRouteResponse())
	failed := make(chan error, 16)
	for n := range cap(failed) {
		p, _ := dialDeflate(t, srv, "permessage-deflate")
		go func() { // ends after its messages, and is waited for below
			failed <- func() error {
				for m := range 40 {
					text := fmt.Sprintf("%d: %s", n, strings.Repeat(fmt.Sprint(n*1000+m, " "), 1+m*m))
					if err := p.Send(wiretest.Text|wiretest.RSV1, wiretest.Deflate(text)); err != nil {
						return err
					}
					got, err := p.ReadMessage()
					if err != nil {
						return err
					}
					if got.Payload != text || len(text) > 100 && got.Compressed == 0 {
						return fmt.Errorf("client %d, message %d: %v", n, m, got)
					}
				}
				return nil
			}()
		}()
	}
	for range cap(failed) {
		require.NoError(t, <-failed)
	}
}

// The length of a message does not depend on what the connection has sent before, so it
// tells nothing about that.
func TestCompression_LengthsTellNothing(t *testing.T) {
	t.Parallel()
	length := func(before ...string) int {
		srv := compressing(t)
		p, _ := dialDeflate(t, srv, "permessage-deflate; client_max_window_bits")
		for _, text := range before {
			p.MustSend(wiretest.Text, text)
			require.Positive(t, p.ReceiveAny().Compressed)
		}
		p.MustSend(wiretest.Text, noise(300)+long(400))
		return p.ReceiveAny().Compressed
	}
	fresh := length()
	require.Positive(t, fresh)
	require.Equal(t, fresh, length(noise(300)+long(400)), "the same message before")
	require.Equal(t, fresh, length(long(3000), noise(3000)))
}

// Observers see messages as the program does, before they are compressed.
func TestCompression_Observers(t *testing.T) {
	t.Parallel()
	sent := make(chan int, 1)
	srv := compressing(t, gateway.WithObserver(&gateway.Observer{
		MessageSent: func(_ context.Context, _ string, bytes int) { sent <- bytes },
	}))
	c := srv.Dial(t, gatewaytest.Compression())
	require.NoError(t, srv.PostToConnection(t.Context(), c.ConnectionID(), []byte(long(5000))))
	require.Equal(t, long(5000), c.ReceiveCompressed())
	require.Equal(t, 5000, <-sent)
}
