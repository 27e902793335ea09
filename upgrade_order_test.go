package gateway_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
	"example.com/gateway/gatewaytest"
	"example.com/gateway/usageplan"
)

// An upgrade that is wrong in every way is refused for the first; each mistake
// that is mended shows the next. Messages go through theirs likewise.
func TestUpgrade_StepsInOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		plans, err := usageplan.New(usageplan.Plan{
			ID: "p", APIKeys: map[string]string{"ann": annsKey, "bob": bobsKey},
			Quota: usageplan.Quota{Limit: 2, Period: usageplan.Day},
		})
		require.NoError(t, err)
		srv := gatewaytest.New(t,
			gateway.WithQuotas(gateway.Quotas{NewConnections: gateway.Throttle{RateLimit: 0.001, BurstLimit: 8}, ConnectionsPerSourceIP: 1}),
			gateway.WithUsagePlans(plans))
		blocker := srv.Dial(t, gatewaytest.SourceIP("192.0.2.1")) // takes one of eight
		authorized := gateway.ErrUnauthorized
		deploy := func(throttle gateway.Throttle) {
			require.NoError(t, srv.Deploy(gateway.Deployment{Routes: []gateway.Route{{
				RouteKey: gateway.RouteKeyConnect, APIKeyRequired: true, Throttle: throttle,
				Authorizer: gateway.AuthorizerFunc(func(context.Context, *gateway.Request) (*gateway.Authorization, error) {
					return &gateway.Authorization{}, authorized
				}),
				RequestParameters: map[string]bool{"route.request.querystring.room": true},
				Integration:       &gateway.MockIntegration{StatusCode: http.StatusTeapot},
			}}}))
		}
		deploy(gateway.Throttle{RateLimit: 0.001, BurstLimit: 1})

		from := gatewaytest.SourceIP("192.0.2.1")
		long := gatewaytest.Header("X-Long", strings.Repeat("x", 20_000))
		foreign := gatewaytest.Header("Origin", "https://evil.example")
		key, room := apiKey(annsKey), gatewaytest.Query("room", "42")
		requireRefused(t, srv, 431, `"Request Header Fields Too Large"`, from, long, foreign)
		requireRefused(t, srv, 403, `"Forbidden"`, from, foreign)
		requireRefused(t, srv, 429, `"Too Many Requests"`, from) // for the connections of the source
		blocker.Close(1000, "")
		synctest.Wait()
		requireRefused(t, srv, 401, `"Unauthorized"`, from)
		authorized = nil
		requireRefused(t, srv, 403, `"Forbidden"`, from)                                        // no key
		requireRefused(t, srv, 400, `"Missing required request parameters: [room]"`, from, key) // it has taken the only token of the route
		requireRefused(t, srv, 429, `"Too Many Requests"`, from, key, room)                     // which costs no quota
		deploy(gateway.Throttle{})                                                              // none
		_, refused := srv.TryDial(t, from, key, room)                                           // the quota's last
		require.Equal(t, http.StatusTeapot, refused.StatusCode, "the integration is asked at the end")
		requireRefused(t, srv, 429, `"Limit Exceeded"`, from, key)                      // before the parameters are looked at
		requireRefused(t, srv, 429, `"Too Many Requests"`, from, apiKey(bobsKey), room) // the ninth new connection
		require.Len(t, srv.Events(), 1)
	})
}
