package definition

// fieldType says how a property becomes a field of the REST API.
type fieldType int

const (
	textField         fieldType = iota
	integerField                // a number without a fraction, or its text
	numberField                 //
	boolField                   //
	textsField                  // a list of texts
	textMapField                // a map of texts
	schemaField                 // JSON, or its text; the field is text
	settingsField               // a map with known keys: see settingsOf
	settingsMapField            // a map of such maps: {"$connect": {…}}
	settingsListField           // a list of such maps
	parameterMapField           // {"route.request.header.X": {Required: true}}
	tagsField                   // a map of texts, or a list of Key and Value
	jsonField                   // anything, as it is
	pathField                   // part of the path of the call, not of its body
	ignoredField                // harmless: a note says so
	refusedField                // only for HTTP APIs
)

// property is a property of a type of CloudFormation.
type property struct {
	name     string
	typ      fieldType
	required bool
}

// field returns the name of the field of the REST API.
func (p property) field() string { return lowerFirst(p.name) }

func required(p property) property { p.required = true; return p }

func texts(names ...string) []property  { return ofType(textField, names...) }
func bools(names ...string) []property  { return ofType(boolField, names...) }
func others(names ...string) []property { return ofType(ignoredField, names...) }

func ofType(typ fieldType, names ...string) []property {
	all := make([]property, len(names))
	for i, name := range names {
		all[i] = property{name: name, typ: typ}
	}
	return all
}

func join(lists ...[]property) []property {
	var all []property
	for _, l := range lists {
		all = append(all, l...)
	}
	return all
}

func need(typ fieldType, names ...string) []property {
	all := ofType(typ, names...)
	for i := range all {
		all[i] = required(all[i])
	}
	return all
}

// schemaOf returns the properties of a type of AWS::ApiGatewayV2, or nil. Sources: the
// resource reference of CloudFormation and the REST API's reference.
func schemaOf(typ string) []property {
	switch typ {
	case typeAPI:
		return join(need(textField, "Name", "ProtocolType", "RouteSelectionExpression"),
			texts("ApiKeySelectionExpression", "Description", "IpAddressType", "Version"),
			bools("DisableExecuteApiEndpoint", "DisableSchemaValidation"), ofType(tagsField, "Tags"),
			ofType(refusedField, "Body", "BodyS3Location", "CorsConfiguration", "CredentialsArn", "RouteKey", "Target"),
			others("BasePath", "FailOnWarnings"))
	case typeRoute:
		return join(need(pathField, "ApiId"), need(textField, "RouteKey"),
			texts("AuthorizationType", "AuthorizerId", "ModelSelectionExpression", "OperationName", "RouteResponseSelectionExpression", "Target"),
			bools("ApiKeyRequired"), ofType(textMapField, "RequestModels"), ofType(parameterMapField, "RequestParameters"),
			others("AuthorizationScopes"))
	case typeResponse:
		return join(need(pathField, "ApiId", "RouteId"), need(textField, "RouteResponseKey"), texts("ModelSelectionExpression"),
			ofType(textMapField, "ResponseModels"), ofType(parameterMapField, "ResponseParameters"))
	case typeIntegration:
		return join(need(pathField, "ApiId"), need(textField, "IntegrationType"),
			texts("ConnectionId", "ConnectionType", "ContentHandlingStrategy", "CredentialsArn", "Description", "IntegrationMethod",
				"IntegrationUri", "PassthroughBehavior", "PayloadFormatVersion", "TemplateSelectionExpression"),
			ofType(textMapField, "RequestParameters", "RequestTemplates"), ofType(integerField, "TimeoutInMillis"),
			ofType(refusedField, "IntegrationSubtype", "TlsConfig", "ResponseParameters"))
	case typeIntResponse:
		return join(need(pathField, "ApiId", "IntegrationId"), need(textField, "IntegrationResponseKey"),
			texts("ContentHandlingStrategy", "TemplateSelectionExpression"), ofType(textMapField, "ResponseParameters", "ResponseTemplates"))
	case typeAuthorizer:
		return join(need(pathField, "ApiId"), need(textField, "AuthorizerType", "Name"),
			texts("AuthorizerCredentialsArn", "AuthorizerUri", "IdentityValidationExpression"), ofType(textsField, "IdentitySource"),
			ofType(refusedField, "AuthorizerPayloadFormatVersion", "AuthorizerResultTtlInSeconds", "EnableSimpleResponses", "JwtConfiguration"))
	default:
		return schemaOfStages(typ)
	}
}

func schemaOfStages(typ string) []property {
	switch typ {
	case typeModel:
		return join(need(pathField, "ApiId"), need(textField, "Name"), need(schemaField, "Schema"), texts("ContentType", "Description"))
	case typeDeployment:
		return join(need(pathField, "ApiId"), texts("Description", "StageName"))
	case typeStage:
		return join(need(pathField, "ApiId"), need(textField, "StageName"), texts("ClientCertificateId", "DeploymentId", "Description"),
			bools("AutoDeploy"), ofType(settingsField, "AccessLogSettings", "DefaultRouteSettings"),
			ofType(settingsMapField, "RouteSettings"), ofType(textMapField, "StageVariables"), ofType(tagsField, "Tags"),
			others("AccessPolicyId"))
	case typeDomain:
		return join(need(textField, "DomainName"), texts("RoutingMode"), ofType(settingsListField, "DomainNameConfigurations"),
			ofType(settingsField, "MutualTlsAuthentication"), ofType(tagsField, "Tags"))
	case typeMapping:
		return join(need(pathField, "DomainName"), need(textField, "ApiId", "Stage"), texts("ApiMappingKey"))
	default:
		return nil
	}
}

// settingsOf returns the keys of the maps that are the value of a property.
func settingsOf(name string) []property {
	switch name {
	case "AccessLogSettings":
		return texts("DestinationArn", "Format")
	case "DefaultRouteSettings", "RouteSettings":
		return join(bools("DataTraceEnabled", "DetailedMetricsEnabled"), texts("LoggingLevel"),
			ofType(integerField, "ThrottlingBurstLimit"), ofType(numberField, "ThrottlingRateLimit"))
	case "DomainNameConfigurations":
		return texts("CertificateArn", "CertificateName", "EndpointType", "IpAddressType", "OwnershipVerificationCertificateArn", "SecurityPolicy")
	case "MutualTlsAuthentication":
		return texts("TruststoreUri", "TruststoreVersion")
	default:
		return bools("Required")
	}
}

func lowerFirst(name string) string {
	if name == "" || name[0] < 'A' || name[0] > 'Z' {
		return name
	}
	return string(name[0]+'a'-'A') + name[1:]
}
