package gateway_test

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
	"example.com/gateway/gatewaytest"
)

// room returns a gateway with these clients: ann twice, bob, and one without a principal.
// Their names are the keys.
func room(t *testing.T, opts ...gateway.Option) (*gatewaytest.Server, map[string]*gatewaytest.Client) {
	t.Helper()
	srv := gatewaytest.New(t, opts...)
	srv.Handle("$connect", &gateway.MockIntegration{}, gateway.WithAuthorizer(principalOfQuery()))
	srv.HandleFunc("$disconnect", answerNothing)
	clients := map[string]*gatewaytest.Client{}
	for _, name := range []string{"ann1", "ann2", "bob", "-"} {
		clients[name] = srv.Dial(t, gatewaytest.Query("who", strings.TrimRight(name, "-12")))
	}
	return srv, clients
}

// principalOfQuery is an authorizer that lets everybody in, as who they say they are.
func principalOfQuery() gateway.Authorizer {
	return gateway.AuthorizerFunc(func(_ context.Context, req *gateway.Request) (*gateway.Authorization, error) {
		return &gateway.Authorization{PrincipalID: req.Upgrade.URL.Query().Get("who")}, nil
	})
}

// Each audience is the connections that it says, for each call on it.
func TestAudience(t *testing.T) {
	t.Parallel()
	srv, clients := room(t)
	id := func(name string) string { return clients[name].ConnectionID() }
	for _, name := range []string{"ann1", "bob", "-"} {
		require.NoError(t, srv.Join(t.Context(), id(name), "room"))
	}
	for _, tt := range []struct {
		name string
		of   gateway.Audience
		want []string
		gone int
	}{
		{"the zero value", gateway.Audience{}, nil, 0},
		{"no connections", gateway.Connections(), nil, 0},
		{"one connection", gateway.Connections(id("bob")), []string{"bob"}, 0},
		{"two connections", gateway.Connections(id("bob"), id("-")), []string{"bob", "-"}, 0},
		{"a connection that is named twice", gateway.Connections(id("bob"), id("bob")), []string{"bob"}, 0},
		{"a connection that is not open", gateway.Connections("gone", id("bob"), "gone"), []string{"bob"}, 1},
		{"connections but for one", gateway.Connections(id("bob"), id("-"), id("ann1")).Except(id("-")), []string{"bob", "ann1"}, 0},
		{"connections but for one that is not open", gateway.Connections(id("bob"), "gone").Except("gone"), []string{"bob"}, 0},
		{"a group", gateway.Group("room"), []string{"ann1", "bob", "-"}, 0},
		{"a group but for some", gateway.Group("room").Except(id("bob")).Except(id("-"), "gone"), []string{"ann1"}, 0},
		{"a group without members", gateway.Group("other"), nil, 0},
		{"a user", gateway.User("ann"), []string{"ann1", "ann2"}, 0},
		{"a user but for one device", gateway.User("ann").Except(id("ann1")), []string{"ann2"}, 0},
		{"a user who is not there", gateway.User("eve"), nil, 0},
		{"everyone", gateway.Everyone(), []string{"ann1", "ann2", "bob", "-"}, 0},
		{"everyone but for one", gateway.Everyone().Except(id("-"), "gone"), []string{"ann1", "ann2", "bob"}, 0},
		{"nobody but for one", gateway.Audience{}.Except(id("-")), nil, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n, err := srv.Count(t.Context(), tt.of)
			require.NoError(t, err)
			require.Equal(t, len(tt.want), n)

			list, next, err := srv.List(t.Context(), tt.of, gateway.Page{})
			require.NoError(t, err)
			require.Empty(t, next.After)
			var listed, want []string
			for _, c := range list {
				listed = append(listed, c.ID)
			}
			for _, name := range tt.want {
				want = append(want, id(name))
			}
			require.ElementsMatch(t, want, listed)

			d, err := srv.PostTo(t.Context(), tt.of, []byte(tt.name))
			require.NoError(t, err)
			require.Equal(t, [3]int{len(tt.want), 0, tt.gone}, [3]int{d.Accepted, d.Refused, d.Gone})
			require.Len(t, d.Errors, tt.gone)
			for id, err := range d.Errors {
				require.Equal(t, "gone", id)
				require.ErrorIs(t, err, gateway.ErrGone)
			}
			require.Nil(t, d.Missing)
			for _, name := range tt.want {
				require.Equal(t, tt.name, clients[name].Receive())
			}
		})
	}
	for _, c := range clients {
		require.NoError(t, srv.PostToConnection(t.Context(), c.ConnectionID(), []byte("last")))
		require.Equal(t, "last", c.Receive(), "nobody has got more than that")
	}
}
