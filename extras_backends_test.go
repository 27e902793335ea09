package gateway_test

import (
	"encoding/json"
	"net/http"
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
		gatewaytest.Header("Gateway-Groups", "admins"), gatewaytest.Header("Gateway-Token", "t"), gatewaytest.Header("Gateway-Join", "x"))
	header := endpoint.Last(t).Header
	for name := range header {
		require.NotRegexp(t, "(?i)gateway.(state|groups)", name)
	}
	require.Equal(t, "t", header.Get("Gateway-Token"))
}
