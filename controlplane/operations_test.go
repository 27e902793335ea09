package controlplane_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/gateway/controlplane"
)

const functionURI = "arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/arn:aws:lambda:us-east-1:123456789012:function:f/invocations"

func authorizerBody(members ...document) document {
	body := document{"name": "a", "authorizerType": "REQUEST", "authorizerUri": functionURI}
	for _, more := range members {
		for name, value := range more {
			body[name] = value
		}
	}
	return body
}

// Every operation of the SDK model that WebSocket APIs have answers with its status.
func TestOperations(t *testing.T) {
	t.Parallel()
	c := newClient(t, controlplane.Config{})
	known := map[string]string{"d": "ws.example.com", "s": "prod"}
	for _, step := range []struct {
		operation, method, path string
		body                    any
		status                  int
		id                      string // member of the answer, kept as the name before the colon
	}{
		{"CreateApi", "POST", "/apis", document{"name": "n", "protocolType": "WEBSOCKET", "routeSelectionExpression": "$request.body.action"}, 201, "a:apiId"},
		{"GetApis", "GET", "/apis", nil, 200, ""},
		{"GetApi", "GET", "/apis/{a}", nil, 200, ""},
		{"UpdateApi", "PATCH", "/apis/{a}", document{"name": "m"}, 200, ""},
		{"CreateIntegration", "POST", "/apis/{a}/integrations", document{"integrationType": "MOCK"}, 201, "i:integrationId"},
		{"GetIntegrations", "GET", "/apis/{a}/integrations", nil, 200, ""},
		{"GetIntegration", "GET", "/apis/{a}/integrations/{i}", nil, 200, ""},
		{"UpdateIntegration", "PATCH", "/apis/{a}/integrations/{i}", document{"description": "x"}, 200, ""},
		{"CreateIntegrationResponse", "POST", "/apis/{a}/integrations/{i}/integrationresponses", document{"integrationResponseKey": "$default"}, 201, "ir:integrationResponseId"},
		{"GetIntegrationResponses", "GET", "/apis/{a}/integrations/{i}/integrationresponses", nil, 200, ""},
		{"GetIntegrationResponse", "GET", "/apis/{a}/integrations/{i}/integrationresponses/{ir}", nil, 200, ""},
		{"UpdateIntegrationResponse", "PATCH", "/apis/{a}/integrations/{i}/integrationresponses/{ir}", document{"integrationResponseKey": "/2../"}, 200, ""},
		{"CreateRoute", "POST", "/apis/{a}/routes", document{"routeKey": "$connect", "target": "integrations/{i}", "requestParameters": document{"route.request.header.x": document{"required": true}}}, 201, "r:routeId"},
		{"GetRoutes", "GET", "/apis/{a}/routes", nil, 200, ""},
		{"GetRoute", "GET", "/apis/{a}/routes/{r}", nil, 200, ""},
		{"UpdateRoute", "PATCH", "/apis/{a}/routes/{r}", document{"operationName": "x"}, 200, ""},
		{"DeleteRouteRequestParameter", "DELETE", "/apis/{a}/routes/{r}/requestparameters/route.request.header.x", nil, 204, ""},
		{"CreateRouteResponse", "POST", "/apis/{a}/routes/{r}/routeresponses", document{"routeResponseKey": "$default"}, 201, "rr:routeResponseId"},
		{"GetRouteResponses", "GET", "/apis/{a}/routes/{r}/routeresponses", nil, 200, ""},
		{"GetRouteResponse", "GET", "/apis/{a}/routes/{r}/routeresponses/{rr}", nil, 200, ""},
		{"UpdateRouteResponse", "PATCH", "/apis/{a}/routes/{r}/routeresponses/{rr}", document{"modelSelectionExpression": "$default"}, 200, ""},
		{"CreateAuthorizer", "POST", "/apis/{a}/authorizers", authorizerBody(), 201, "au:authorizerId"},
		{"GetAuthorizers", "GET", "/apis/{a}/authorizers", nil, 200, ""},
		{"GetAuthorizer", "GET", "/apis/{a}/authorizers/{au}", nil, 200, ""},
		{"UpdateAuthorizer", "PATCH", "/apis/{a}/authorizers/{au}", document{"name": "b"}, 200, ""},
		{"CreateModel", "POST", "/apis/{a}/models", document{"name": "m", "schema": `{"type":"object"}`}, 201, "m:modelId"},
		{"GetModels", "GET", "/apis/{a}/models", nil, 200, ""},
		{"GetModel", "GET", "/apis/{a}/models/{m}", nil, 200, ""},
		{"GetModelTemplate", "GET", "/apis/{a}/models/{m}/template", nil, 200, ""},
		{"UpdateModel", "PATCH", "/apis/{a}/models/{m}", document{"contentType": "application/json"}, 200, ""},
		{"CreateDeployment", "POST", "/apis/{a}/deployments", document{}, 201, "dep:deploymentId"},
		{"GetDeployments", "GET", "/apis/{a}/deployments", nil, 200, ""},
		{"GetDeployment", "GET", "/apis/{a}/deployments/{dep}", nil, 200, ""},
		{"UpdateDeployment", "PATCH", "/apis/{a}/deployments/{dep}", document{"description": "x"}, 200, ""},
		{"CreateStage", "POST", "/apis/{a}/stages", document{"stageName": "prod", "deploymentId": "{dep}", "routeSettings": document{"$connect": document{}}}, 201, ""},
		{"GetStages", "GET", "/apis/{a}/stages", nil, 200, ""},
		{"GetStage", "GET", "/apis/{a}/stages/{s}", nil, 200, ""},
		{"UpdateStage", "PATCH", "/apis/{a}/stages/{s}", document{"accessLogSettings": document{"format": "$context.requestId"}}, 200, ""},
		{"DeleteAccessLogSettings", "DELETE", "/apis/{a}/stages/{s}/accesslogsettings", nil, 204, ""},
		{"DeleteRouteSettings", "DELETE", "/apis/{a}/stages/{s}/routesettings/%24connect", nil, 204, ""},
		{"CreateDomainName", "POST", "/domainnames", document{"domainName": "ws.example.com"}, 201, ""},
		{"GetDomainNames", "GET", "/domainnames", nil, 200, ""},
		{"GetDomainName", "GET", "/domainnames/{d}", nil, 200, ""},
		{"UpdateDomainName", "PATCH", "/domainnames/{d}", document{"routingMode": "API_MAPPING_ONLY"}, 200, ""},
		{"CreateApiMapping", "POST", "/domainnames/{d}/apimappings", document{"apiId": "{a}", "stage": "prod"}, 201, "map:apiMappingId"},
		{"GetApiMappings", "GET", "/domainnames/{d}/apimappings", nil, 200, ""},
		{"GetApiMapping", "GET", "/domainnames/{d}/apimappings/{map}", nil, 200, ""},
		{"UpdateApiMapping", "PATCH", "/domainnames/{d}/apimappings/{map}", document{"apiId": "{a}", "apiMappingKey": "chat"}, 200, ""},
		{"TagResource", "POST", "/tags/arn%3Aaws%3Aapigateway%3Aus-east-1%3A%3A%2Fapis%2F{a}", document{"tags": document{"k": "v"}}, 201, ""},
		{"GetTags", "GET", "/tags/arn%3Aaws%3Aapigateway%3Aus-east-1%3A%3A%2Fapis%2F{a}", nil, 200, ""},
		{"UntagResource", "DELETE", "/tags/arn%3Aaws%3Aapigateway%3Aus-east-1%3A%3A%2Fapis%2F{a}?tagKeys=k", nil, 204, ""},
		{"DeleteApiMapping", "DELETE", "/domainnames/{d}/apimappings/{map}", nil, 204, ""},
		{"DeleteDomainName", "DELETE", "/domainnames/{d}", nil, 204, ""},
		{"DeleteStage", "DELETE", "/apis/{a}/stages/{s}", nil, 204, ""},
		{"DeleteDeployment", "DELETE", "/apis/{a}/deployments/{dep}", nil, 204, ""},
		{"DeleteRouteResponse", "DELETE", "/apis/{a}/routes/{r}/routeresponses/{rr}", nil, 204, ""},
		{"DeleteRoute", "DELETE", "/apis/{a}/routes/{r}", nil, 204, ""},
		{"DeleteIntegrationResponse", "DELETE", "/apis/{a}/integrations/{i}/integrationresponses/{ir}", nil, 204, ""},
		{"DeleteIntegration", "DELETE", "/apis/{a}/integrations/{i}", nil, 204, ""},
		{"DeleteAuthorizer", "DELETE", "/apis/{a}/authorizers/{au}", nil, 204, ""},
		{"DeleteModel", "DELETE", "/apis/{a}/models/{m}", nil, 204, ""},
		{"DeleteApi", "DELETE", "/apis/{a}", nil, 204, ""},
	} {
		fill := func(text string) string {
			for name, id := range known {
				text = strings.ReplaceAll(text, "{"+name+"}", id)
			}
			return text
		}
		if body, ok := step.body.(document); ok {
			for name, value := range body {
				if text, ok := value.(string); ok {
					body[name] = fill(text)
				}
			}
		}
		a := c.do(step.method, fill(step.path), step.body)
		require.Equal(t, step.status, a.status, "%s: %s", step.operation, a.text)
		require.Regexp(t, `^[0-9a-f-]{36}$`, a.header["x-amzn-RequestId"][0]) //nolint:staticcheck // as the service writes it
		if step.status == http.StatusNoContent {
			require.Empty(t, a.text, step.operation)
		}
		if name, member, ok := strings.Cut(step.id, ":"); ok {
			known[name] = textOf(a.body, member)
			require.NotEmpty(t, known[name], step.operation)
		}
	}
}

// Operations that WebSocket APIs do not have are refused with their name.
func TestOperations_OfHTTPAPIs(t *testing.T) {
	t.Parallel()
	c := newClient(t, controlplane.Config{})
	api := c.api()
	for _, test := range []struct{ method, path, operation string }{
		{"PUT", "/apis", "ImportApi"},
		{"PUT", api, "ReimportApi"},
		{"GET", api + "/exports/OAS30", "ExportApi"},
		{"DELETE", api + "/cors", "DeleteCorsConfiguration"},
		{"DELETE", api + "/stages/prod/cache/authorizers", "ResetAuthorizersCache"},
		{"POST", "/vpclinks", "The operation on VPC links"},
		{"GET", "/vpclinks/abc", "The operation on VPC links"},
		{"GET", "/portals", "The operation on portals"},
		{"GET", "/domainnames/d/routingrules", "The operation on routing rules"},
	} {
		c.refused(400, "BadRequestException", test.operation+" is not supported for WEBSOCKET protocol Apis.", test.method, test.path, nil)
	}
	c.refused(404, "NotFoundException", "Invalid API identifier specified 123456789012:nope", "GET", "/apis/nope/exports/OAS30", nil)
	c.refused(400, "BadRequestException", "HTTP APIs are not supported by this gateway: ProtocolType must be WEBSOCKET",
		"POST", "/apis", document{"name": "n", "protocolType": "HTTP", "routeSelectionExpression": "x"})
	for _, unknown := range [][2]string{{"GET", "/"}, {"GET", "/nothing"}, {"PUT", api + "/routes"}, {"POST", api}, {"PATCH", "/apis"}, {"GET", api + "/nothing"}, {"GET", "/tags"}} {
		c.refused(404, "UnknownOperationException", "The API Gateway V2 API has no operation with this method and path", unknown[0], unknown[1], nil)
	}
}

// The answers to creates with the fewest members are those of the service, member by
// member. (Recording of the service; AWS CLI examples.)
func TestMinimalCreates(t *testing.T) {
	t.Parallel()
	c := newClient(t, controlplane.Config{})
	api := c.api()
	integration := c.mock(api)
	c.must(201, "POST", api+"/routes", document{"routeKey": "$default"})
	deployment := c.deployment(api)
	for _, test := range []struct {
		name, path string
		body, want document
	}{
		{"Api", "/apis", document{"name": "chat", "protocolType": "WEBSOCKET", "routeSelectionExpression": "$request.body.action"}, document{
			"apiEndpoint": "wss://{id}.execute-api.us-east-1.amazonaws.com", "apiId": "{id}", "apiKeySelectionExpression": "$request.header.x-api-key",
			"createdDate": "{date}", "disableExecuteApiEndpoint": false, "ipAddressType": "ipv4", "name": "chat", "protocolType": "WEBSOCKET",
			"routeSelectionExpression": "$request.body.action",
		}},
		{"Route", api + "/routes", document{"routeKey": "a", "target": "integrations/" + integration}, document{
			"apiKeyRequired": false, "authorizationType": "NONE", "routeId": "{id}", "routeKey": "a", "target": "integrations/" + integration,
		}},
		{"Integration/proxy", api + "/integrations", document{"integrationType": "AWS_PROXY", "integrationUri": "arn:f", "integrationMethod": "POST", "timeoutInMillis": 5000}, document{
			"connectionType": "INTERNET", "integrationId": "{id}", "integrationMethod": "POST", "integrationType": "AWS_PROXY", "integrationUri": "arn:f",
			"passthroughBehavior": "WHEN_NO_MATCH", "payloadFormatVersion": "1.0", "timeoutInMillis": number("5000"),
		}},
		{"Integration/mock", api + "/integrations", document{"integrationType": "MOCK"}, document{
			"connectionType": "INTERNET", "integrationId": "{id}", "integrationResponseSelectionExpression": "${integration.response.statuscode}",
			"integrationType": "MOCK", "passthroughBehavior": "WHEN_NO_MATCH", "payloadFormatVersion": "1.0", "timeoutInMillis": number("29000"),
		}},
		{"Integration/function", api + "/integrations", document{"integrationType": "AWS", "integrationUri": "arn:f"}, document{
			"connectionType": "INTERNET", "integrationId": "{id}", "integrationResponseSelectionExpression": "${integration.response.body.errorMessage}",
			"integrationMethod": "POST", "integrationUri": "arn:f",
			"integrationType": "AWS", "passthroughBehavior": "WHEN_NO_MATCH", "payloadFormatVersion": "1.0", "timeoutInMillis": number("29000"),
		}},
		{"Authorizer", api + "/authorizers", authorizerBody(document{"identitySource": []any{"route.request.header.Auth"}}), authorizerBody(document{
			"authorizerId": "{id}", "identitySource": []any{"route.request.header.Auth"},
		})},
		{"Model", api + "/models", document{"name": "m", "schema": "{}"}, document{"modelId": "{id}", "name": "m", "schema": "{}"}},
		{"Deployment", api + "/deployments", nil, document{"autoDeployed": false, "createdDate": "{date}", "deploymentId": "{id}", "deploymentStatus": "DEPLOYED"}},
		{"Stage", api + "/stages", document{"stageName": "prod", "deploymentId": deployment}, document{
			"createdDate": "{date}", "lastUpdatedDate": "{date}", "deploymentId": deployment, "stageName": "prod",
			"defaultRouteSettings": document{"dataTraceEnabled": false, "detailedMetricsEnabled": false, "loggingLevel": "OFF"},
			"routeSettings":        document{}, "stageVariables": document{}, "tags": document{},
		}},
		{"DomainName", "/domainnames", document{"domainName": "ws.example.com"}, document{"apiMappingSelectionExpression": "$request.basepath", "domainName": "ws.example.com"}},
		{"ApiMapping", "/domainnames/ws.example.com/apimappings", document{"apiId": strings.TrimPrefix(api, "/apis/"), "stage": "prod"}, document{
			"apiId": strings.TrimPrefix(api, "/apis/"), "apiMappingId": "{id}", "stage": "prod",
		}},
	} {
		created := c.must(201, "POST", test.path, test.body)
		id := ""
		for name, want := range test.want {
			if want == "{id}" {
				id = textOf(created, name)
				require.Regexp(t, `^([a-z0-9]{7}|[a-z0-9]{10})$`, id, test.name)
			}
		}
		for name, want := range test.want {
			switch want, _ := want.(string); {
			case want == "{date}":
				require.Regexp(t, isoDate, created[name], test.name)
				test.want[name] = created[name]
			case strings.Contains(want, "{id}"):
				test.want[name] = strings.ReplaceAll(want, "{id}", id)
			}
		}
		require.Equal(t, test.want, created, test.name)
	}
}
