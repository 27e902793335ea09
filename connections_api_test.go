package gateway_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
	"example.com/gateway/gatewaytest"
	"example.com/gateway/managementclient"
)

// names are the clients that a script knows, by their connection IDs.
type names map[string]string

// of replaces every connection ID by the name of its client.
func (n names) of(id string) string {
	if name, ok := n[id]; ok {
		return name
	}
	return id
}

// errorName returns the name of an error of package gateway.
func errorName(err error) string {
	for name, target := range map[string]error{
		"gone": gateway.ErrGone, "limit": gateway.ErrLimitExceeded, "large": gateway.ErrPayloadTooLarge,
		"conflict": gateway.ErrConflict, "argument": gateway.ErrInvalidArgument, "forbidden": gateway.ErrForbidden,
	} {
		if errors.Is(err, target) {
			return name
		}
	}
	return fmt.Sprint(err)
}

func (n names) delivery(d gateway.Delivery, err error) string {
	failed := map[string]string{}
	for id, err := range d.Errors {
		if len(d.Errors) < 100 || !errors.Is(err, gateway.ErrGone) { // which of more are told is open
			failed[n.of(id)] = errorName(err)
		}
	}
	return fmt.Sprint(d.Accepted, d.Refused, d.Gone, failed, len(d.Errors), d.Missing, errorName(err))
}

func (n names) list(list []gateway.Connection, page gateway.Page, err error) string {
	all := make([]string, 0, len(list))
	for _, c := range list {
		all = append(all, fmt.Sprint(n.of(c.ID), c.PrincipalID, c.Groups, string(c.State), c.Identity, c.ConnectedAt.UTC(), c.LastActiveAt.UTC()))
	}
	slices.Sort(all)
	return fmt.Sprint(all, page.Limit, page.After == "", errorName(err))
}

// script makes calls of all kinds, and returns what came of each. Its clients are
// ann1, ann2, bob, who reads nothing, and "-", who has no principal.
func script(t *testing.T, over func(srv *gatewaytest.Server) gateway.ConnectionsAPI) (results []string) {
	t.Helper()
	srv, clients := room(t, gateway.WithManagementExtensions(), gateway.WithBinaryMessages(), gateway.WithQuotas(gateway.Quotas{
		SendBufferMessages: 2, GroupsPerConnection: 2, StateBytes: 20, MessageBytes: 100,
	}))
	api, ctx := over(srv), t.Context()
	n, id := names{}, map[string]string{}
	for name, c := range clients {
		n[c.ConnectionID()], id[name] = name, c.ConnectionID()
	}
	add := func(what string, result any) { results = append(results, fmt.Sprint(what, ": ", result)) }
	gone := srv.Dial(t, gatewaytest.Query("who", "x")).ConnectionID()
	require.NoError(t, srv.DeleteConnection(ctx, gone))
	n[gone] = "gone"
	srv.WaitDisconnect(gone)

	for _, group := range []string{"room", "a/b ü?&+%", "third", "", ".", "..", "\x00", "\xff", strings.Repeat("x", 129)} {
		add("join "+group, errorName(api.Join(ctx, id["ann1"], group)))
	}
	add("join again", errorName(api.Join(ctx, id["ann1"], "room")))
	add("join gone", errorName(api.Join(ctx, gone, "room")))
	add("join bob", errorName(api.Join(ctx, id["bob"], "room")))
	add("leave what one is not in", errorName(api.Leave(ctx, id["-"], "room")))
	add("leave", errorName(api.Leave(ctx, id["ann1"], "third")))

	for _, state := range []string{`{"seen":1}`, `ü`, "\xff", strings.Repeat("x", 21)} {
		add("state", errorName(api.SetState(ctx, id["ann1"], []byte(state))))
	}
	add("state if", errorName(api.SetState(ctx, id["ann1"], []byte("2"), gateway.IfState([]byte("ü")))))
	add("state if another", errorName(api.SetState(ctx, id["ann1"], []byte("3"), gateway.IfState([]byte("ü")))))
	add("state if none, but there is one", errorName(api.SetState(ctx, id["ann1"], []byte("3"), gateway.IfState(nil))))
	add("state if none", errorName(api.SetState(ctx, id["bob"], []byte("4"), gateway.IfState(nil))))
	add("a nil option", errorName(api.SetState(ctx, id["bob"], nil, gateway.IfState(nil), nil)))
	add("a nil option", n.delivery(api.PostTo(ctx, gateway.Everyone(), nil, nil)))
	add("a nil option", n.delivery(api.CloseAll(ctx, gateway.Everyone(), 4001, "", gateway.Cut(), nil)))
	add("state of gone", errorName(api.SetState(ctx, gone, []byte("4"))))
	add("remove state", errorName(api.SetState(ctx, id["bob"], nil)))

	many := []string{id["bob"], ""}
	for n := range 1001 {
		many = append(many, fmt.Sprint("never ", n))
	}
	audiences := []gateway.Audience{
		{},
		gateway.Connections(), gateway.Connections().Except(id["bob"]), gateway.Connections(id["bob"], gone, id["bob"], "never issued"),
		gateway.Group("room"), gateway.Group("room").Except(id["bob"], gone), gateway.Group("nobody"), gateway.Group("a/b ü?&+%"), gateway.Group(""),
		gateway.Group("\x00"), gateway.Group(".."), gateway.User("ann"), gateway.User("ann").Except(id["ann2"]), gateway.User(""), gateway.Everyone(), gateway.Everyone().Except(id["-"]),
		gateway.Connections(""), gateway.Connections("", id["bob"], "").Except("", gone), gateway.Connections("").Except(""), gateway.Group("room").Except(""),
		gateway.Group("room").Except(many...), gateway.Connections(many...), gateway.Connections(many...).Except(many...), gateway.Group("").Except(many...),
	}
	for i, of := range audiences {
		count, err := api.Count(ctx, of)
		add(fmt.Sprint("count ", i), fmt.Sprint(count, errorName(err)))
		list, page, err := api.List(ctx, of, gateway.Page{Limit: 10})
		add(fmt.Sprint("list ", i), n.list(list, page, err))
	}
	for _, page := range []gateway.Page{{Limit: -1}, {Limit: 1001}, {After: "x"}, {After: gone}} {
		for _, of := range []gateway.Audience{gateway.Everyone(), {}, gateway.Connections(many...)} {
			list, next, err := api.List(ctx, of, page)
			add("page", fmt.Sprint(err == nil, len(list) <= 4, next.After == "", errorName(err)))
		}
	}
	seen := map[string]int{}
	page := gateway.Page{Limit: 1}
	for more := true; more; more = page.After != "" {
		list, next, err := api.List(ctx, gateway.Everyone(), page)
		require.NoError(t, err)
		for _, c := range list {
			seen[n.of(c.ID)]++
		}
		page = next
	}
	add("walk", seen)

	for _, to := range []gateway.Audience{gateway.User("ann"), gateway.Connections(id["ann1"], gone)} {
		add("post bytes", n.delivery(api.PostTo(ctx, to, []byte("\xff\x00\x80"), gateway.Binary())))
		add("bytes", clients["ann1"].ReceiveBinary())
	}
	add("post too many bytes", n.delivery(api.PostTo(ctx, gateway.Everyone(), make([]byte, 101), gateway.Binary())))
	clients["bob"].Pause()
	for i, to := range audiences {
		add(fmt.Sprint("post ", i), n.delivery(api.PostTo(ctx, to, fmt.Appendf(nil, "%d\xff", i))))
		synctest.Wait() // so that all who read have got it
	}
	add("post too much", n.delivery(api.PostTo(ctx, gateway.Everyone(), make([]byte, 101))))
	add("post too much to nobody", n.delivery(api.PostTo(ctx, gateway.Audience{}, make([]byte, 101))))
	add("post to gone", n.delivery(api.PostTo(ctx, gateway.Connections(gone), nil)))

	for _, code := range []int{0, 999, 1002, 1005, 1006, 1010, 1015, 2999, 5000} {
		add(fmt.Sprint("close with ", code), n.delivery(api.CloseAll(ctx, gateway.User("ann"), code, "")))
	}
	add("close with a long reason", n.delivery(api.CloseAll(ctx, gateway.User("ann"), 4001, strings.Repeat("x", 124))))
	add("close nobody with a wrong code", n.delivery(api.CloseAll(ctx, gateway.Audience{}, 7, "")))
	add("close nobody", n.delivery(api.CloseAll(ctx, gateway.Connections(), 4001, "")))
	add("close", n.delivery(api.CloseAll(ctx, gateway.User("ann").Except(id["ann1"]), 4001, "so?&+ ü")))
	add("cut", n.delivery(api.CloseAll(ctx, gateway.Connections(id["bob"], gone), 4002, "cut", gateway.Cut())))
	for _, name := range []string{"ann2", "bob"} {
		e := srv.WaitDisconnect(id[name])
		add(name, fmt.Sprintln(e.DisconnectStatusCode, e.DisconnectReason))
	}
	add("delete", errorName(api.DeleteConnection(ctx, id["-"])))
	add("delete again", errorName(api.DeleteConnection(ctx, id["-"])))
	c, err := api.GetConnection(ctx, id["ann1"])
	add("get", n.list([]gateway.Connection{c}, gateway.Page{}, err))
	_, err = api.GetConnection(ctx, gone)
	add("get gone", errorName(err))
	time.Sleep(time.Second) //nolint:forbidigo // in a synctest bubble: net/http waits before it closes the connection of a 413
	return results
}

// inProcess is a Transport that calls a handler.
type inProcess struct{ http.Handler }

func (p inProcess) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	p.ServeHTTP(w, r)
	return w.Result(), nil
}

// A backend gets the same results in process and over HTTP, also from a handler behind a
// mux.
func TestConnectionsAPI_IsTheSameOverHTTP(t *testing.T) {
	t.Parallel()
	var here, there, behindMux []string
	synctest.Test(t, func(t *testing.T) { // so that all times are the same
		here = script(t, func(srv *gatewaytest.Server) gateway.ConnectionsAPI { return srv.Gateway })
	})
	synctest.Test(t, func(t *testing.T) {
		there = script(t, func(srv *gatewaytest.Server) gateway.ConnectionsAPI { return srv.Management() })
	})
	synctest.Test(t, func(t *testing.T) {
		behindMux = script(t, func(srv *gatewaytest.Server) gateway.ConnectionsAPI {
			mux := http.NewServeMux()
			mux.Handle("/prod/@connections/", srv.ManagementHandler())
			mux.Handle("/prod/@connections", srv.ManagementHandler())
			return &managementclient.Client{Endpoint: "http://gateway.test/prod", HTTPClient: &http.Client{Transport: inProcess{mux}}}
		})
	})
	for i := range here {
		require.Equal(t, here[i], there[i])
		require.Equal(t, here[i], behindMux[i])
	}
	require.Len(t, there, len(here))
	require.Len(t, behindMux, len(here))
	all := strings.Join(here, "\n")
	require.Contains(t, all, "post 3: 1 0 2 map[gone:gone never issued:gone]")
	require.Contains(t, all, "bob:limit")
	require.Contains(t, all, "ann2: 4001 so?&+ ü")
	require.Contains(t, all, "bob: 4002 cut")
	require.Contains(t, all, "bytes: [255 0 128]")
}

// A gateway without binary messages says so, and sends no text instead.
func TestConnectionsAPI_NoBinaryMessages(t *testing.T) {
	t.Parallel()
	srv := gatewaytest.New(t, gateway.WithManagementExtensions())
	c := srv.Dial(t)
	for _, api := range []gateway.ConnectionsAPI{srv.Gateway, srv.Management()} {
		d, err := api.PostTo(t.Context(), gateway.Everyone(), []byte("\xff"), gateway.Binary())
		require.ErrorIs(t, err, gateway.ErrInvalidArgument)
		require.ErrorContains(t, err, "WithBinaryMessages")
		require.Equal(t, gateway.Delivery{}, d)
	}
	require.NoError(t, srv.PostToConnection(t.Context(), c.ConnectionID(), []byte("end")))
	require.Equal(t, "end", c.Receive())
}
