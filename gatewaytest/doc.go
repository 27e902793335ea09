// Package gatewaytest tests WebSocket backends in one process: it serves a
// [gateway.Gateway] in memory, dials it with clients, and records what integrations got
// and returned.
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
// # What the gateway remembers
//
// [Server.Group] tells the members of a group, and [Server.State] the state of a connection,
// as they are now. [Event] has both as its integration got them.
//
// # The end of a test
//
// Nothing has to be closed. When the test ends, its clients drop their connections, so
// that their $disconnect gets 1006. Then every Gateway that was served is closed, as by
// [gateway.Gateway.Close]: each $disconnect runs, and has one second. At last the HTTP
// server is closed. If your
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
// the test that dials it there: time outside is real. Use what was made in one func of
// synctest.Test in no other one: Go then ends the whole program with "from outside bubble".
//
// # Timeouts
//
// If something that a test waits for does not come, the test fails, and its log shows
// what came instead: the last messages and events. How long each call waits at most:
//
//   - [Service.Dial], [Service.TryDial], [Service.WaitEvent], [Service.WaitDisconnect],
//     and of a [Client] the Send methods, Ping, Receive, ReceiveJSON and ReceiveClose:
//     10 seconds on real time, [Timeout] on virtual time. [Service.SetTimeout] sets
//     another time for all of them.
//   - [Client.ReceiveWithin]: the time that it is given.
//   - [Client.Close]: 5 seconds.
//   - The requests of [Service.HTTPClient], [Server.Management] and
//     [Service.ManagementAt]: until their context ends.
//
// Timeout is three hours, longer than a connection lives. On virtual time it takes no
// real time. There a client that waits for a message in vain becomes idle: after ten
// minutes the Gateway closes its connection with 1001, and the failure says so.
//
// # The log
//
// What the Gateway of [New] or [NewTCP] logs at warn and above is in the log of the
// test, unless [gateway.WithLogger] says otherwise. Give your own Gateway a [Logger]
// to have the same.
//
// # Goroutines
//
// Funcs and methods that can fail the test call Fatalf of its [testing.TB]. Call them on
// the goroutine of that test.
package gatewaytest
