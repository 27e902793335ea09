package gatewaytest_test

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"example.com/gateway"
	"example.com/gateway/gatewaytest"
)

// remind is the backend under test: it answers, and reminds a minute later.
func remind(srv gateway.ConnectionsAPI) gateway.IntegrationFunc {
	return func(ctx context.Context, req *gateway.Request) (*gateway.Response, error) {
		time.AfterFunc(time.Minute, func() {
			_ = srv.PostToConnection(context.WithoutCancel(ctx), req.ConnectionID, []byte("time is up"))
		})
		return &gateway.Response{Body: []byte("in a minute")}, nil
	}
}

// A test of a backend, in memory. Nothing has to be closed.
func ExampleNew() {
	_ = func(t *testing.T) { // func TestRemind(t *testing.T)
		srv := gatewaytest.New(t)
		srv.Handle("remind", remind(srv), gateway.WithRouteResponse())
		c := srv.Dial(t)
		c.SendJSON(map[string]string{"action": "remind"})
		if got := c.Receive(); got != "in a minute" {
			t.Errorf("got %q", got)
		}
	}
}

// The same on virtual time. In a bubble of testing/synctest the minute passes at once,
// and so do the ten minutes after which an idle connection is closed.
func ExampleNew_virtualTime() {
	_ = func(t *testing.T) { // func TestRemind(t *testing.T)
		synctest.Test(t, testReminder)
	}
}

func testReminder(t *testing.T) {
	srv := gatewaytest.New(t)
	srv.Handle("remind", remind(srv), gateway.WithRouteResponse())
	c := srv.Dial(t)
	c.SendJSON(map[string]string{"action": "remind"})
	c.Receive()
	start := time.Now()
	if got := c.Receive(); got != "time is up" || time.Since(start) != time.Minute {
		t.Errorf("got %q after %v", got, time.Since(start))
	}
	if code, _ := c.ReceiveClose(); code != 1001 || time.Since(start) != 11*time.Minute {
		t.Errorf("closed with %d after %v", code, time.Since(start))
	}
}

// A backend that calls @connections over HTTP: it closes a connection, and $disconnect
// gets the code.
func ExampleServer_WaitDisconnect() {
	_ = func(t *testing.T) { // func TestKick(t *testing.T)
		srv := gatewaytest.New(t)
		srv.Handle(gateway.RouteKeyDisconnect, &gateway.MockIntegration{})
		c := srv.Dial(t, gatewaytest.Header("User-Agent", "test"), gatewaytest.SourceIP("192.0.2.1"))
		backend := srv.Management() // as a client of the @connections API
		if err := backend.DeleteConnection(t.Context(), c.ConnectionID()); err != nil {
			t.Fatal(err)
		}
		if e := srv.WaitDisconnect(c.ConnectionID()); e.DisconnectStatusCode != 1000 {
			t.Errorf("$disconnect says %d", e.DisconnectStatusCode)
		}
	}
}

// A backend without a table: the room of a client is a group, and its name is its state. The
// gateway is asked what it remembers.
func ExampleServer_Group() {
	_ = testRoom // func TestRoom(t *testing.T)
}

func testRoom(t *testing.T) {
	srv := gatewaytest.New(t)
	srv.HandleFunc("enter", func(ctx context.Context, req *gateway.Request) (*gateway.Response, error) {
		if err := srv.Join(ctx, req.ConnectionID, "room-1"); err != nil {
			return nil, err
		}
		return &gateway.Response{Body: []byte("welcome")}, srv.SetState(ctx, req.ConnectionID, []byte("ann"))
	}, gateway.WithRouteResponse())
	c := srv.Dial(t)
	c.Send(`{"action":"enter"}`)
	c.Receive()
	if got := srv.Group("room-1").Members(); !slices.Equal(got, []string{c.ConnectionID()}) {
		t.Errorf("the members are %q", got)
	}
	if got := srv.State(c.ConnectionID()); got != "ann" {
		t.Errorf("the state is %q", got)
	}
	if err := srv.Management().DeleteConnection(t.Context(), c.ConnectionID()); err != nil {
		t.Fatal(err)
	}
	if code, _ := c.ReceiveClose(); code != 1000 {
		t.Errorf("closed with %d", code)
	}
	if got := srv.Group("room-1").Members(); got != nil {
		t.Errorf("the members are %q, and nobody is there", got)
	}
}

// The example of a room, run.
func TestRoom(t *testing.T) {
	t.Parallel()
	testRoom(t)
}

// The example of virtual time, run.
func TestReminder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, testReminder)
}
