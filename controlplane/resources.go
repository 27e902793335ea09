package controlplane

import (
	"math"
	"regexp"
)

// The patterns of the table.
var (
	stageName        = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)
	alphanumeric     = regexp.MustCompile(`^[a-zA-Z0-9]+$`)
	routeKey         = regexp.MustCompile(`^(\$connect|\$disconnect|\$default|[^$[:cntrl:]][^[:cntrl:]]*)$`)
	target           = regexp.MustCompile(`^integrations/[^/]+$`)
	responseKey      = regexp.MustCompile(`^(\$default|(?s:/.+/))$`)
	onlyDefault      = regexp.MustCompile(`^\$default$`)
	roleARN          = regexp.MustCompile(`^arn:[a-z0-9-]+:iam::([0-9]{12}:role/.+|\*:user/\*)$`)
	identitySource   = regexp.MustCompile(`^(route\.request\.(querystring|header)|stageVariables|context)\.[a-zA-Z0-9._-]+$`)
	routeParameter   = regexp.MustCompile(`^route\.request\.(header|querystring)\.[a-zA-Z0-9._$-]+$`)
	integrationInput = regexp.MustCompile(`^integration\.request\.(header|querystring|path)\.[a-zA-Z0-9._$-]+$`)
	mappingSource    = regexp.MustCompile(`^(route\.request\.(multivalue)?(header|querystring)\.[a-zA-Z0-9._$-]+|(stageVariables|context)\.[a-zA-Z0-9._$-]+|route\.request\.body(\.|\[)(?s:.+)|'(?s:.*)')$`)
	anyARN           = regexp.MustCompile(`^arn:`)
	variableName     = regexp.MustCompile(`^[A-Za-z0-9_]+$`)
	variableValue    = regexp.MustCompile(`^[A-Za-z0-9\-._~:/?#&=,]*$`)
	domainName       = regexp.MustCompile(`^(\*\.)?[a-zA-Z0-9]([a-zA-Z0-9.-]*[a-zA-Z0-9])?$`)
	mappingKey       = regexp.MustCompile(`^[a-zA-Z0-9$\-_.+!*'()/]*$`)
	payloadVersion   = regexp.MustCompile(`^[12]\.0$`)
)

const badIdentitySource = "Invalid request identity source expression: %s. The sources must be separated by comma, " +
	"and each source must be either a request parameter, matching 'route.request.querystring|header.[a-zA-Z0-9._-]+', " +
	"or a stage variable, matching 'stageVariables.[a-zA-Z0-9._-]+', or a context parameter, matching 'context.[a-zA-Z0-9._-]+'"

const badMapping = "Invalid mapping expression specified: Validation Result: warnings : [], errors : [Invalid mapping expression specified: %s]"

// resources returns the rows of the table. (SDK model of API Gateway V2, version
// 2018-11-29; the defaults are those that the service has been seen to answer.)
func resources() []*resource {
	return []*resource{
		apiRow(), routeRow(), routeResponseRow(), integrationRow(), integrationResponseRow(),
		authorizerRow(), modelRow(), deploymentRow(), stageRow(), domainNameRow(), apiMappingRow(),
	}
}

func tags() field {
	return field{name: "tags", kind: textMap, immutable: true, most: 50, keys: regexp.MustCompile(`^(?s:.{1,128})$`), each: &field{most: 256}}
}

func description() field { return field{name: "description", most: 1024} }

func apiRow() *resource {
	return &resource{
		name: "Api", path: "apis/{apiId}", then: ofDraft,
		missing: "Invalid API identifier specified %[1]s:%[2]s",
		fields: []field{
			{name: "protocolType", required: true, immutable: true, values: []string{"HTTP", "WEBSOCKET"}, says: "Invalid protocol specified. Must be one of [HTTP, WEBSOCKET]", refused: map[string]string{
				"HTTP": "HTTP APIs are not supported by this gateway: ProtocolType must be WEBSOCKET",
			}},
			{name: "name", required: true, least: 1, most: 128},
			{name: "routeSelectionExpression", required: true, least: 1, most: 1024},
			{name: "apiKeySelectionExpression", defaultValue: "$request.header.x-api-key", values: []string{"$request.header.x-api-key", "$context.authorizer.usageIdentifierKey"}},
			description(),
			{name: "version", most: 64},
			{name: "disableExecuteApiEndpoint", kind: boolean, defaultValue: false},
			{name: "disableSchemaValidation", kind: boolean, hidden: true},
			{name: "ipAddressType", defaultValue: "ipv4", values: []string{"ipv4", "dualstack"}},
			tags(),
			{name: "corsConfiguration", kind: object, onlyHTTP: true},
			{name: "credentialsArn", onlyHTTP: true},
			{name: "routeKey", onlyHTTP: true},
			{name: "target", onlyHTTP: true},
			{name: "createdDate", readOnly: true},
		},
		refuse: []rule{apiIsMapped},
		also:   discardStages,
		shown:  showAPI,
	}
}

func routeRow() *resource {
	return &resource{
		name: "Route", path: "apis/{apiId}/routes/{routeId}", then: ofDraft, most: 300,
		missing: "Invalid route identifier specified",
		fields: []field{
			{name: "routeKey", required: true, least: 1, most: 128, pattern: routeKey, says: "Invalid route key specified: %s. Only the keys $connect, $disconnect and $default may start with $"},
			{name: "authorizationType", defaultValue: "NONE", values: []string{"NONE", "AWS_IAM", "CUSTOM"}},
			{name: "authorizerId", most: 64},
			{name: "authorizationScopes", kind: list, onlyHTTP: true},
			{name: "apiKeyRequired", kind: boolean, defaultValue: false},
			{name: "target", most: 128, pattern: target, says: "Invalid target specified"},
			{name: "operationName", most: 64},
			{name: "modelSelectionExpression", most: 1024},
			{name: "requestModels", kind: textMap, each: &field{least: 1, most: 128}},
			{name: "requestParameters", kind: objectMap, keys: routeParameter, fields: []field{{name: "required", kind: boolean}}},
			{name: "routeResponseSelectionExpression", pattern: onlyDefault, says: "Invalid RouteResponseSelectionExpression specified: %s. Only $default is supported"},
		},
		rules: []rule{routeIsUnique, authorizationOnConnect, authorizerExists, targetExists, parametersOnConnect, modelsExist("requestModels")},
	}
}

func routeResponseRow() *resource {
	return &resource{
		name: "RouteResponse", path: "apis/{apiId}/routes/{routeId}/routeresponses/{routeResponseId}", then: ofDraft,
		missing: "Invalid RouteResponse identifier specified",
		fields: []field{
			{name: "routeResponseKey", required: true, pattern: onlyDefault, says: "Invalid RouteResponseKey specified: %s. Only $default is supported"},
			{name: "modelSelectionExpression", most: 1024},
			{name: "responseModels", kind: textMap, each: &field{least: 1, most: 128}},
			{name: "responseParameters", kind: objectMap, fields: []field{{name: "required", kind: boolean}}},
		},
		rules: []rule{responseIsUnique("routeResponseKey", "Route response with key %s already exists for this Route"), modelsExist("responseModels")},
	}
}

func integrationRow() *resource {
	return &resource{
		name: "Integration", path: "apis/{apiId}/integrations/{integrationId}", then: ofDraft, most: 300,
		missing: "Invalid Integration identifier specified",
		fields: []field{
			{name: "integrationType", required: true, values: []string{"AWS", "AWS_PROXY", "HTTP", "HTTP_PROXY", "MOCK"}},
			{name: "integrationUri", most: 2048},
			{name: "integrationMethod", most: 64},
			{name: "connectionType", defaultValue: "INTERNET", values: []string{"INTERNET", "VPC_LINK"}},
			{name: "connectionId", most: 1024},
			{name: "contentHandlingStrategy", values: []string{"CONVERT_TO_BINARY", "CONVERT_TO_TEXT"}},
			{name: "credentialsArn", pattern: roleARN, says: "Invalid role ARN"},
			description(),
			{name: "passthroughBehavior", defaultValue: "WHEN_NO_MATCH", values: []string{"WHEN_NO_MATCH", "NEVER", "WHEN_NO_TEMPLATES"}},
			{name: "payloadFormatVersion", defaultValue: "1.0", pattern: payloadVersion, says: "Invalid PayloadFormatVersion specified: %s. Must be 1.0 for WEBSOCKET protocol Apis."},
			{name: "requestParameters", kind: textMap, merges: true, keys: integrationInput, each: &field{most: 512, pattern: mappingSource, says: badMapping}},
			{name: "requestTemplates", kind: textMap, each: &field{most: 32768}},
			{name: "templateSelectionExpression", most: 1024},
			{name: "timeoutInMillis", kind: integer, defaultValue: jsonNumber(29000), least: 50, most: 29000},
			{name: "responseParameters", kind: objectMap, onlyHTTP: true},
			{name: "tlsConfig", kind: object, onlyHTTP: true},
			{name: "integrationSubtype", onlyHTTP: true},
		},
		rules:  []rule{integrationIsComplete, payloadIsOne},
		refuse: []rule{integrationIsUsed},
		shown:  showSelection,
	}
}

func integrationResponseRow() *resource {
	return &resource{
		name: "IntegrationResponse", path: "apis/{apiId}/integrations/{integrationId}/integrationresponses/{integrationResponseId}", then: ofDraft,
		missing: "Invalid IntegrationResponse identifier specified",
		fields: []field{
			{name: "integrationResponseKey", required: true, most: 1024, pattern: responseKey, says: "Invalid IntegrationResponseKey specified: %s. It must be $default or a regular expression between slashes"},
			{name: "contentHandlingStrategy", values: []string{"CONVERT_TO_BINARY", "CONVERT_TO_TEXT"}},
			{name: "responseParameters", kind: textMap, each: &field{most: 512}},
			{name: "responseTemplates", kind: textMap, each: &field{most: 32768}},
			{name: "templateSelectionExpression", most: 1024},
		},
		rules: []rule{responseIsUnique("integrationResponseKey", "Integration response with key %s already exists for this Integration")},
	}
}

func authorizerRow() *resource {
	return &resource{
		name: "Authorizer", path: "apis/{apiId}/authorizers/{authorizerId}", then: ofDraft, most: 10,
		missing: "Invalid Authorizer identifier specified",
		fields: []field{
			{name: "authorizerType", required: true, values: []string{"REQUEST"}, says: "Invalid authorizer type. Only REQUEST authorizer type is supported on WEBSOCKET protocol Apis."},
			{name: "authorizerPayloadFormatVersion", onlyHTTP: true},
			{name: "authorizerResultTtlInSeconds", kind: integer, onlyHTTP: true},
			{name: "enableSimpleResponses", kind: boolean, onlyHTTP: true},
			{name: "jwtConfiguration", kind: object, onlyHTTP: true},
			{name: "name", required: true, least: 1, most: 128},
			{name: "authorizerUri", required: true, least: 1, most: 2048},
			{name: "identitySource", kind: list, most: 50, each: &field{most: 1024, pattern: identitySource, says: badIdentitySource}},
			{name: "identityValidationExpression", most: 1024, notEmpty: "IdentityValidationExpression must not be empty."},
			{name: "authorizerCredentialsArn", pattern: roleARN, says: "Invalid role ARN", notEmpty: "Invalid role ARN"},
		},
		rules:  []rule{expressionCompiles},
		refuse: []rule{authorizerIsUsed},
	}
}

func modelRow() *resource {
	return &resource{
		name: "Model", path: "apis/{apiId}/models/{modelId}", then: ofDraft,
		missing: "Invalid Model identifier specified",
		fields: []field{
			{name: "name", required: true, least: 1, most: 128, pattern: alphanumeric, says: "Invalid model name specified: %s. It must have only letters and digits"},
			{name: "schema", required: true, most: 32768},
			{name: "contentType", most: 256},
			description(),
		},
		rules: []rule{modelIsUnique},
	}
}

func deploymentRow() *resource {
	return &resource{
		name: "Deployment", path: "apis/{apiId}/deployments/{deploymentId}",
		missing: "Invalid Deployment identifier specified",
		fields: []field{
			description(),
			{name: "stageName", immutable: true, transient: true, most: 128},
			{name: "createdDate", readOnly: true},
			{name: "deploymentStatus", readOnly: true},
			{name: "deploymentStatusMessage", readOnly: true},
			{name: "autoDeployed", kind: boolean, readOnly: true},
		},
		rules:  []rule{freeze},
		refuse: []rule{deploymentIsUsed},
		also:   func(c *change) error { return c.w.Delete(snapshotKey(c.ids["apiId"], c.ids["deploymentId"])) },
	}
}

func routeSettings() []field {
	return []field{
		{name: "dataTraceEnabled", kind: boolean},
		{name: "detailedMetricsEnabled", kind: boolean},
		{name: "loggingLevel", values: []string{"ERROR", "INFO", "OFF"}, lenient: true},
		{name: "throttlingBurstLimit", kind: integer, most: math.MaxInt32},
		{name: "throttlingRateLimit", kind: number},
	}
}

// defaultRouteSettings are the settings with the defaults that the service answers.
func defaultRouteSettings() field {
	settings := routeSettings()
	settings[0].defaultValue = false
	settings[1].defaultValue = false
	settings[2].defaultValue = "OFF"
	return field{name: "defaultRouteSettings", kind: object, merges: true, defaultValue: map[string]any{}, fields: settings}
}

func stageRow() *resource {
	return &resource{
		name: "Stage", path: "apis/{apiId}/stages/{stageName}", named: true, then: ofStage, most: 10,
		missing: "Invalid stage identifier specified",
		exists:  "Stage already exists",
		fields: []field{
			{name: "stageName", required: true, immutable: true, least: 1, most: 128, pattern: stageName, says: "Invalid stage name specified: %s. Stage names have only letters, digits, - and _"},
			{name: "deploymentId", most: 64},
			{name: "autoDeploy", kind: boolean},
			description(),
			{name: "stageVariables", kind: textMap, merges: true, defaultValue: map[string]any{}, most: 100, keys: variableName, each: &field{most: 2048, pattern: variableValue, says: "Invalid value of a stage variable: it must match [A-Za-z0-9-._~:/?#&=,]+"}},
			defaultRouteSettings(),
			{name: "routeSettings", kind: objectMap, merges: true, defaultValue: map[string]any{}, fields: routeSettings()},
			{name: "accessLogSettings", kind: object, fields: []field{
				{name: "destinationArn", most: 2048, pattern: anyARN, says: "Invalid ARN specified in the request. ARNs must start with 'arn:': %s"},
				{name: "format", most: 3072},
			}},
			{name: "clientCertificateId", most: 1024},
			withDefault(tags(), map[string]any{}),
			{name: "createdDate", readOnly: true},
			{name: "lastUpdatedDate", readOnly: true},
			{name: "lastDeploymentStatusMessage", readOnly: true},
		},
		rules:  []rule{deploymentOfStage, settingsOfRoutes, formatOfLogs},
		refuse: []rule{stageIsMapped},
	}
}

func withDefault(f field, value any) field {
	f.defaultValue = value
	return f
}

func domainNameRow() *resource {
	return &resource{
		name: "DomainName", path: "domainnames/{domainName}", named: true, then: ofDomain, most: 120,
		missing: "The domain name resource specified in the request was not found.",
		exists:  "The domain name resource already exists.",
		fields: []field{
			{name: "domainName", required: true, immutable: true, least: 1, most: 512, pattern: domainName, says: "Invalid domain name specified: %s"},
			{name: "domainNameConfigurations", kind: list, most: 2, fields: []field{
				{name: "certificateArn", most: 2048},
				{name: "certificateName", most: 128},
				{name: "endpointType", defaultValue: "REGIONAL", values: []string{"REGIONAL", "EDGE"}},
				{name: "securityPolicy", defaultValue: "TLS_1_2", values: []string{"TLS_1_0", "TLS_1_2"}},
				{name: "ipAddressType", values: []string{"ipv4", "dualstack"}},
				{name: "ownershipVerificationCertificateArn", most: 2048},
				{name: "apiGatewayDomainName", readOnly: true},
				{name: "hostedZoneId", readOnly: true},
				{name: "domainNameStatus", readOnly: true},
				{name: "domainNameStatusMessage", readOnly: true},
				{name: "certificateUploadDate", readOnly: true},
			}},
			{name: "mutualTlsAuthentication", kind: object, onlyHTTP: true},
			{name: "routingMode", values: []string{"API_MAPPING_ONLY", "ROUTING_RULE_ONLY", "ROUTING_RULE_THEN_API_MAPPING"}},
			tags(),
			{name: "apiMappingSelectionExpression", readOnly: true},
		},
		rules: []rule{domainIsUnique, domainHasAddress},
	}
}

func apiMappingRow() *resource {
	return &resource{
		name: "ApiMapping", path: "domainnames/{domainName}/apimappings/{apiMappingId}", then: ofDomain, most: 300,
		missing: "The api mapping resource specified in the request was not found.",
		fields: []field{
			{name: "apiId", required: true, least: 1, most: 64},
			{name: "stage", required: true, least: 1, most: 128},
			{name: "apiMappingKey", most: 300, pattern: mappingKey, says: "Invalid API mapping key specified: %s. It may have letters, digits, / and $-_.+!*'()"},
		},
		rules: []rule{mappingKeyIsPath, mappedStageExists, mappingIsUnique},
	}
}
