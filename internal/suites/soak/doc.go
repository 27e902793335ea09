// Package soak tests many connections at once on the loopback interface. TestSoak opens and
// closes them, and prints what an idle connection costs. TestSoak_Random makes them do
// everything that is allowed, at random, and compares the results with a model.
// TestShutdown_UnderFire shuts the gateway down while they are busy. Another test checks a
// throttle under load.
//
//	go test -v ./internal/suites/soak                 # a short run
//	GATEWAY_LONG=1 go test -v ./internal/suites/soak  # a long run, as in CI
//	GATEWAY_LONG=1 GATEWAY_SOAK_DURATION=10m go test -v -timeout 20m -run TestSoak_Random ./internal/suites/soak
package soak
