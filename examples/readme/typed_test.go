package readme

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
	"example.com/gateway/gatewaytest"
)

type Order struct {
	Item  string `json:"item"`
	Count int    `json:"count"`
}

// Validate, if there is one, decides after decoding. The client sees what it returns.
func (o *Order) Validate() error {
	if o.Count < 1 {
		return &gateway.FieldError{Field: "/count", Message: "want at least 1"}
	}
	return nil
}

type Receipt struct {
	Total int `json:"total"`
}

func placeOrder(ctx context.Context, req *gateway.Request, in Order) (Receipt, error) {
	price, err := priceOf(ctx, in.Item) // an error with a method PublicError is told to the client; any other is not
	return Receipt{Total: price * in.Count}, err
}

func handleOrders(gw *gateway.Gateway) {
	gw.Handle("order", gateway.JSON(placeOrder), gateway.WithRouteResponse())
}

// soldOutError is an error that the client may know.
type soldOutError struct{}

func (soldOutError) Error() string { return "sold out" }

func (soldOutError) PublicError() (code, message string) { return "SoldOut", "Sold out" }

func priceOf(_ context.Context, item string) (int, error) {
	if item != "tea" {
		return 0, soldOutError{}
	}
	return 5, nil
}

func TestTypedHandlers(t *testing.T) {
	t.Parallel()
	srv := gatewaytest.New(t)
	handleOrders(srv.Gateway)
	c := srv.Dial(t)
	c.Send(`{"action":"order","item":"tea","count":2}`)
	require.Equal(t, `{"total":10}`, c.Receive())
	c.Send(`{"action":"order","item":"tea"}`)
	require.Contains(t, c.Receive(), `"errors":[{"field":"/count","message":"want at least 1"}]`)
	c.Send(`{"action":"order","item":"rum","count":1}`)
	require.Contains(t, c.Receive(), `"Sold out"`)
	c.Send(`{"action":"order","itme":"tea","count":"two"}`)
	require.Contains(t, c.Receive(), `"errors":[{"field":"/itme","message":"unknown field"},{"field":"/count","message":"want integer, got string"}]`)
}
