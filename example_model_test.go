package gateway_test

import (
	"fmt"
	"log"
	"net/http/httptest"
	"strings"

	"example.com/gateway"
	"example.com/gateway/models"
)

// A route may ask for messages of a certain form. The client of one that does not fit is
// told only that; why it does not fit is in the log.
func ExampleWithRequestModel() {
	order, err := models.Compile(`{"type": "object", "required": ["item"]}`)
	if err != nil {
		log.Fatal(err)
	}
	gw, err := gateway.New()
	if err != nil {
		log.Fatal(err)
	}
	defer gw.Close()
	gw.Handle("order", &gateway.MockIntegration{Body: []byte("ordered")},
		gateway.WithRouteResponse(), gateway.WithRequestModel(order))

	srv := httptest.NewServer(gw.Handler())
	defer srv.Close()
	c, _ := dial(srv.URL)
	defer c.close(1000, "")
	c.send(`{"action":"order","item":"apple"}`)
	fmt.Println(c.receive())
	c.send(`{"action":"order"}`)
	refused, _, _ := strings.Cut(c.receive(), ",")
	fmt.Println(refused)
	// Output:
	// ordered
	// {"message": "Invalid request body"
}
