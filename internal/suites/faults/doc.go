// Package faults tests what a network can do to connections. It has a gateway behind
// net/http, real sockets, and faults at every moment of a connection's life. The faults
// come from a relay between client and server. If root can make network namespaces on
// the machine, they also come from the kernel.
//
//	go test -race ./internal/suites/faults            # all tests that this machine can run
//	go test -race -run TestFaults ./internal/suites/faults
//
// # Who is told what
//
// A connection opens when $connect has accepted it, before its 101 is written. For each
// connection that opened, Observer.ConnectionClosed and $disconnect are called once, with
// the same code and reason. $disconnect is the last event: it runs after the integrations
// of the messages have returned, and when it runs, the client's slot is free. Posts get
// ErrGone as soon as the gateway has noticed the end. The columns say what $disconnect
// and the observer are told, what posts return until the gateway notices the end, and
// when or why it notices.
//
//	moment                  fault            told               posts until then   noticed
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
//	                        it comes after   the server's code  ErrGone            its arrival: it is the
//	                        the server's                                           answer
//	                        it comes after   1006               ErrGone            not at all
//	                        the end
//	                        nobody reads     the client's code  ErrGone            WriteTimeout
//	any                     byte by byte     as without a fault
//
// 1006 has the reason "Client did not read in time" if that ended the connection, else
// "Connection closed abnormally"; 1001 has "Going away", 1000 "Connection Closed
// Normally". PingInterval counts from the last bytes that came from the client,
// IdleTimeout from the last message in either direction. A post that is accepted is in
// the send buffer or in the kernel; nobody learns whether it arrived. A message that
// came completely before a FIN is processed.
//
// Over a network:
//
//	packets lost, delayed, out of order   nobody: everything arrives, once, in order, later
//	the cable pulled                      1006 after twice PingInterval; without it, as half-open
//	the cable put back before that        nobody: what was sent in the meantime arrives, both ways
//	a line slower than the posts          posts that exceed the send buffer: ErrLimitExceeded;
//	                                      what was accepted arrives; memory stays within
//	                                      the send buffers; other clients get their posts
//	packets lost in the close             each side's code, later
//
// # The network
//
// The server and the clients run as two processes in two namespaces. The namespaces are
// joined by a veth pair, or by TUN devices whose packets the test carries or loses. The
// tests need root and Debian's iproute2. A test that loses packets runs twice: with the
// kernel's netem, if the kernel has it, and over TUN devices. On a machine that cannot
// run these tests they are skipped and say why; with GATEWAY_E2E in the environment, a
// missing tool is a failure.
package faults
