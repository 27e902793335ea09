package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"

	"example.com/gateway"
)

// A handler counts the messages of each connection, without a table of its own. IfState
// makes that right also if Quotas.InFlight lets several of them run at the same time.
func ExampleGateway_SetState() {
	gw, err := gateway.New()
	if err != nil {
		log.Fatal(err)
	}
	defer gw.Close()
	gw.HandleFunc("$default", func(ctx context.Context, req *gateway.Request) (*gateway.Response, error) {
		for state := req.State; ; {
			n, _ := strconv.Atoi(string(state)) // none is 0
			err := gw.SetState(ctx, req.ConnectionID, strconv.AppendInt(nil, int64(n+1), 10), gateway.IfState(state))
			if !errors.Is(err, gateway.ErrConflict) {
				return &gateway.Response{Body: fmt.Appendf(nil, "message %d", n+1)}, err
			}
			now, err := gw.GetConnection(ctx, req.ConnectionID)
			if err != nil {
				return nil, err
			}
			state = now.State
		}
	}, gateway.WithRouteResponse())

	srv := httptest.NewServer(gw.Handler())
	defer srv.Close()
	c, _ := dial(srv.URL)
	defer c.close(1000, "")
	for range 2 {
		c.send("hello")
		fmt.Println(c.receive())
	}
	// Output:
	// message 1
	// message 2
}

// An HTTP endpoint, in any language, greets a client, puts it into a group and posts to the
// group. It makes no call: its answers say what to do.
func ExampleWithAnswerCommands() {
	endpoint := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("eventType") == "CONNECT" {
			room := url.PathEscape(r.URL.Query().Get("room"))
			w.Header().Set("Gateway-Join", room)
			w.Header().Set("Gateway-State", strconv.Quote(room))
			w.Header().Set("Gateway-Post", "self")
			fmt.Fprint(w, "welcome")
			return
		}
		room, _ := strconv.Unquote(r.Header.Get("Gateway-State"))
		w.Header().Set("Gateway-Post", "group "+room)
		fmt.Fprintf(w, "somebody in %s says hello", room)
	}))
	defer endpoint.Close()
	gw, err := gateway.New(gateway.WithAnswerCommands())
	if err != nil {
		log.Fatal(err)
	}
	defer gw.Close()
	chat := &gateway.HTTPIntegration{URI: endpoint.URL, CallbackURL: "http://gateway.internal"} // adds eventType
	gw.Handle("$connect", chat)
	gw.Handle("$default", chat)

	srv := httptest.NewServer(gw.Handler())
	defer srv.Close()
	ann, _ := dial(srv.URL + "?room=kitchen")
	defer ann.close(1000, "")
	bob, _ := dial(srv.URL + "?room=kitchen")
	defer bob.close(1000, "")
	fmt.Println(ann.receive(), bob.receive())
	ann.send("hello")
	fmt.Println(bob.receive())
	// Output:
	// welcome welcome
	// somebody in kitchen says hello
}
