package iam_test

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
	"example.com/gateway/gatewaytest"
	"example.com/gateway/iam"
)

// extended makes a signed call that the service does not have. In the target, ID is the
// connection.
func extended(t *testing.T, srv *gatewaytest.Server, c *gatewaytest.Client, method, target string) (status int, body string) {
	t.Helper()
	target = strings.ReplaceAll(target, "ID", url.QueryEscape(c.ConnectionID()))
	r, err := http.NewRequestWithContext(t.Context(), method, srv.ManagementURL()+"/@connections"+target, nil)
	require.NoError(t, err)
	if method == http.MethodPost && target == "" {
		r.Header.Set("Content-Type", "application/x-ndjson")
	}
	sign(r, ann, secret, nil)
	resp, err := srv.HTTPClient().Do(r)
	require.NoError(t, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, string(b)
}

// serve returns a gateway whose caller ann has a policy, with a connection.
func serve(t *testing.T, policy string) (*gatewaytest.Server, *gatewaytest.Client) {
	t.Helper()
	document, err := iam.ParsePolicy([]byte(policy))
	require.NoError(t, err)
	srv := gatewaytest.New(t, gateway.WithAPI("a1b2c3d4e5", ""), gateway.WithStage("dev", nil), gateway.WithManagementExtensions(),
		gateway.WithManagementAuth(&iam.Auth{Verifier: verifier(), Policy: iam.ByAccessKey(map[string]*iam.PolicyDocument{ann: document})}))
	return srv, srv.Dial(t)
}

// extensionCalls are the calls that the service does not have, with their resources.
func extensionCalls() [][3]string {
	return [][3]string{
		{"GET", "?limit=5", "GET/@connections"},
		{"GET", "?count=true", "GET/@connections"},
		{"POST", "?group=g", "POST/@connections"},
		{"POST", "", "POST/@connections"}, // a batch
		{"DELETE", "?user=eve&code=4001", "DELETE/@connections"},
		{"PUT", "/ID/groups/room%2F1", "PUT/@connections/{connectionId}/groups:room%2F1"},
		{"DELETE", "/ID/groups/room%2F1", "DELETE/@connections/{connectionId}/groups:room%2F1"},
		{"GET", "/ID/state", "GET/@connections/{connectionId}/state"},
		{"PUT", "/ID/state", "PUT/@connections/{connectionId}/state"},
		{"DELETE", "/ID/state", "DELETE/@connections/{connectionId}/state"},
	}
}

const api = "arn:aws:execute-api:us-east-1:111122223333:a1b2c3d4e5"

func statement(effect, action, resource string) string {
	return `{"Effect":"` + effect + `","Action":"` + action + `","Resource":"` + resource + `"}`
}

func policyOf(statements ...string) string {
	return `{"Version":"2012-10-17","Statement":[` + strings.Join(statements, ",") + `]}`
}

// No policy that was written for the service allows a call that the service does not have,
// however it was written. What it allows of the service stays allowed.
func TestExtensions_PoliciesOfTheServiceOpenNone(t *testing.T) {
	t.Parallel()
	const manage = "execute-api:ManageConnections"
	for _, s := range []string{
		statement("Allow", manage, api+"/*"),
		statement("Allow", manage, api+"/dev/*"),
		statement("Allow", manage, api+"/dev/*/@connections/*"), // of the AWS CDK
		statement("Allow", manage, api+"/dev/*/@connections*"),
		statement("Allow", manage, api+"/dev/POST/@connections/*"),
		statement("Allow", manage, api+"/dev/POST/@connections"), // of the guide
		statement("Allow", manage, "arn:aws:execute-api:*:*:*/*/*/@connections/*"),
		statement("Allow", manage, "*"),
		statement("Allow", "execute-api:*", "*"),
		statement("Allow", "execute-api:Manage*", "*"),
		statement("Allow", "*:ManageConnectionsX", "*"),
	} {
		srv, c := serve(t, policyOf(s))
		for _, call := range extensionCalls() {
			status, body := extended(t, srv, c, call[0], call[1])
			require.Equal(t, 403, status, "%s %v", s, call)
			require.Equal(t, `{"Message":"User: arn:aws:iam::111122223333:user/ann is not authorized to perform: gateway:ManageConnections on resource: arn:aws:execute-api:us-east-1:********3333:a1b2c3d4e5/dev/`+
				call[2]+` because no identity-based policy allows the gateway:ManageConnections action"}`, body)
		}
	}
	srv, c := serve(t, policyOf(statement("Allow", manage, api+"/dev/DELETE/@connections/*")))
	status, body := extended(t, srv, c, "DELETE", "/ID?code=4001&reason=bye")
	require.Equal(t, 204, status, "who may close a connection may say why: %s", body)
	code, _ := c.ReceiveClose()
	require.Equal(t, 4001, code)
}

// Who may describe a connection is not told its state, unless the policy lets them list it.
func TestExtensions_GetConnection(t *testing.T) {
	t.Parallel()
	get := statement("Allow", "execute-api:ManageConnections", api+"/dev/GET/@connections/*")
	for _, tt := range []struct {
		policy string
		told   bool
	}{
		{policyOf(get), false},
		{policyOf(get, statement("Allow", "execute-api:*", "*")), false},
		{policyOf(get, statement("Allow", "gateway:ManageConnections", api+"/dev/GET/@connections/{connectionId}/*")), false},
		{policyOf(get, statement("Allow", "gateway:ManageConnections", api+"/dev/GET/@connections")), true},
	} {
		srv, c := serve(t, tt.policy)
		require.NoError(t, srv.Join(t.Context(), c.ConnectionID(), "secret"))
		status, body := extended(t, srv, c, "GET", "/ID")
		require.Equal(t, 200, status)
		require.Contains(t, body, `"connectedAt"`)
		require.Equal(t, tt.told, strings.Contains(body, "secret"), "%s: %s", tt.policy, body)
	}
}

func TestExtensions_Policy(t *testing.T) {
	t.Parallel()
	const extensions, manage = "gateway:ManageConnections", "execute-api:ManageConnections"
	for _, tt := range []struct {
		name       string
		statements []string
		allowed    func(resource string) bool
	}{
		{"all", []string{statement("Allow", extensions, api+"/dev/*")}, func(string) bool { return true }},
		{"everything", []string{statement("Allow", "*", "*")}, func(string) bool { return true }},
		{"another stage", []string{statement("Allow", extensions, api+"/prod/*")}, func(string) bool { return false }},
		{"audiences", []string{statement("Allow", extensions, api+"/dev/*/@connections")}, func(r string) bool { return strings.HasSuffix(r, "/@connections") }},
		{"posts to audiences", []string{statement("Allow", extensions, api+"/dev/POST/@connections")}, func(r string) bool { return r == "POST/@connections" }},
		{"some groups", []string{statement("Allow", extensions, api+"/dev/*/@connections/{connectionId}/groups:room%2F*")}, func(r string) bool { return strings.Contains(r, "groups:room%2F1") }},
		{"other groups", []string{statement("Allow", extensions, api+"/dev/*/@connections/{connectionId}/groups:hall%2F*")}, func(string) bool { return false }},
		{"reading state", []string{statement("Allow", extensions, api+"/dev/GET/@connections/*/state")}, func(r string) bool { return strings.HasPrefix(r, "GET") && strings.HasSuffix(r, "state") }},
		{"all but one that is denied", []string{statement("Allow", "*", "*"), statement("Deny", extensions, api+"/dev/DELETE/@connections")}, func(r string) bool { return r != "DELETE/@connections" }},
		{"who may not close one may not close many", []string{statement("Allow", "*", "*"), statement("Deny", manage, api+"/dev/DELETE/@connections/*")}, func(r string) bool { return !strings.HasPrefix(r, "DELETE") }},
		{"who may manage nothing", []string{statement("Allow", "*", "*"), statement("Deny", manage, "*")}, func(string) bool { return false }},
	} {
		srv, c := serve(t, policyOf(tt.statements...))
		for _, call := range extensionCalls() {
			status, body := extended(t, srv, c, call[0], call[1])
			require.Equal(t, tt.allowed(call[2]), status < 300, "%s: %v: %d %s", tt.name, call, status, body)
			if status >= 300 {
				require.Equal(t, 403, status)
			}
		}
	}
}

// The name of a group cannot make its resource look like another one, although the * of a
// policy matches slashes, too.
func TestExtensions_NamesOfGroupsImitateNothing(t *testing.T) {
	t.Parallel()
	names := []string{
		"state", "x/state", "@connections", "x/@connections", "x/@connections/{connectionId}/state", "/{connectionId}/state", "{connectionId}/state", "x/",
		"x/@connections/{connectionId}/groups/room/1", "hall%2Froom", "%2F", "room", "rooms/1", "*", "room?1", "x:room/1", "/groups:room/1",
	}
	for resource, fits := range map[string][]string{
		"/dev/*/@connections":                                nil,
		"/*/@connections":                                    nil,
		"*/@connections":                                     nil,
		"/dev/*/@connections/{connectionId}/state":           nil,
		"/dev/*/@connections/*/state":                        nil,
		"/dev/*/state":                                       nil,
		"/dev/*/@connections/{connectionId}/groups:room%2F*": {"room/1", "room/2/state", "room/*"},
		"/dev/*/@connections/{connectionId}/groups:room":     {"room"},
		"/dev/*/@connections/{connectionId}/groups:%2A":      {"*"},
		"/dev/PUT/@connections/{connectionId}/groups:*":      append([]string{"room/1"}, names...),
	} {
		srv, c := serve(t, policyOf(statement("Allow", iam.ManageExtensions, api+resource)))
		for _, name := range slices.Concat(names, fits) {
			status, body := extended(t, srv, c, "PUT", "/ID/groups/"+strings.ReplaceAll(url.QueryEscape(name), "+", "%20"))
			want := http.StatusForbidden
			if slices.Contains(fits, name) {
				want = http.StatusNoContent
			}
			require.Equal(t, want, status, "%s: %q: %s", resource, name, body)
		}
	}
}

// A Policy of the program sees the whole call.
func TestExtensions_PolicyFunc(t *testing.T) {
	t.Parallel()
	srv := gatewaytest.New(t, gateway.WithManagementExtensions(), gateway.WithManagementAuth(&iam.Auth{
		Verifier: verifier(), Policy: func(_ context.Context, a iam.Access) (iam.Decision, error) {
			if a.Action == iam.ManageExtensions && a.Call.Audience.Query().Get("group") == "mine" {
				return iam.Allow, nil
			}
			return iam.ImplicitDeny, nil
		},
	}))
	c := srv.Dial(t)
	for target, want := range map[string]int{"?group=mine": 200, "?group=yours": 403, "?all=true": 403} {
		status, _ := extended(t, srv, c, "POST", target)
		require.Equal(t, want, status, target)
	}
}
