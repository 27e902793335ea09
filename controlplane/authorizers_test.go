package controlplane_test

import (
	"maps"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/gateway/controlplane"
)

const (
	onlyRequest = "Invalid authorizer type. Only REQUEST authorizer type is supported on WEBSOCKET protocol Apis."
	noFormat    = "AuthorizerPayloadFormatVersion cannot be set for WEBSOCKET protocol Apis."
	noTTL       = "AuthorizerResultTtlInSeconds cannot be set for WEBSOCKET protocol Apis."
	noSimple    = "EnableSimpleResponses cannot be set for WEBSOCKET protocol Apis."
	role        = "arn:aws:iam::123456789012:role/r"
)

func badSource(expression string) string {
	return "Invalid request identity source expression: " + expression + ". The sources must be separated by comma, and each source must be either a request parameter, " +
		"matching 'route.request.querystring|header.[a-zA-Z0-9._-]+', or a stage variable, matching 'stageVariables.[a-zA-Z0-9._-]+', " +
		"or a context parameter, matching 'context.[a-zA-Z0-9._-]+'"
}

func sources(all ...any) document { return document{"identitySource": append([]any{}, all...)} }

// What an authorizer of a WebSocket API may be. (Recording of the service: 40 ways to create
// one, with the answers of the service.)
func TestAuthorizer_Create(t *testing.T) {
	t.Parallel()
	c := newClient(t, controlplane.Config{})
	api := c.api()
	for _, test := range []struct {
		members document
		refused string   // "": created
		absent  []string // members that the answer lacks
	}{
		{document{"authorizerType": "JWT"}, onlyRequest, nil},
		{document{"authorizerType": "JWT", "jwtConfiguration": document{"issuer": "https://example.com", "audience": []any{"a"}}, "identitySource": []any{"$request.header.Authorization"}}, onlyRequest, nil},
		{document{"authorizerType": "TOKEN"}, onlyRequest, nil},
		{document{"authorizerPayloadFormatVersion": ""}, noFormat, nil},
		{document{"authorizerPayloadFormatVersion": "1.0"}, noFormat, nil},
		{document{"authorizerPayloadFormatVersion": "2.0"}, noFormat, nil},
		{document{"authorizerPayloadFormatVersion": "3.0"}, noFormat, nil},
		{document{"authorizerResultTtlInSeconds": 0}, noTTL, nil},
		{document{"authorizerResultTtlInSeconds": 1}, noTTL, nil},
		{document{"authorizerResultTtlInSeconds": 60}, noTTL, nil},
		{document{"authorizerResultTtlInSeconds": 3600}, noTTL, nil},
		{document{"authorizerResultTtlInSeconds": -1}, noTTL, nil},
		{document{"authorizerResultTtlInSeconds": 3601}, noTTL, nil},
		{document{"authorizerResultTtlInSeconds": 0, "identitySource": []any{}}, noTTL, nil},
		{document{"authorizerResultTtlInSeconds": 60, "identitySource": []any{}}, noTTL, nil},
		{document{"enableSimpleResponses": false}, noSimple, nil},
		{document{"enableSimpleResponses": true}, noSimple, nil},
		{document{"authorizerPayloadFormatVersion": "2.0", "enableSimpleResponses": false}, noFormat, nil},
		{document{"authorizerPayloadFormatVersion": "2.0", "enableSimpleResponses": true}, noFormat, nil},
		{document{}, "", []string{"identitySource"}},
		{sources(), "", []string{"identitySource"}},
		{sources(""), "", []string{"identitySource"}},
		{sources("route.request.header."), badSource("route.request.header."), nil},
		{sources("invalid"), badSource("invalid"), nil},
		{sources("route.request.querystring.tenant"), "", nil},
		{sources("route.request.header.Authorization", "route.request.querystring.tenant"), "", nil},
		{sources("$request.header.Authorization"), badSource("$request.header.Authorization"), nil},
		{sources("$request.querystring.tenant"), badSource("$request.querystring.tenant"), nil},
		{sources("$context.routeKey"), badSource("$context.routeKey"), nil},
		{sources("$stageVariables.tenant"), badSource("$stageVariables.tenant"), nil},
		{sources("context.routeKey"), "", nil},
		{sources("stageVariables.tenant"), "", nil},
		{sources("route.request.context.routeKey"), badSource("route.request.context.routeKey"), nil},
		{sources("route.request.stageVariables.tenant"), badSource("route.request.stageVariables.tenant"), nil},
		{sources("method.request.header.Authorization"), badSource("method.request.header.Authorization"), nil},
		{sources("route.request.body.action"), badSource("route.request.body.action"), nil},
		{sources("route.request.header.Invalid Name"), badSource("route.request.header.Invalid Name"), nil},
		{document{"identityValidationExpression": "^a-.*$"}, "", nil},
		{document{"identityValidationExpression": ""}, "IdentityValidationExpression must not be empty.", nil},
		{document{"identityValidationExpression": "["}, "Invalid validation expression: [", nil},
		{document{"authorizerCredentialsArn": role}, "", nil},
		{document{"authorizerCredentialsArn": ""}, "Invalid role ARN", nil},
		{document{"authorizerCredentialsArn": "not-an-arn"}, "Invalid role ARN", nil},
		{document{"authorizerUri": ""}, "AuthorizerUri is required to create an Authorizer", nil},
	} {
		body := authorizerBody(test.members)
		if test.refused != "" {
			c.refused(400, "BadRequestException", test.refused, "POST", api+"/authorizers", body)
			continue
		}
		created := c.must(201, "POST", api+"/authorizers", body)
		id := textOf(created, "authorizerId")
		want := maps.Clone(body)
		want["authorizerId"] = id
		for _, name := range test.absent {
			delete(want, name)
		}
		require.Equal(t, want, created)
		require.Equal(t, want, c.must(200, "GET", api+"/authorizers/"+id, nil))
		require.Equal(t, document{"items": []any{want}}, c.must(200, "GET", api+"/authorizers", nil))
		c.must(204, "DELETE", api+"/authorizers/"+id, nil)
		c.refused(404, "NotFoundException", "Invalid Authorizer identifier specified", "GET", api+"/authorizers/"+id, nil)
	}
}

// What an update of an authorizer changes, one after the other. A refused one changes
// nothing. (Recording of the service: 19 updates.)
func TestAuthorizer_Update(t *testing.T) {
	t.Parallel()
	c := newClient(t, controlplane.Config{})
	api := c.api()
	now := c.must(201, "POST", api+"/authorizers", authorizerBody(sources("route.request.header.Authorization")))
	path := api + "/authorizers/" + textOf(now, "authorizerId")
	for _, test := range []struct {
		body    document
		refused string
		gone    string // the member that the update removes
	}{
		{document{"name": "renamed"}, "", ""},
		{sources("route.request.querystring.tenant"), "", ""},
		{document{"name": "no", "identitySource": []any{"invalid"}}, badSource("invalid"), ""},
		{document{"name": "no", "authorizerType": "TOKEN"}, onlyRequest, ""},
		{document{"authorizerPayloadFormatVersion": "2.0"}, noFormat, ""},
		{document{"authorizerPayloadFormatVersion": ""}, "", "authorizerPayloadFormatVersion"},
		{document{"authorizerResultTtlInSeconds": 0}, noTTL, ""},
		{document{"authorizerResultTtlInSeconds": 60}, noTTL, ""},
		{document{"name": "no", "authorizerResultTtlInSeconds": -1}, noTTL, ""},
		{document{"enableSimpleResponses": false}, noSimple, ""},
		{document{"enableSimpleResponses": true}, noSimple, ""},
		{document{"identityValidationExpression": "^a-.*$"}, "", ""},
		{document{"identityValidationExpression": ""}, "", "identityValidationExpression"},
		{document{"authorizerCredentialsArn": role}, "", ""},
		{document{"name": "kept"}, "", ""},
		{document{"name": "no", "authorizerCredentialsArn": "not-an-arn"}, "Invalid role ARN", ""},
		{document{"authorizerCredentialsArn": ""}, "", "authorizerCredentialsArn"},
		{sources(), "", "identitySource"},
		{sources("route.request.header.Authorization"), "", ""},
	} {
		if test.refused != "" {
			c.refused(400, "BadRequestException", test.refused, "PATCH", path, test.body)
		} else {
			maps.Copy(now, test.body)
			delete(now, test.gone)
			require.Equal(t, now, c.must(200, "PATCH", path, test.body))
		}
		require.Equal(t, now, c.must(200, "GET", path, nil))
	}
}

// Only $connect has an authorizer, and an authorizer in use stays. (Recording of the
// service.)
func TestAuthorizer_Routes(t *testing.T) {
	t.Parallel()
	c := newClient(t, controlplane.Config{})
	api := c.api()
	authorizer := textOf(c.must(201, "POST", api+"/authorizers", authorizerBody()), "authorizerId")
	custom := document{"authorizationType": "CUSTOM", "authorizerId": authorizer}
	const restricted = "Currently, authorization is restricted to the $connect route only"
	for _, key := range []string{"message", "$disconnect", "$default"} {
		c.refused(400, "BadRequestException", restricted, "POST", api+"/routes", with(custom, "routeKey", key))
		id := textOf(c.must(201, "POST", api+"/routes", document{"routeKey": key, "authorizationType": "NONE"}), "routeId")
		c.refused(400, "BadRequestException", restricted, "PATCH", api+"/routes/"+id, custom)
		c.must(200, "PATCH", api+"/routes/"+id, document{"authorizerId": authorizer}) // without effect
	}
	const invalid = "Invalid authorizer ID specified. Setting the authorization type to CUSTOM or COGNITO_USER_POOLS requires a valid authorizer."
	for _, id := range []string{"", "nope", "../routes"} {
		c.refused(400, "BadRequestException", invalid, "POST", api+"/routes", document{"routeKey": "$connect", "authorizationType": "CUSTOM", "authorizerId": id})
	}
	route := c.must(201, "POST", api+"/routes", with(custom, "routeKey", "$connect"))
	require.Equal(t, document{
		"apiKeyRequired": false, "authorizationType": "CUSTOM", "authorizerId": authorizer, "routeKey": "$connect", "routeId": route["routeId"],
	}, route)
	c.refused(409, "ConflictException", "Cannot delete authorizer 'a', is referenced in route: $connect", "DELETE", api+"/authorizers/"+authorizer, nil)
	path := api + "/routes/" + textOf(route, "routeId")
	c.refused(400, "BadRequestException", invalid, "PATCH", path, document{"authorizerId": ""})
	require.NotContains(t, c.must(200, "PATCH", path, document{"authorizerId": "", "authorizationType": "NONE"}), "authorizerId")
	c.must(204, "DELETE", api+"/authorizers/"+authorizer, nil)
	c.refused(404, "NotFoundException", "Invalid Authorizer identifier specified", "PATCH", api+"/authorizers/"+authorizer, document{"name": "x"})
	c.refused(404, "NotFoundException", "Invalid Authorizer identifier specified", "DELETE", api+"/authorizers/"+authorizer, nil)
	c.refused(404, "NotFoundException", "Invalid route identifier specified", "GET", api+"/routes/"+strings.Repeat("x", 600), nil)
}

// with returns a document with one more member.
func with(d document, name string, value any) document {
	d = maps.Clone(d)
	d[name] = value
	return d
}
