// Package flood tests clients that do harm, on purpose or by neglect: that never read,
// send without end, or begin things and do not finish them. The gateway is a real one, over
// TCP on the loopback interface. The tests compute from Quotas what a connection may cost,
// and compare it with what it does cost; they print both.
//
//	go test -v ./internal/suites/flood                 # a tenth of the clients
//	GATEWAY_LONG=1 go test -v ./internal/suites/flood  # all clients
package flood
