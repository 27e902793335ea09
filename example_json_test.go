package gateway_test

import (
	"context"
	"fmt"
	"log"
	"net/http/httptest"
	"strings"

	"example.com/gateway"
)

// quote is a message of a client.
type quote struct {
	Item  string `json:"item"`
	Count int    `json:"count"`
}

// Validate says what the client has to know of a quote that makes no sense.
func (q *quote) Validate() error {
	if q.Count < 1 {
		return &gateway.FieldError{Field: "/count", Message: "want at least 1"}
	}
	return nil
}

// price is the answer.
type price struct {
	Cents int `json:"cents"`
}

// A typed handler takes and returns Go values. What does not fit is answered for it, and the
// client learns what it is.
func ExampleJSON() {
	gw, err := gateway.New()
	if err != nil {
		log.Fatal(err)
	}
	defer gw.Close()
	gw.Handle("quote", gateway.JSON(func(_ context.Context, _ *gateway.Request, in quote) (price, error) {
		return price{Cents: 250 * in.Count}, nil
	}), gateway.WithRouteResponse())

	srv := httptest.NewServer(gw.Handler())
	defer srv.Close()
	c, _ := dial(srv.URL)
	defer c.close(1000, "")
	c.send(`{"action":"quote","item":"tea","count":2}`)
	fmt.Println(c.receive())
	for _, wrong := range []string{`{"action":"quote","itme":"tea","count":"two"}`, `{"action":"quote","item":"tea"}`} {
		c.send(wrong)
		_, problems, _ := strings.Cut(c.receive(), `"errors":`)
		fmt.Println(strings.TrimSuffix(problems, "}"))
	}
	// Output:
	// {"cents":500}
	// [{"field":"/itme","message":"unknown field"},{"field":"/count","message":"want integer, got string"}]
	// [{"field":"/count","message":"want at least 1"}]
}
