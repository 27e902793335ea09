package controlplane

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
	"example.com/gateway/gatewaytest"
	"example.com/gateway/iam"
	"example.com/gateway/lambda"
	"example.com/gateway/usageplan"
)

// guarded returns the snapshot of an API whose $connect has the given settings.
func guarded(t *testing.T, connect string, members ...string) *snapshot {
	t.Helper()
	return snap(t, append(members, `"routes":[{"routeId":"c","routeKey":"$connect",`+connect+`},{"routeId":"r1","routeKey":"who","target":"integrations/i1"}]`,
		`"routeResponses":{"r1":[{"routeResponseKey":"$default"}]}`,
		`"integrations":[{"integrationId":"i1","integrationType":"AWS_PROXY","integrationUri":"who"}]`)...)
}

// A REQUEST authorizer is asked if all its identity sources have a value.
func TestAdmission_RequestAuthorizer(t *testing.T) {
	t.Parallel()
	authorize := func(req lambda.AuthorizerRequest) (lambda.AuthorizerResponse, error) {
		effect := "Allow"
		switch req.QueryStringParameters["token"] {
		case "bad":
			return lambda.AuthorizerResponse{}, errors.New("Unauthorized")
		case "deny":
			effect = "Deny"
		}
		return lambda.AuthorizerResponse{
			PrincipalID: "ann", PolicyDocument: lambda.PolicyFor(effect, req.MethodARN), Context: map[string]any{"arn": req.MethodARN},
		}, nil
	}
	l := newLab(t, &Config{Region: "eu-west-1", AccountID: "210987654321", Functions: Functions{
		"auth": lambda.NewInvoker(authorize), "who": answering("%v %v", "requestContext.authorizer.principalId", "requestContext.authorizer.arn"),
	}})
	s := guarded(t, `"authorizationType":"CUSTOM","authorizerId":"a1"`, `"authorizers":[{"authorizerId":"a1","authorizerType":"REQUEST",
		"authorizerUri":"arn:aws:apigateway:eu-west-1:lambda:path/2015-03-31/functions/arn:aws:lambda:eu-west-1:210987654321:function:${stageVariables.auth}/invocations",
		"identitySource":["route.request.querystring.token","stageVariables.auth"]}]`)
	path := l.serve(s, `"stageVariables":{"auth":"auth"}`)
	require.Equal(t, "ann arn:aws:execute-api:eu-west-1:210987654321:"+apiID+"/prod/$connect", l.ask(path+"?token=good", `{"action":"who"}`))
	for query, status := range map[string]int{"": http.StatusUnauthorized, "?token=bad": http.StatusUnauthorized, "?token=deny": http.StatusForbidden} {
		_, refused := l.TryDial(t, gatewaytest.Path(path+query))
		require.NotNil(t, refused, query)
		require.Equal(t, status, refused.StatusCode, query)
	}
	l.serve(s) // without the stage variable an identity source has no value
	_, refused := l.TryDial(t, gatewaytest.Path(path+"?token=good"))
	require.NotNil(t, refused)
	require.Equal(t, http.StatusUnauthorized, refused.StatusCode)
}

// Without what decides, nobody gets in, and the log says why.
func TestAdmission_NobodyGetsIn(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		connect, api string
		status       int
		log          string
	}{
		"unknown function":     {`"authorizationType":"CUSTOM","authorizerId":"a1"`, `{}`, http.StatusInternalServerError, "make the function"},
		"unknown authorizer":   {`"authorizationType":"CUSTOM","authorizerId":"a2"`, `{}`, http.StatusForbidden, "does not exist"},
		"unknown type":         {`"authorizationType":"JWT"`, `{}`, http.StatusForbidden, "use NONE, AWS_IAM or CUSTOM"},
		"nothing checks IAM":   {`"authorizationType":"AWS_IAM"`, `{}`, http.StatusForbidden, "Config.Auth"},
		"no API keys":          {`"apiKeyRequired":true`, `{}`, http.StatusForbidden, "WithUsageStore"},
		"no key of authorizer": {`"apiKeyRequired":true`, `{"apiKeySelectionExpression":"$context.authorizer.usageIdentifierKey"}`, http.StatusForbidden, "set authorizerId"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t, &Config{Functions: Functions{}})
			s := guarded(t, tt.connect, `"api":`+tt.api, `"authorizers":[{"authorizerId":"a1","authorizerUri":"auth"}]`)
			_, refused := l.TryDial(t, gatewaytest.Path(l.serve(s)), gatewaytest.Header("X-Api-Key", "01234567890123456789"))
			require.NotNil(t, refused)
			require.Equal(t, tt.status, refused.StatusCode)
			require.Contains(t, l.log.String(), tt.log)
		})
	}
}

// auth allows whoever has the right header: to connect, and to call @connections.
type auth struct{}

func (auth) Authorize(_ context.Context, req *gateway.Request) (*gateway.Authorization, error) {
	if req.Upgrade.Header.Get("Authorization") != "key" {
		return nil, gateway.ErrForbidden
	}
	return &gateway.Authorization{Caller: &gateway.Caller{AccountID: "210987654321", PrincipalID: "P", ARN: "arn:aws:iam::210987654321:user/ann"}}, nil
}

func (auth) AuthorizeManagement(_ context.Context, call *gateway.ManagementCall) error {
	if call.Request.Header.Get("Authorization") != "key" {
		return gateway.ErrForbidden
	}
	return nil
}

// AWS_IAM asks Config.Auth. So do the calls of @connections.
func TestAdmission_IAM(t *testing.T) {
	t.Parallel()
	l := newLab(t, &Config{Auth: auth{}, Functions: Functions{"who": answering("%v", "requestContext.identity.userArn")}})
	path := l.serve(guarded(t, `"authorizationType":"AWS_IAM"`))
	_, refused := l.TryDial(t, gatewaytest.Path(path))
	require.NotNil(t, refused)
	require.Equal(t, http.StatusForbidden, refused.StatusCode)
	c := l.Dial(t, gatewaytest.Path(path), gatewaytest.Header("Authorization", "key"))
	c.Send(`{"action":"who"}`)
	require.Equal(t, "arn:aws:iam::210987654321:user/ann", c.Receive())
	require.ErrorIs(t, l.ManagementAt(path).PostToConnection(t.Context(), c.ConnectionID(), []byte("x")), gateway.ErrForbidden)
}

// A caller of @connections needs a permission for the stage of the connection, and for the
// stage that its URL names.
func TestAdmission_StageOfURL(t *testing.T) {
	t.Parallel()
	allowed := map[string]bool{}
	l := town(t, &Config{Auth: gateway.ManagementAuthFunc(func(_ context.Context, call *gateway.ManagementCall) error {
		if call.APIID != "bbbbbbbbbb" || !allowed[call.Stage] {
			return gateway.ErrForbidden
		}
		return nil
	})})
	c := l.Dial(t, gatewaytest.Path("/bbbbbbbbbb/beta"))
	id := strings.ReplaceAll(c.ConnectionID(), "=", "%3D")
	for _, tt := range []struct {
		host, path string
		needs      []string
	}{
		{"localhost", "/bbbbbbbbbb/beta", []string{"beta"}},
		{"localhost", "/beta", []string{"beta"}},
		{"localhost", "", []string{"beta"}},
		{"localhost", "/bbbbbbbbbb/gone", []string{"beta"}},
		{"localhost", "/bbbbbbbbbb/prod", []string{"beta", "prod"}},
		{"localhost", "/prod", []string{"beta", "prod"}},
		{"bbbbbbbbbb.execute-api.us-east-1.localhost", "/prod", []string{"beta", "prod"}},
		{"chat.example.com", "/v2", []string{"beta"}},
		{"chat.example.com", "/beta", []string{"beta"}},
		{"chat.example.com", "/v2/deep", []string{"beta", "prod"}},
	} {
		for _, without := range append([]string{""}, tt.needs...) {
			clear(allowed)
			for _, stage := range tt.needs {
				allowed[stage] = stage != without
			}
			want := http.StatusOK
			if without != "" {
				want = http.StatusForbidden
			}
			status, _, body := l.call(tt.host, tt.path+"/@connections/"+id, "")
			require.Equal(t, want, status, "%s%s without %q: %s", tt.host, tt.path, without, body)
		}
		require.Equal(t, "hello", c.Receive())
	}
	var none *iam.Auth
	require.ErrorContains(t, newLab(t, &Config{Auth: none}).deploy(twoWay(t, `"integrationType":"MOCK"`)), "the ManagementAuth is nil")
}

// API keys come from the usage store of the program. The place of the key is the API's, and
// changes with a deployment.
func TestAdmission_APIKeys(t *testing.T) {
	t.Parallel()
	const key = "a-key-of-at-least-20-characters"
	plans, err := usageplan.New(usageplan.Plan{ID: "free", APIKeys: map[string]string{"k1": key}})
	require.NoError(t, err)
	l := newLab(t, &Config{
		Gateway: []gateway.Option{gateway.WithUsageStore(plans)},
		Functions: Functions{
			"who": answering("%v", "requestContext.authorizer.principalId"),
			"auth": lambda.NewInvoker(func(req lambda.AuthorizerRequest) (lambda.AuthorizerResponse, error) {
				return lambda.AuthorizerResponse{PrincipalID: "ann", PolicyDocument: lambda.PolicyFor("Allow", req.MethodARN), UsageIdentifierKey: req.QueryStringParameters["key"]}, nil
			}),
		},
	})
	s := guarded(t, `"apiKeyRequired":true,"authorizationType":"CUSTOM","authorizerId":"a1"`, `"authorizers":[{"authorizerId":"a1","authorizerUri":"auth"}]`)
	path := l.serve(s)
	_, refused := l.TryDial(t, gatewaytest.Path(path+"?key="+key))
	require.NotNil(t, refused)
	require.Equal(t, http.StatusForbidden, refused.StatusCode)
	l.Dial(t, gatewaytest.Path(path), gatewaytest.Header("X-Api-Key", key))

	s.API["apiKeySelectionExpression"] = apiKeyAuthorizer
	l.serve(s)
	_, refused = l.TryDial(t, gatewaytest.Path(path), gatewaytest.Header("X-Api-Key", key))
	require.NotNil(t, refused)
	l.Dial(t, gatewaytest.Path(path+"?key="+key))
}

// A required parameter of $connect that the client does not send is refused with 400.
func TestAdmission_RequestParameters(t *testing.T) {
	t.Parallel()
	l := newLab(t, &Config{Functions: Functions{"who": answering("")}})
	path := l.serve(guarded(t, `"requestParameters":{"route.request.querystring.room":{"required":true},"route.request.header.x":{"required":false}}`))
	_, refused := l.TryDial(t, gatewaytest.Path(path))
	require.NotNil(t, refused)
	require.Equal(t, http.StatusBadRequest, refused.StatusCode)
	l.Dial(t, gatewaytest.Path(path+"?room=1"))
}
