package gateway_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
	"example.com/gateway/gatewaytest"
)

// Wherever a selection expression is refused, the error says which place in the
// expression is wrong.
func TestSelectionExpressionError(t *testing.T) {
	t.Parallel()
	const expression = "$request.boddy.x"
	deploy := func(r gateway.Route) error {
		return gatewaytest.New(t).Gateway.Deploy(gateway.Deployment{Routes: []gateway.Route{r}})
	}
	for name, refused := range map[string]func() error{
		"New": func() error {
			_, err := gateway.New(gateway.WithRouteSelectionExpression(expression))
			return err
		},
		"WithAPIKeySelectionExpression": func() error {
			_, err := gateway.New(gateway.WithAPIKeySelectionExpression(expression))
			return err
		},
		"Deploy": func() error {
			return gatewaytest.New(t).Gateway.Deploy(gateway.Deployment{RouteSelectionExpression: expression})
		},
		"a model": func() error {
			return deploy(gateway.Route{RouteKey: "x", Integration: &gateway.MockIntegration{}, ModelSelectionExpression: expression})
		},
		"a template": func() error {
			return deploy(gateway.Route{RouteKey: "x", Integration: &gateway.MockIntegration{
				Transform: &gateway.Transform{TemplateSelectionExpression: expression},
			}})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := refused()
			require.ErrorIs(t, err, gateway.ErrInvalidOption)
			var where *gateway.SelectionExpressionError
			require.ErrorAs(t, err, &where)
			require.Equal(t, expression, where.Expression)
			require.Equal(t, 9, where.Position)
			require.Equal(t, `selection expression "$request.boddy.x": position 9: `+where.Reason, where.Error())
			requireInvalid(t, err, where.Error())
		})
	}
}
