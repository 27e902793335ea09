// Package soak holds tests of many connections at once on the loopback
// interface. TestSoak opens and closes them and prints what an idle one costs;
// TestSoak_Random has them do whatever they may and compares all of it with a
// model; TestShutdown_UnderFire shuts down under them. Another test holds a
// throttle under load.
//
//	go test -v ./internal/suites/soak                 # in short
//	GATEWAY_LONG=1 go test -v ./internal/suites/soak  # at length, as CI does
//	GATEWAY_LONG=1 GATEWAY_SOAK_DURATION=10m go test -v -timeout 20m -run TestSoak_Random ./internal/suites/soak
package soak
