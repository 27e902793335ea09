package gatewaytest

import (
	"strings"

	"example.com/gateway"
	"example.com/gateway/managementclient"
)

// Management returns a client of the management API at [Server.ManagementURL], as a
// backend that calls it over HTTP. What the service does not have, such as PostTo, needs a
// Gateway with [gateway.WithManagementExtensions]. An answer other than 2xx is a
// *[managementclient.Error], which matches the error that the Gateway itself returns, such as
// [gateway.ErrGone]: see [managementclient.Client], also for the one difference.
//
// The calls are not signed. To test signed calls, use an AWS SDK with
// [Server.ManagementURL] as its endpoint and [Service.HTTPClient] as its HTTP client, and
// give the Gateway its [gateway.WithManagementAuth].
func (s *Server) Management() gateway.ConnectionsAPI { return s.ManagementAt(s.path) }

// ManagementURL returns the endpoint for an AWS client: http://…/test, without
// /@connections. Over TCP any client reaches it, in memory only [Service.HTTPClient]: give
// that to the AWS client as its HTTPClient.
func (s *Server) ManagementURL() string { return s.HTTPURL() + s.path }

// ManagementAt is [Server.Management] for a handler of your own. path is where it
// serves @connections: "/prod", if that is /prod/@connections/. These calls are not signed
// either; the endpoint of an AWS SDK is [Service.HTTPURL] and path.
func (s *Service) ManagementAt(path string) gateway.ConnectionsAPI {
	return &managementclient.Client{Endpoint: s.HTTPURL() + strings.TrimSuffix(path, "/"), HTTPClient: s.HTTPClient()}
}
