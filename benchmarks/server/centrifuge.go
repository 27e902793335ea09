package server

import (
	"context"

	"github.com/centrifugal/centrifuge"

	"example.com/gateway/benchmarks/wire"
)

func centrifugeVariant() Variant {
	return Variant{
		Name:   "centrifuge",
		Module: "github.com/centrifugal/centrifuge",
		Tuning: "its JSON protocol: a request is a remote call, its method looked up in a map; a fan-out is a publication, a group is a channel; " +
			"1 KB read buffer, shared write buffers, no pings",
		Dialect: wire.Centrifuge(),
		new:     newCentrifuge,
	}
}

func newCentrifuge(context.Context) (*backend, error) {
	node, err := centrifuge.New(centrifuge.Config{})
	if err != nil {
		return nil, err
	}
	node.OnConnecting(func(context.Context, centrifuge.ConnectEvent) (centrifuge.ConnectReply, error) {
		return centrifuge.ConnectReply{Credentials: &centrifuge.Credentials{}}, nil
	})
	known := newActions()
	node.OnConnect(func(client *centrifuge.Client) {
		client.OnSubscribe(func(_ centrifuge.SubscribeEvent, done centrifuge.SubscribeCallback) {
			done(centrifuge.SubscribeReply{}, nil)
		})
		client.OnRPC(func(call centrifuge.RPCEvent, done centrifuge.RPCCallback) {
			action, ok := known[call.Method]
			if !ok {
				done(centrifuge.RPCReply{}, centrifuge.ErrorMethodNotFound)
				return
			}
			done(centrifuge.RPCReply{Data: action(client.ID())}, nil)
		})
	})
	if err := node.Run(); err != nil {
		return nil, err
	}
	publish := func(message []byte) error {
		_, err := node.Publish(wire.Channel, message)
		return err
	}
	return &backend{
		handler: centrifuge.NewWebsocketHandler(node, centrifuge.WebsocketConfig{
			ReadBufferSize: slimBytes, UseWriteBufferPool: true,
			PingPongConfig: centrifuge.PingPongConfig{PingInterval: -1, PongTimeout: -1},
		}),
		broadcast:   publish,
		group:       publish,
		memberships: func() []membership { return subscriptions(node) },
	}, nil
}

// subscriptions are the memberships of all clients in the channel.
func subscriptions(node *centrifuge.Node) (all []membership) {
	for _, client := range node.Hub().Connections() {
		all = append(all, membership{
			join: func() error { return client.Subscribe(wire.Channel) },
			leave: func() error {
				client.Unsubscribe(wire.Channel)
				return nil
			},
		})
	}
	return all
}
