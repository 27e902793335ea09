// Package faults holds tests of what a network does to connections: a gateway
// behind net/http, real sockets, and faults at every moment of a connection's life.
// The faults come from a relay between client and server, and, where the machine
// lets root make network namespaces, from the kernel.
//
//	go test -race ./internal/suites/faults            # all that this machine can
//	go test -race -run TestFaults ./internal/suites/faults
//
// # Who is told what
//
// A connection opens when $connect has let it in, before its 101 is written. Of
// each one that opened, Observer.ConnectionClosed and $disconnect are told the end
// once, with the same code and reason: $disconnect as the last event, when the
// integrations of its messages have returned. Posts get ErrGone from the moment the
// end is found. When $disconnect runs, the client's slot is free.
//
//	moment                  fault            told               posts until then   found by
//	in the upgrade request  FIN, RST         nobody: no $connect, no connection    net/http, at once
//	                        stalled,         nobody                                http.Server.
//	                        half-open                                              ReadHeaderTimeout
//	before the 101          FIN, RST         1006 if $connect   ErrGone            at once, when
//	                                         accepts; nobody if                    $connect has
//	                                         it refuses                            returned
//	                        stalled,         1006               accepted           twice PingInterval
//	                        half-open
//	idle; within a header,  FIN, RST         1006               ErrGone            at once
//	a payload, a message,   stalled,         1006               accepted           twice PingInterval
//	the client's Close      half-open        1001               accepted           else IdleTimeout + 5 s
//	                                         nobody             accepted           without both: never
//	an integration runs     FIN, RST         1006, once the     ErrGone            at once; $disconnect
//	                                         integration has                       within
//	                                         returned                              IntegrationTimeout
//	                        stalled,         likewise           accepted           twice PingInterval
//	                        half-open
//	a reply or a post is    FIN              1006               ErrLimitExceeded   at once; WriteTimeout
//	being written and                                           when the send      while a reply waits
//	nobody reads                                                buffer is full     for room
//	                        RST              1006               ErrGone            at once
//	                        stalled          1006               ErrLimitExceeded   WriteTimeout, or
//	                                                                               twice PingInterval
//	                        half-open        1006               accepted           twice PingInterval
//	the server's close      FIN, RST         the server's code  ErrGone            at once
//	(DeleteConnection 1000, stalled,         the server's code  ErrGone            5 s for the client's
//	Shutdown 1001)          half-open                                              Close
//	                        nobody reads     1006               ErrGone            WriteTimeout, 5 s at
//	                                                                               most
//	                        half-open, and   1001               ErrGone            the end of Shutdown's
//	                        no time left                                           context; Close: at once
//	a Close of the client   FIN or RST       the client's code  ErrGone            at once
//	                        right behind it
//	                        it comes behind  the server's code  ErrGone            its arrival: it is the
//	                        the server's                                           answer
//	                        it comes when    1006               ErrGone            no longer of interest
//	                        all has ended
//	                        nobody reads     the client's code  ErrGone            WriteTimeout
//	any                     byte by byte     what an unharmed connection is told
//
// 1006 has the reason "Client did not read in time" where that is what ended the
// connection, else "Connection closed abnormally"; 1001 has "Going away", 1000
// "Connection Closed Normally". PingInterval counts from what last came from the
// client, IdleTimeout from the last message either way. A post that is accepted is
// in the send buffer or with the kernel; nobody learns whether it arrived. A message
// that came whole before a FIN is processed.
//
// Over a network:
//
//	packets lost, delayed, out of order   nobody: all arrives, once, in order, later
//	the cable pulled                      1006 after twice PingInterval; else as half-open
//	the cable put back before that        nobody: what was sent meanwhile arrives, both ways
//	a line slower than the posts          posts above the send buffer: ErrLimitExceeded;
//	                                      what was accepted arrives; memory stays within
//	                                      the send buffers; others get theirs
//	packets lost in the close             each side's code, later
//
// # The network
//
// The server and the clients are processes of their own, in two namespaces, joined
// by a veth pair, or by TUN devices whose packets the test carries and loses. The
// tests need root and Debian's iproute2. What loses packets runs twice, with the
// kernel's netem, where it has that, and over the TUN devices. A machine that cannot
// skips these tests and says why; with GATEWAY_E2E in the environment a missing
// tool is a failure.
package faults
