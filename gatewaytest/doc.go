// Package gatewaytest tests WebSocket backends in one process: it serves a
// [gateway.Gateway] in memory, gives clients that dial it, and records every event
// that an integration got.
//
//	func TestEcho(t *testing.T) {
//		srv := gatewaytest.New(t)
//		srv.HandleFunc("echo", echo, gateway.WithRouteResponse())
//		c := srv.Dial(t)
//		c.Send(`{"action":"echo"}`)
//		require.Equal(t, `{"action":"echo"}`, c.Receive())
//	}
//
// # What to serve
//
//   - [New] makes a Gateway for the test, with settings that suit tests.
//   - [Serve] serves a Gateway that your own code has made, with your own settings.
//   - [ServeHandler] serves your own [http.Handler], such as a mux behind middleware,
//     with one or more Gateways somewhere inside. Clients and plain HTTP requests go
//     through all of it. You need not hand over the Gateway.
//   - [NewTCP] is New on a port of 127.0.0.1, for programs that need a real network.
//
// Events, connection IDs and refusals are there in each case.
//
//	func TestService(t *testing.T) {
//		srv := gatewaytest.ServeHandler(t, newService())
//		c := srv.Dial(t, gatewaytest.Path("/ws?room=1"), gatewaytest.Cookie("session", "s3cr3t"))
//		c.Send(`{"action":"echo"}`)
//		require.Equal(t, `{"action":"echo"}`, c.Receive())
//	}
//
// # The end of a test
//
// Nothing has to be closed. When the test ends, its clients drop their connections.
// Then every Gateway that was served is closed, as by [gateway.Gateway.Close]: each
// $disconnect runs, and has one second. At last the HTTP server is closed. If your
// code closes the Gateway itself, before or after that, this does no harm. Whatever
// else the handler needs, such as its database, is yours to close.
//
// For this reason two tests cannot share a Gateway. Subtests can: call Serve in the
// test and Dial in its subtests.
//
// # Virtual time
//
// In the func of [testing/synctest.Test] a server in memory runs on virtual time, so
// that ten idle minutes or two hours pass in milliseconds:
//
//	synctest.Test(t, func(t *testing.T) {
//		srv := gatewaytest.New(t)
//		c := srv.Dial(t)
//		code, reason := c.ReceiveClose() // 1001, "Going away", ten minutes later
//	})
//
// Make the Gateway and the server in that func too. One that was made outside fails
// the test that dials it there: time outside is real.
//
// # Timeouts
//
// A wait for something that does not come fails the test, and says what came
// instead. These wait: [Service.Dial], [Service.WaitEvent], [Service.WaitDisconnect],
// and of a [Client] each Send method, Ping, Receive, ReceiveJSON and ReceiveClose. On
// real time each of them waits for at most 10 seconds, on virtual time for at most
// [Timeout]: three hours, which is longer than a connection lives, and takes no real
// time. [Service.SetTimeout] changes both. [Client.ReceiveWithin] takes a timeout of
// its own. [Client.Close] waits for at most 5 seconds. [Service.HTTPClient] and
// [Server.Management] have no timeout but that of the request's context.
//
// On virtual time a client that waits for a message that does not come is idle: after
// ten minutes the Gateway closes its connection with 1001, and the test fails with
// that.
//
// # The log
//
// What the Gateway of [New] or [NewTCP] logs at warn and above is in the log of the
// test, unless [gateway.WithLogger] says otherwise. Give your own Gateway a [Logger]
// to have the same.
//
// # Goroutines
//
// The funcs and methods that take or hold a [testing.TB] fail the test with Fatalf:
// call them on the goroutine of the test.
package gatewaytest
