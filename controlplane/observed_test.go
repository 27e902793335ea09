package controlplane_test

import (
	"maps"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway/controlplane"
)

// The life of a deployment, with the answers of the service, member by member. (Recording
// of the service: radkawar/stackd, websocket_lifecycle.json.)
func TestObserved_Lifecycle(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newClient(t, controlplane.Config{})
		api := c.api()
		target := "integrations/" + textOf(c.must(201, "POST", api+"/integrations", document{
			"integrationType": "AWS_PROXY", "integrationMethod": "POST", "integrationUri": functionURI,
		}), "integrationId")
		route := func(key string) document {
			made := c.must(201, "POST", api+"/routes", document{"routeKey": key, "authorizationType": "NONE", "target": target})
			require.Equal(t, document{"apiKeyRequired": false, "authorizationType": "NONE", "routeId": made["routeId"], "routeKey": key, "target": target}, made)
			return made
		}
		connect, fallback, echo := route("$connect"), route("$default"), route("echo")
		var deployments []any
		deploy := func(description string) string {
			now := time.Now().UTC().Format(time.RFC3339)
			made := c.must(201, "POST", api+"/deployments", document{"description": description})
			require.Equal(t, document{
				"autoDeployed": false, "createdDate": now, "deploymentId": made["deploymentId"], "deploymentStatus": "DEPLOYED", "description": description,
			}, made)
			deployments = append(deployments, made)
			return textOf(made, "deploymentId")
		}
		first := deploy("one way")
		stage := c.must(201, "POST", api+"/stages", document{"stageName": "probe", "deploymentId": first, "autoDeploy": false, "stageVariables": document{"phase": "initial"}})
		now := time.Now().UTC().Format(time.RFC3339)
		require.Equal(t, document{
			"autoDeploy": false, "createdDate": now, "lastUpdatedDate": now, "deploymentId": first, "stageName": "probe",
			"defaultRouteSettings": document{"dataTraceEnabled": false, "detailedMetricsEnabled": false, "loggingLevel": "OFF"},
			"routeSettings":        document{}, "stageVariables": document{"phase": "initial"}, "tags": document{},
		}, stage)
		same := func() {
			require.Equal(t, stage, c.must(200, "GET", api+"/stages/probe", nil))
			require.Equal(t, document{"items": []any{connect, fallback, echo}}, c.must(200, "GET", api+"/routes", nil))
			require.Equal(t, document{"items": deployments}, c.must(200, "GET", api+"/deployments", nil))
		}
		same()

		// A change of the draft leaves the stage and the deployments as they are, their
		// dates, too.
		time.Sleep(13 * time.Second) //nolint:forbidigo // in a bubble
		for _, changed := range []document{fallback, echo} {
			changed["routeResponseSelectionExpression"] = "$default"
			path := api + "/routes/" + textOf(changed, "routeId")
			require.Equal(t, changed, c.must(200, "PATCH", path, document{"routeResponseSelectionExpression": "$default"}))
			response := c.must(201, "POST", path+"/routeresponses", document{"routeResponseKey": "$default"})
			require.Equal(t, document{"routeResponseKey": "$default", "routeResponseId": response["routeResponseId"]}, response)
			require.Equal(t, document{"items": []any{response}}, c.must(200, "GET", path+"/routeresponses", nil))
		}
		same()

		for _, step := range []string{"two way", "renamed"} {
			time.Sleep(6 * time.Second) //nolint:forbidigo // in a bubble
			if step == "renamed" {
				echo["routeKey"] = "changed"
				require.Equal(t, echo, c.must(200, "PATCH", api+"/routes/"+textOf(echo, "routeId"), document{"routeKey": "changed"}))
				same()
			}
			stage["deploymentId"], stage["lastUpdatedDate"] = deploy(step), time.Now().UTC().Format(time.RFC3339)
			require.Equal(t, stage, c.must(200, "PATCH", api+"/stages/probe", document{"deploymentId": stage["deploymentId"]}))
			same()
		}
	})
}

// The credentials of an integration with a function. The role need not exist. (Recording of
// the service: radkawar/stackd, v2_integration_credentials.json.)
func TestObserved_IntegrationCredentials(t *testing.T) {
	t.Parallel()
	c := newClient(t, controlplane.Config{})
	api := c.api()
	body := document{"integrationType": "AWS_PROXY", "integrationMethod": "POST", "integrationUri": functionURI}
	answer := document{"connectionType": "INTERNET", "passthroughBehavior": "WHEN_NO_MATCH", "payloadFormatVersion": "1.0", "timeoutInMillis": number("29000")}
	maps.Copy(answer, body)
	for _, test := range []struct {
		create  document // more members
		updates []document
		refused bool     // the last update
		want    document // more members of the answers
	}{
		{document{"credentialsArn": role}, nil, false, document{"credentialsArn": role}},
		{document{"credentialsArn": role + "-not-created"}, nil, false, document{"credentialsArn": role + "-not-created"}},
		{document{}, nil, false, document{}},
		{document{"credentialsArn": role}, []document{{"description": "left out"}}, false, document{"credentialsArn": role, "description": "left out"}},
		{document{"credentialsArn": role}, []document{{"credentialsArn": "not-an-arn"}}, true, document{"credentialsArn": role}},
		{document{}, []document{{"credentialsArn": "arn:aws:iam::*:user/*"}}, true, document{}},
		{document{}, []document{{"credentialsArn": ""}}, false, document{}},
		{document{}, []document{{"credentialsArn": role}, {"credentialsArn": ""}}, false, document{}},
	} {
		create, want := maps.Clone(body), maps.Clone(answer)
		maps.Copy(create, test.create)
		maps.Copy(want, test.want)
		made := c.must(201, "POST", api+"/integrations", create)
		want["integrationId"] = made["integrationId"]
		path := api + "/integrations/" + textOf(made, "integrationId")
		for n, update := range test.updates {
			if test.refused && n == len(test.updates)-1 {
				c.refused(400, "BadRequestException", "Invalid role ARN", "PATCH", path, update)
				continue
			}
			made = c.must(200, "PATCH", path, update)
		}
		if len(test.updates) == 0 || !test.refused {
			require.Equal(t, want, made)
		}
		require.Equal(t, want, c.must(200, "GET", path, nil))
	}
}

// Both stages of an API have the same deployment, and each its own answer. (Recording of
// the service: radkawar/stackd, websocket_management.json.)
func TestObserved_TwoStages(t *testing.T) {
	t.Parallel()
	c := newClient(t, controlplane.Config{})
	api := c.api()
	c.route(api, "$default")
	deployment := c.deployment(api)
	for _, name := range []string{"dev", "other"} {
		made := c.must(201, "POST", api+"/stages", document{"stageName": name, "deploymentId": deployment})
		require.NotContains(t, made, "autoDeploy", "it was not sent")
		require.Equal(t, deployment, made["deploymentId"])
		require.Equal(t, name, made["stageName"])
	}
	require.Len(t, c.must(200, "GET", api+"/stages", nil)["items"], 2)
}

// Members that are stored and have no effect here, or are not answered, and what a client
// may leave out.
func TestObserved_Members(t *testing.T) {
	t.Parallel()
	c := newClient(t, controlplane.Config{})
	body := document{"name": "n", "protocolType": "WEBSOCKET", "routeSelectionExpression": "$request.body.action"}
	api := c.must(201, "POST", "/apis", with(with(body, "disableSchemaValidation", true), "ipAddressType", "dualstack"))
	require.NotContains(t, api, "disableSchemaValidation")
	require.NotContains(t, api, "tags", "only a create leaves them out")
	path := "/apis/" + textOf(api, "apiId")
	require.Equal(t, with(api, "tags", document{}), c.must(200, "GET", path, nil))
	require.Equal(t, []any{with(api, "tags", document{})}, c.must(200, "GET", "/apis", nil)["items"])
	require.Equal(t, document{"a": "b"}, c.must(201, "POST", "/apis", with(body, "tags", document{"a": "b"}))["tags"])
	require.Equal(t, document{"items": []any{}}, c.must(200, "GET", path+"/routes", nil), "an empty list is no null")

	integration := c.must(201, "POST", path+"/integrations", document{"integrationType": "HTTP", "integrationUri": "https://example.com/", "integrationMethod": "GET"})
	require.Equal(t, "${integration.response.statuscode}", integration["integrationResponseSelectionExpression"])
	changed := c.must(200, "PATCH", path+"/integrations/"+textOf(integration, "integrationId"), document{"integrationType": "HTTP_PROXY"})
	delete(integration, "integrationResponseSelectionExpression")
	require.Equal(t, with(integration, "integrationType", "HTTP_PROXY"), changed)

	c.must(201, "POST", path+"/stages", document{"stageName": "prod"})
	domain := c.must(201, "POST", "/domainnames", document{"domainName": "ws.example.com", "routingMode": "API_MAPPING_ONLY", "domainNameConfigurations": []any{document{"certificateArn": "arn:c", "ipAddressType": "ipv4"}}})
	require.Equal(t, "API_MAPPING_ONLY", domain["routingMode"])
	configuration := domain["domainNameConfigurations"].([]any)[0].(document)
	require.Regexp(t, `^d-[a-z0-9]{10}\.execute-api\.us-east-1\.amazonaws\.com$`, configuration["apiGatewayDomainName"])
	mapping := c.must(201, "POST", "/domainnames/ws.example.com/apimappings", document{"apiId": api["apiId"], "stage": "prod", "apiMappingKey": "a"})
	mapping["apiMappingKey"] = "b"
	require.Equal(t, mapping, c.must(200, "PATCH", "/domainnames/ws.example.com/apimappings/"+textOf(mapping, "apiMappingId"), document{"apiMappingKey": "b"}), "without apiId")
}

// The log settings of a stage. An update of the default settings changes the members that
// it has, and a level that does not exist is as an absent one. (Recording of the service:
// radkawar/stackd, rest_websocket_logs.json; the refused settings are in TestValidation.)
func TestObserved_LogSettings(t *testing.T) {
	t.Parallel()
	c := newClient(t, controlplane.Config{})
	stage := c.api() + "/stages"
	c.must(201, "POST", stage, document{"stageName": "probe", "autoDeploy": false})
	stage += "/probe"
	settings := func(level string, trace bool) document {
		return document{"dataTraceEnabled": trace, "detailedMetricsEnabled": false, "loggingLevel": level}
	}
	logs := func(format string) document {
		return document{"destinationArn": "arn:aws:logs:us-east-1:123456789012:log-group:ws", "format": format}
	}
	for _, test := range []struct {
		update, want document
	}{
		{document{"defaultRouteSettings": document{"loggingLevel": "OFF", "dataTraceEnabled": true}}, document{"defaultRouteSettings": settings("OFF", true)}},
		{document{"defaultRouteSettings": document{"loggingLevel": "DEBUG"}}, document{"defaultRouteSettings": settings("OFF", true)}},
		{document{"defaultRouteSettings": document{"loggingLevel": "INFO"}}, document{"defaultRouteSettings": settings("INFO", true)}},
		{document{"defaultRouteSettings": document{"dataTraceEnabled": false}}, document{"defaultRouteSettings": settings("INFO", false)}},
		{document{"defaultRouteSettings": document{"throttlingRateLimit": 2.5}}, document{"defaultRouteSettings": with(settings("INFO", false), "throttlingRateLimit", number("2.5"))}},
		{document{"accessLogSettings": logs("$context.extendedRequestId")}, document{"accessLogSettings": logs("$context.extendedRequestId")}},
		{document{"accessLogSettings": logs("$context.requestId" + strings.Repeat("|x=$context.unknown", 75))}, document{"accessLogSettings": logs("$context.requestId" + strings.Repeat("|x=$context.unknown", 75))}},
		{document{"accessLogSettings": logs("{$context.requestId}\n")}, document{"accessLogSettings": logs("{$context.requestId}\n")}},
	} {
		want := c.must(200, "GET", stage, nil)
		maps.Copy(want, test.want)
		got := c.must(200, "PATCH", stage, test.update)
		want["lastUpdatedDate"] = got["lastUpdatedDate"]
		require.Equal(t, want, got)
		require.Equal(t, want, c.must(200, "GET", stage, nil))
	}
}
