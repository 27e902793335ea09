package gateway_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
	"example.com/gateway/gatewaytest"
	"example.com/gateway/internal/testutil"
	"example.com/gateway/lambda"
)

// Each backend gets state and groups with each event of a connection that has any, whatever
// characters they have, and nothing else than before with the others.
func TestExtras_Backends(t *testing.T) {
	t.Parallel()
	endpoint := testutil.NewBackend(t, testutil.OK)
	events := make(chan json.RawMessage, 1)
	srv := gatewaytest.New(t)
	srv.Handle("http", &gateway.HTTPIntegration{URI: endpoint.URL})
	srv.Handle("template", &gateway.HTTPIntegration{
		URI: endpoint.URL, RequestParameters: map[string]string{
			"integration.request.querystring.state": "context.state", "integration.request.querystring.groups": "context.groups",
		},
		Transform: &gateway.Transform{RequestTemplates: map[string]string{"$default": `[$context.state, $context.groups]`}},
	})
	srv.Handle("lambda", lambda.Wrap(func(event json.RawMessage) { events <- event }))
	c := srv.Dial(t)
	id, ctx := c.ConnectionID(), t.Context()

	for _, row := range []struct {
		name, state, header string
		groups              []string
		groupsHeader        string
	}{
		{"none", "", "", nil, ""},
		{"JSON", `{"name":"José"}`, `{"name":"Jos\u00e9"}`, nil, ""},
		{"a header that is not one", "x\r\nSet-Cookie: a=b", "x%0D%0ASet-Cookie: a=b", []string{"room-1", `a, b; "é"`}, `room-1, a%2C%20b%3B%20%22%C3%A9%22`},
		{"groups only", "", "", []string{"room-1", `a, b; "é"`}, `room-1, a%2C%20b%3B%20%22%C3%A9%22`},
	} {
		t.Run(row.name, func(t *testing.T) {
			require.NoError(t, srv.SetState(ctx, id, []byte(row.state)))
			for _, group := range row.groups {
				require.NoError(t, srv.Join(ctx, id, group))
			}
			groups, err := json.Marshal(row.groups)
			require.NoError(t, err)
			has := func(r *http.Request, name, want string) {
				if require.Equal(t, want, r.Header.Get(name)); want == "" {
					require.NotContains(t, r.Header, name)
				}
			}

			ask := func(action string) (r testutil.Recorded, event json.RawMessage) {
				c.Send(`{"action":"` + action + `"}`)
				c.Send(`{"action":"lambda"}`)
				event = <-events // after the first message
				r = endpoint.Last(t)
				has(r.Request, "Gateway-State", row.header)
				has(r.Request, "Gateway-Groups", row.groupsHeader)
				return r, event
			}
			_, event := ask("http")
			template, _ := ask("template")
			require.Equal(t, row.state, template.URL.Query().Get("state"))
			if row.name == "groups only" {
				require.Equal(t, `[, `+string(groups)+`]`, template.Text)
				require.JSONEq(t, string(groups), template.URL.Query().Get("groups"))
			}

			var got struct {
				RequestContext struct {
					State  *string
					Groups []string
				}
			}
			require.NoError(t, json.Unmarshal(event, &got))
			require.Equal(t, row.groups, got.RequestContext.Groups)
			if row.state == "" {
				require.Nil(t, got.RequestContext.State)
				require.NotContains(t, string(event), `"state"`)
			} else {
				require.Equal(t, row.state, *got.RequestContext.State)
			}
		})
	}
}

// No client can pretend to an HTTP endpoint that it has a state or is in a group. Its other
// headers pass.
func TestExtras_NotOfClients(t *testing.T) {
	t.Parallel()
	endpoint := testutil.NewBackend(t, testutil.OK)
	srv := gatewaytest.New(t, gateway.WithAnswerCommands())
	srv.Handle("$connect", &gateway.HTTPIntegration{URI: endpoint.URL, UpgradeHeaders: true})
	srv.Dial(t, gatewaytest.Header("Gateway-State", "admin"), gatewaytest.Header("gateway_state", "admin"), gatewaytest.Header("GATEWAY_groups", "admins"),
		gatewaytest.Header("Gateway-Groups", "admins"), gatewaytest.Header("gateway-omitted", "Gateway-Groups"), gatewaytest.Header("Gateway-Token", "t"), gatewaytest.Header("Gateway-Join", "x"))
	header := endpoint.Last(t).Header
	for name := range header {
		require.NotRegexp(t, "(?i)gateway.(state|groups|omitted)", name)
	}
	require.Equal(t, "t", header.Get("Gateway-Token"))
}

// However many groups a client joins, and whatever it has in its state, an endpoint that takes
// 8 KiB of headers gets every event, and sees what was left out. Queries, templates and
// functions have all of it.
func TestExtras_TooLongForHeaders(t *testing.T) {
	t.Parallel()
	const most = 8 << 10
	got, logs := make(chan *http.Request, 1), new(testutil.LockedBuffer)
	endpoint := testutil.NewBackend(t, testutil.OK)
	small := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got <- r }))
	small.Config.MaxHeaderBytes = most - 4096 // net/http adds that much
	small.Start()
	t.Cleanup(small.Close)
	events := make(chan json.RawMessage, 1)
	srv := gatewaytest.New(t, gateway.WithLogger(slog.New(slog.NewTextHandler(logs, nil))))
	srv.Handle("http", &gateway.HTTPIntegration{URI: small.URL, CallbackURL: "https://gateway.internal/prod"})
	srv.Handle("$disconnect", &gateway.HTTPIntegration{URI: small.URL})
	srv.Handle("template", &gateway.HTTPIntegration{URI: endpoint.URL, Transform: &gateway.Transform{RequestTemplates: map[string]string{"$default": `$context.groups`}}})
	srv.Handle("lambda", lambda.Wrap(func(event json.RawMessage) { events <- event }))
	c := srv.Dial(t)
	id, ctx := c.ConnectionID(), t.Context()
	post := func() http.Header {
		c.Send(`{"action":"http"}`)
		return (<-got).Header
	}

	var names []string
	for n := range 100 {
		names = append(names, fmt.Sprintf("%02d", n)+strings.Repeat("é", 63))
		require.NoError(t, srv.Join(ctx, id, names[n]))
		header := post()
		if n < 5 {
			require.Len(t, strings.Split(header.Get("Gateway-Groups"), ", "), n+1)
			require.NotContains(t, header, "Gateway-Omitted")
		} else {
			require.NotContains(t, header, "Gateway-Groups", "a part would look like all")
			require.Equal(t, "Gateway-Groups", header.Get("Gateway-Omitted"))
		}
	}
	require.NoError(t, srv.SetState(ctx, id, []byte(strings.Repeat("é", 2048))))
	require.Equal(t, "Gateway-State, Gateway-Groups", post().Get("Gateway-Omitted"))
	require.NoError(t, srv.SetState(ctx, id, []byte(strings.Repeat("s", 4096))))
	require.Len(t, post().Get("Gateway-State"), 4096)

	groups, err := json.Marshal(names)
	require.NoError(t, err)
	c.Send(`{"action":"template"}`)
	c.Send(`{"action":"lambda"}`)
	require.Contains(t, string(<-events), `"groups":`+string(groups))
	require.JSONEq(t, string(groups), endpoint.Last(t).Text)

	c.Close(1000, "")
	require.Equal(t, "Gateway-Groups", (<-got).Header.Get("Gateway-Omitted"), "$disconnect arrives")
	srv.WaitDisconnect(id)
	for _, route := range []string{"http", "$disconnect"} {
		require.Equal(t, 1, strings.Count(logs.String(), `msg="the endpoint does not get what is too long for a header" route_key=`+route), "once for each route")
	}
}

// The answer 431 comes from a server whose program has not seen the event. It is a failure if
// the headers may be the gateway's, and an answer as any other if not.
func TestExtras_HeadersRefused(t *testing.T) {
	t.Parallel()
	endpoint := testutil.NewBackend(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusRequestHeaderFieldsTooLarge)
		_, _ = io.WriteString(w, "too large")
	})
	logs := new(testutil.LockedBuffer)
	srv := gatewaytest.New(t, gateway.WithLogger(slog.New(slog.NewTextHandler(logs, nil))))
	srv.Handle("$default", &gateway.HTTPIntegration{URI: endpoint.URL}, gateway.WithRouteResponse())
	c := srv.Dial(t)
	c.Send("x")
	require.Equal(t, "too large", c.Receive())
	require.NoError(t, srv.Join(t.Context(), c.ConnectionID(), "room"))
	c.Send("x")
	require.Contains(t, c.Receive(), `"message": "Internal server error"`)
	require.Contains(t, logs.String(), "the endpoint's status is 431")
}

// Two spellings of a command are one, for every backend: as HTTP has it, and as Go's server and
// client do it anyway.
func TestAnswerCommands_Spellings(t *testing.T) {
	t.Parallel()
	serve := func(e told) said {
		switch e.body {
		case "join":
			return said{200, http.Header{"Gateway-Join": {"a"}, "gateway-join": {"b"}, "GATEWAY-JOIN": {"c, a"}}, ""}
		case "state":
			return said{200, http.Header{"Gateway-State": {"x"}, "gateway-state": {"y"}}, ""}
		}
		groups := strings.Split(e.groups, "|")
		slices.Sort(groups)
		return asks(strings.Join(groups, "|"))
	}
	eachBackend(t, serve, func(t *testing.T, srv *gatewaytest.Server, log *testutil.LockedBuffer) {
		c := srv.Dial(t)
		c.Send("join")
		c.Send("who")
		require.Equal(t, "a|b|c", c.Receive())
		c.Send("state")
		require.Contains(t, c.Receive(), "Internal server error")
		require.Contains(t, log.String(), "Gateway-State: the answer has 2 of it: write one")
	})
}

// A backend that answers with commands is told of which event, connection and user each request
// is, whether it can call back or not. Without the option a request is the one of the service.
func TestAnswerCommands_TellsBackend(t *testing.T) {
	t.Parallel()
	const callback = "https://gateway.internal/prod"
	for _, tt := range []struct {
		name, callback string
		opts           []gateway.Option
		told           bool   // of the connection
		principal      string // Gateway-Principal
		omitted        string
		user           string
	}{
		{name: "without the option", user: "ann"},
		{name: "without the option, with a callback URL", callback: callback, told: true, user: "ann"},
		{name: "with commands", opts: []gateway.Option{gateway.WithAnswerCommands()}, told: true, user: "ann", principal: "ann"},
		{name: "with both", callback: callback, opts: []gateway.Option{gateway.WithAnswerCommands()}, told: true, user: "José %\n", principal: "Jos%C3%A9 %25%0A"},
		{name: "nobody", opts: []gateway.Option{gateway.WithAnswerCommands()}, told: true},
		{name: "a long name", opts: []gateway.Option{gateway.WithAnswerCommands()}, told: true, user: strings.Repeat("u", 513), omitted: "Gateway-Principal"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			events := make(chan http.Header, 1)
			endpoint := testutil.NewBackend(t, func(_ http.ResponseWriter, r *http.Request) { events <- r.Header })
			srv := gatewaytest.New(t, append(tt.opts, gateway.WithStage("prod", nil))...)
			backend := &gateway.HTTPIntegration{URI: endpoint.URL, CallbackURL: tt.callback}
			srv.Handle("$connect", backend, gateway.WithAuthorizer(gateway.AuthorizerFunc(func(context.Context, *gateway.Request) (*gateway.Authorization, error) {
				return &gateway.Authorization{PrincipalID: tt.user}, nil
			})))
			for _, key := range []string{"$default", "$join", "$leave", "$disconnect"} {
				srv.Handle(key, backend)
			}
			check := func(eventType, routeKey, id string) {
				header := <-events
				require.Equal(t, tt.principal, header.Get("Gateway-Principal"))
				require.Equal(t, tt.omitted, header.Get("Gateway-Omitted"))
				require.Equal(t, tt.callback != "", header.Get("callbackUrl") != "")
				want := []string{eventType, routeKey, id, "prod"}
				if !tt.told {
					want = make([]string, len(want))
				}
				require.Equal(t, want, []string{header.Get("eventType"), header.Get("routeKey"), header.Get("connectionId"), header.Get("stage")})
			}
			c := srv.Dial(t)
			id := c.ConnectionID()
			check("CONNECT", "$connect", id)
			c.Send("x")
			check("MESSAGE", "$default", id)
			require.NoError(t, srv.Join(t.Context(), id, "room"))
			check("JOIN", "$join", id)
			require.NoError(t, srv.Leave(t.Context(), id, "room"))
			check("LEAVE", "$leave", id)
			c.Close(1000, "")
			check("DISCONNECT", "$disconnect", id)
		})
	}
}

// No client can pretend to such a backend to be another one, nor make it call a URL.
func TestAnswerCommands_ToldByNoClient(t *testing.T) {
	t.Parallel()
	endpoint := testutil.NewBackend(t, testutil.OK)
	srv := gatewaytest.New(t, gateway.WithAnswerCommands())
	srv.Handle("$connect", &gateway.HTTPIntegration{URI: endpoint.URL, UpgradeHeaders: true})
	var sent []gatewaytest.DialOption
	for _, name := range []string{"Gateway-Principal", "gateway_principal", "eventType", "routeKey", "connectionId", "stage", "callbackUrl", "CALLBACKURL"} {
		sent = append(sent, gatewaytest.Header(name, "forged"))
	}
	c := srv.Dial(t, sent...)
	header := endpoint.Last(t).Header
	for name, values := range header {
		require.NotContains(t, values, "forged", name)
	}
	require.NotContains(t, header, "Callbackurl")
	require.Equal(t, c.ConnectionID(), header.Get("connectionId"))
}
