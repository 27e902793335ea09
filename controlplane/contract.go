// Package controlplane answers the apigatewayv2 REST API for WebSocket APIs, and serves the
// stages that it makes.
package controlplane

import "example.com/gateway"

// Config says how a Server answers.
type Config struct {
	// Functions finds the functions that integrations and authorizers name. nil means
	// that there are none: every call of a function fails.
	Functions FunctionResolver
	// VPCLinks are the base URLs behind VPC links, by the connection ID of the
	// integration: "http://127.0.0.1:8080". Scheme and host of the integration's URI are
	// replaced by it.
	VPCLinks map[string]string
	// Region and AccountID are those of ARNs. "" means us-east-1 and 123456789012.
	Region, AccountID string
	// Endpoint is the base of apiEndpoint: "ws://127.0.0.1:4567".
	Endpoint string
	// Hosts are names that the Host header of a request may have, without a port, in
	// addition to those of Endpoint and of this machine: localhost and loopback addresses.
	// Each is a suffix of default endpoints, too:
	// {API ID}.execute-api.{region}.{suffix}.
	Hosts []string
	// TLSPort is the port at which the Server is served with TLS, for the domain name in
	// events: functions put https:// before it. 0 means that the domain name is the Host
	// header of the client.
	TLSPort int
	// Auth decides who may call @connections, and, if it is a [gateway.Authorizer], too,
	// as *iam.Auth is, who may connect to a route with the authorization type AWS_IAM. nil
	// means that callers on this machine may call @connections, and that nobody may
	// connect to such a route.
	Auth gateway.ManagementAuth
	// Gateway are options of all stages. With [gateway.WithUsageStore] they have API keys.
	Gateway []gateway.Option
}

// document is a resource as its JSON object. Numbers are json.Number. A member that is
// not there is absent, and never null.
type document = map[string]any

// snapshot is what a deployment freezes of an API.
type snapshot struct {
	API                  document              `json:"api"`
	Routes               []document            `json:"routes"`
	RouteResponses       map[string][]document `json:"routeResponses"` // by routeId
	Integrations         []document            `json:"integrations"`
	IntegrationResponses map[string][]document `json:"integrationResponses"` // by integrationId
	Authorizers          []document            `json:"authorizers"`
	Models               []document            `json:"models"`
}
