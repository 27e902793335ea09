package selection

import "fmt"

// Kind says which property of the API has the expression as its value. It decides
// which variables the expression may use:
//
//	kind                       value of                                           may use
//	Route                      Api.RouteSelectionExpression                       request.body, literals
//	APIKey                     Api.ApiKeySelectionExpression                      fixed: request.header.x-api-key or
//	                                                                              context.authorizer.usageIdentifierKey
//	Model                      Route.ModelSelectionExpression                     request.body, literals
//	RouteResponse              Route.RouteResponseSelectionExpression             fixed: $default
//	RequestTemplate            Integration.TemplateSelectionExpression            request.body, literals
//	LambdaIntegrationResponse  Integration.IntegrationResponseSelectionExpression fixed: integration.response.body.errorMessage
//	{HTTP,Mock}Integration…    the same                                           fixed: integration.response.statuscode
//	ResponseTemplate           IntegrationResponse.TemplateSelectionExpression    request.body, integration.response.statuscode,
//	                                                                              .header, .multivalueheader, literals
//	APIMapping                 ApiMappingSelectionExpression                      fixed: request.basepath
//
// There are no kinds for the integration response of a proxy integration and for the
// model of a route response, because the service has neither.
type Kind uint8

// The kinds.
const (
	Route Kind = iota
	APIKey
	Model
	RouteResponse
	RequestTemplate
	LambdaIntegrationResponse
	HTTPIntegrationResponse
	MockIntegrationResponse
	ResponseTemplate
	APIMapping
)

// The variables. After one that ends in ".", the name of a header follows.
const (
	varRequestBody      = "request.body" // a JSONPath follows
	varAPIKeyHeader     = "request.header.x-api-key"
	varDefault          = "default" // no variable, but it is written like one
	varBasePath         = "request.basepath"
	varUsageIdentifier  = "context.authorizer.usageIdentifierKey"
	varErrorMessage     = "integration.response.body.errorMessage"
	varStatusCode       = "integration.response.statuscode"
	varStatusCodeShort  = "response.statuscode" // the same, as the guide spells it in sample outputs
	varHeader           = "integration.response.header."
	varMultiValueHeader = "integration.response.multivalueheader."
)

// headerNameCharacters are the characters of a token in RFC 9110, section 5.6.2.
const headerNameCharacters = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

// rules returns the kind's name with its article and the variables it may use.
// If fixed, one of these variables is the whole expression.
func (k Kind) rules() (name string, variables []string, fixed bool) {
	switch k {
	case Route:
		return "a route selection expression", []string{varRequestBody}, false
	case APIKey:
		return "an API key selection expression", []string{varAPIKeyHeader, varUsageIdentifier}, true
	case Model:
		return "a model selection expression", []string{varRequestBody}, false
	case RouteResponse:
		return "a route response selection expression", []string{varDefault}, true
	case RequestTemplate:
		return "a template selection expression", []string{varRequestBody}, false
	case LambdaIntegrationResponse:
		return "an integration response selection expression (Lambda)", []string{varErrorMessage}, true
	case HTTPIntegrationResponse:
		return "an integration response selection expression (HTTP)", []string{varStatusCode, varStatusCodeShort}, true
	case MockIntegrationResponse:
		return "an integration response selection expression (MOCK)", []string{varStatusCode, varStatusCodeShort}, true
	case ResponseTemplate:
		return "a response template selection expression", []string{varRequestBody, varStatusCode, varHeader, varMultiValueHeader}, false
	case APIMapping:
		return "an API mapping selection expression", []string{varBasePath}, true
	default:
		return fmt.Sprintf("selection expression kind %d", k), nil, true
	}
}
