package controlplane_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/gateway/controlplane"
)

// An update changes what it names: an empty text clears a member, some maps merge, and
// the rest is replaced.
func TestPatch(t *testing.T) {
	t.Parallel()
	c := newClient(t, controlplane.Config{})
	api := c.api()
	c.route(api, "send")
	integration := api + "/integrations/" + c.mock(api)
	route := api + "/routes/" + c.route(api, "$connect")
	c.must(201, "POST", api+"/stages", document{"stageName": "prod"})
	stage := api + "/stages/prod"
	for _, test := range []struct {
		name, path string
		body       document
		want       document // members after the update; nil: absent
	}{
		{"nothing", api, document{}, document{"name": "n"}},
		{"null is absent", api, document{"name": nil}, document{"name": "n"}},
		{"unknown members are ignored", api, document{"colour": "red"}, document{"colour": nil}},
		{"read-only members are ignored", api, document{"apiId": "x", "createdDate": "x"}, document{"name": "n"}},
		{"set", api, document{"description": "d", "version": "1"}, document{"description": "d", "version": "1"}},
		{"clear", api, document{"description": "", "version": ""}, document{"description": nil, "version": nil}},
		{"default again", api, document{"apiKeySelectionExpression": ""}, document{"apiKeySelectionExpression": "$request.header.x-api-key"}},
		{"immutable and unchanged", api, document{"protocolType": "WEBSOCKET"}, document{"protocolType": "WEBSOCKET"}},
		{"tags are not updated here", api, document{"tags": document{"a": "b"}}, document{"tags": document{}}},
		{"hidden", api, document{"disableSchemaValidation": true}, document{"disableSchemaValidation": nil}},

		{"type sent again", integration, document{"integrationType": "MOCK", "timeoutInMillis": 50}, document{"timeoutInMillis": number("50")}},
		{"parameters", integration, document{"requestParameters": document{"integration.request.header.a": "'1'", "integration.request.header.b": "'2'"}}, document{"requestParameters": document{"integration.request.header.a": "'1'", "integration.request.header.b": "'2'"}}},
		{"parameters merge", integration, document{"requestParameters": document{"integration.request.header.a": "", "integration.request.header.c": "'3'"}}, document{"requestParameters": document{"integration.request.header.b": "'2'", "integration.request.header.c": "'3'"}}},
		{"no parameter left", integration, document{"requestParameters": document{"integration.request.header.b": "", "integration.request.header.c": ""}}, document{"requestParameters": nil}},
		{"templates", integration, document{"requestTemplates": document{"a": "<1> & \"2\""}}, document{"requestTemplates": document{"a": "<1> & \"2\""}}},
		{"templates are replaced", integration, document{"requestTemplates": document{"b": "2"}}, document{"requestTemplates": document{"b": "2"}}},
		{"an empty map clears", integration, document{"requestTemplates": document{}}, document{"requestTemplates": nil}},
		{"credentials", integration, document{"credentialsArn": role}, document{"credentialsArn": role}},
		{"credentials clear", integration, document{"credentialsArn": ""}, document{"credentialsArn": nil}},
		{"an integration gets a method", integration, document{"integrationType": "AWS_PROXY", "integrationUri": "arn:f"}, document{"integrationMethod": "POST", "integrationResponseSelectionExpression": nil}},

		{"route key", route, document{"routeKey": "other"}, document{"routeKey": "other"}},
		{"target clears", route, document{"target": ""}, document{"target": nil}},

		{"variables", stage, document{"stageVariables": document{"a": "1", "b": "2"}}, document{"stageVariables": document{"a": "1", "b": "2"}}},
		{"variables merge", stage, document{"stageVariables": document{"a": "", "c": "3"}}, document{"stageVariables": document{"b": "2", "c": "3"}}},
		{"no variable left", stage, document{"stageVariables": document{"b": "", "c": ""}}, document{"stageVariables": document{}}},
		{"zeros", stage, document{"routeSettings": document{"send": document{"throttlingRateLimit": number("-0.0"), "throttlingBurstLimit": number("-0")}}}, document{"routeSettings": document{"send": document{"throttlingRateLimit": number("0.0"), "throttlingBurstLimit": number("0")}}}},
		{"route settings", stage, document{"routeSettings": document{"send": document{"throttlingRateLimit": 2.5}}}, document{"routeSettings": document{"send": document{"throttlingRateLimit": number("2.5")}}}},
		{"route settings merge", stage, document{"routeSettings": document{"$connect": document{"throttlingBurstLimit": 1}}}, document{"routeSettings": document{"send": document{"throttlingRateLimit": number("2.5")}, "$connect": document{"throttlingBurstLimit": number("1")}}}},
		{"default settings keep the defaults", stage, document{"defaultRouteSettings": document{"loggingLevel": "INFO"}}, document{"defaultRouteSettings": document{"dataTraceEnabled": false, "detailedMetricsEnabled": false, "loggingLevel": "INFO"}}},
		{"access logs", stage, document{"accessLogSettings": document{"destinationArn": "arn:l", "format": "$context.requestId"}}, document{"accessLogSettings": document{"destinationArn": "arn:l", "format": "$context.requestId"}}},
		{"access logs go", stage, document{"accessLogSettings": document{}}, document{"accessLogSettings": nil}},
	} {
		before := c.must(200, "GET", test.path, nil)
		after := c.must(200, "PATCH", test.path, test.body)
		require.Equal(t, after, c.must(200, "GET", test.path, nil), test.name)
		want := maps.Clone(before)
		for name, value := range test.want {
			if want[name] = value; value == nil {
				delete(want, name)
			}
		}
		if test.name == "an integration gets a method" {
			want["integrationType"], want["integrationUri"] = "AWS_PROXY", "arn:f"
		}
		if before["lastUpdatedDate"] != nil {
			want["lastUpdatedDate"] = after["lastUpdatedDate"]
		}
		require.Equal(t, want, after, test.name)
	}
	c.must(204, "DELETE", stage+"/routesettings/send", nil)
	require.Equal(t, document{"$connect": document{"throttlingBurstLimit": number("1")}}, c.must(200, "GET", stage, nil)["routeSettings"])
}

// An address that the server has made up for a domain name stays when its certificate
// changes.
func TestPatch_DomainName(t *testing.T) {
	t.Parallel()
	c := newClient(t, controlplane.Config{})
	configuration := func(d document) document { return d["domainNameConfigurations"].([]any)[0].(document) }
	before := configuration(c.must(201, "POST", "/domainnames", document{"domainName": "*.example.com", "domainNameConfigurations": []any{document{"certificateArn": "arn:1", "domainNameStatus": "UPDATING"}}}))
	require.Equal(t, "AVAILABLE", before["domainNameStatus"])
	require.Equal(t, "TLS_1_2", before["securityPolicy"])
	require.Equal(t, "REGIONAL", before["endpointType"])
	after := configuration(c.must(200, "PATCH", "/domainnames/%2A.example.com", document{"domainNameConfigurations": []any{document{"certificateArn": "arn:2"}}}))
	require.Equal(t, with(before, "certificateArn", "arn:2"), after)
}

// The document that an update leaves can be read back, and a second update with the same
// body changes nothing more. Nothing that is sent is answered with 500.
func FuzzPatch(f *testing.F) {
	for _, seed := range []string{
		`{}`, `null`, `{"name":""}`, `{"stageVariables":{"a":"","b":"1"}}`, `{"routeSettings":{"$connect":{"throttlingRateLimit":1e400}}}`,
		`{"timeoutInMillis":1e4}`, `{"integrationUri":null,"requestParameters":{"integration.request.header.a":""}}`, `{"identitySource":["",null]}`,
		`{"domainNameConfigurations":[{"a":{}},{}]}`, `{"defaultRouteSettings":{"loggingLevel":""}}`, `{"accessLogSettings":[]}`, `{"a":[[[[]]]]}`,
		`{"apiMappingKey":"a/b","apiId":"../x"}`, "{\"description\":\"\xff\"}", `{"routeKey":"$disconnect","target":""}`, `{"name":"a","name":"b"}`,
	} {
		for kind := range uint8(9) {
			f.Add(kind, seed)
		}
	}
	c := newClient(f, controlplane.Config{})
	api := c.api()
	route := c.route(api, "$connect")
	c.must(201, "POST", api+"/stages", document{"stageName": "prod"})
	c.must(201, "POST", "/domainnames", document{"domainName": "ws.example.com", "domainNameConfigurations": []any{document{}}})
	mapping := c.must(201, "POST", "/domainnames/ws.example.com/apimappings", document{"apiId": strings.TrimPrefix(api, "/apis/"), "stage": "prod"})
	paths := []string{
		api, api + "/routes/" + route, api + "/integrations/" + c.mock(api), api + "/stages/prod", api + "/deployments/" + c.deployment(api),
		api + "/authorizers/" + textOf(c.must(201, "POST", api+"/authorizers", authorizerBody()), "authorizerId"),
		api + "/models/" + textOf(c.must(201, "POST", api+"/models", document{"name": "m", "schema": "{}"}), "modelId"),
		"/domainnames/ws.example.com", "/domainnames/ws.example.com/apimappings/" + textOf(mapping, "apiMappingId"),
	}
	f.Fuzz(func(t *testing.T, kind uint8, body string) {
		c := &client{t, c.server}
		path := paths[int(kind)%len(paths)]
		first := c.do("PATCH", path, body)
		require.Less(t, first.status, http.StatusInternalServerError, "%s", first.text)
		if first.status != http.StatusOK {
			return
		}
		require.Equal(t, first.body, c.must(200, "GET", path, nil))
		second := c.do("PATCH", path, body)
		require.Equal(t, http.StatusOK, second.status, "%s", second.text)
		delete(first.body, "lastUpdatedDate")
		delete(second.body, "lastUpdatedDate")
		require.Equal(t, first.body, second.body)
		require.True(t, json.Valid([]byte(second.text)))
	})
}
