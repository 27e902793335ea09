// Package flood holds tests of clients that do harm on purpose or by neglect:
// that never read, that send without end, that begin and do not finish. The
// gateway is a real one, over TCP on the loopback interface. What a connection
// may cost is computed from its Quotas, and compared with what it does cost; the
// tests print both.
//
//	go test -v ./internal/suites/flood                 # a tenth of the clients
//	GATEWAY_LONG=1 go test -v ./internal/suites/flood  # all of them
package flood
