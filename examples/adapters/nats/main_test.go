package main

import (
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"example.com/gateway"
	"example.com/gateway/gatewaytest"
)

// startServer runs a NATS server with JetStream in this process.
func startServer(t *testing.T) *server.Server {
	t.Helper()
	s, err := server.NewServer(&server.Options{
		ServerName: "test", Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: t.TempDir(), NoSigs: true, NoLog: true,
	})
	require.NoError(t, err)
	s.Start()
	t.Cleanup(func() {
		s.Shutdown()
		s.WaitForShutdown()
	})
	require.True(t, s.ReadyForConnections(10*time.Second))
	return s
}

// What a client sends is in the stream, in order, with its connection. A worker that reads
// the stream answers.
func TestStream(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	nc, err := nats.Connect(s.ClientURL())
	require.NoError(t, err)
	t.Cleanup(nc.Close) // after the gateway
	gw, err := newGateway(t.Context(), nc)
	require.NoError(t, err)
	srv := gatewaytest.Serve(t, gw)

	js, err := jetstream.New(nc)
	require.NoError(t, err)
	consumer, err := js.OrderedConsumer(t.Context(), "CHAT", jetstream.OrderedConsumerConfig{})
	require.NoError(t, err)
	events, err := consumer.Messages()
	require.NoError(t, err)
	defer events.Stop()
	next := func(subject string) jetstream.Msg {
		msg, err := events.Next()
		require.NoError(t, err)
		require.Equal(t, subject, msg.Subject())
		return msg
	}

	c := srv.Dial(t)
	require.Equal(t, c.ConnectionID(), next("chat.CONNECT").Headers().Get("Connection-Id"))
	c.Send("one")
	c.Send("two")
	for _, text := range []string{"one", "two"} {
		msg := next("chat.MESSAGE")
		require.Equal(t, text, string(msg.Data()))
		require.Equal(t, gateway.RouteKeyDefault, msg.Headers().Get("Route-Key"))
		require.NoError(t, gw.PostToConnection(t.Context(), msg.Headers().Get("Connection-Id"), []byte("done: "+text)))
		require.Equal(t, "done: "+text, c.Receive())
	}
	c.Close(1000, "")
	require.Equal(t, c.ConnectionID(), next("chat.DISCONNECT").Headers().Get("Connection-Id"))
}

// While the server is away, clients get errors, and nobody can connect.
func TestServerIsAway(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	nc, err := nats.Connect(s.ClientURL())
	require.NoError(t, err)
	t.Cleanup(nc.Close) // after the gateway
	gw, err := newGateway(t.Context(), nc)
	require.NoError(t, err)
	srv := gatewaytest.Serve(t, gw)
	c := srv.Dial(t)
	s.Shutdown()
	s.WaitForShutdown()
	c.Send("lost")
	require.Contains(t, c.Receive(), `{"message": "Endpoint request timed out"`)
	_, refused := srv.TryDial(t)
	require.NotNil(t, refused)
	require.Equal(t, 504, refused.StatusCode)
}
