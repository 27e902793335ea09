package gateway_test

import (
	"context"
	"fmt"

	"example.com/gateway"
)

// outbox is a fake of a Gateway for a test of a backend: it writes down what is posted.
type outbox struct {
	gateway.ConnectionsAPI // nil: the backend calls nothing else
	posts                  []string
}

func (o *outbox) PostTo(_ context.Context, to gateway.Audience, data []byte, opts ...gateway.PostOption) (gateway.Delivery, error) {
	var settings gateway.PostSettings
	for _, option := range opts {
		option(&settings)
	}
	o.posts = append(o.posts, fmt.Sprintf("to %s: %s, binary: %t", to.Query().Encode(), data, settings.Binary))
	return gateway.Delivery{Accepted: 1}, nil
}

// A backend that is written against ConnectionsAPI can be tested with a fake.
func ExampleConnectionsAPI() {
	announce := func(api gateway.ConnectionsAPI) { // the backend
		_, _ = api.PostTo(context.Background(), gateway.Group("room-1").Except("me"), []byte("hello"), gateway.Binary())
	}
	fake := &outbox{}
	announce(fake)
	fmt.Println(fake.posts)
	// Output: [to except=me&group=room-1: hello, binary: true]
}
