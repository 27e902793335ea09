//go:build unix

package e2e

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
	"example.com/gateway/iam"
	"example.com/gateway/internal/testutil"
	"example.com/gateway/internal/wsconn"
	"example.com/gateway/sigv4"
)

// neverIssued returns an ID that differs from an issued ID in its first character.
func neverIssued(connectionID string) string {
	if connectionID[0] == 'A' {
		return "B" + connectionID[1:]
	}
	return "A" + connectionID[1:]
}

// connectionJSON is the output of get-connection.
type connectionJSON struct {
	ConnectedAt  time.Time `json:"connectedAt"`
	LastActiveAt time.Time `json:"lastActiveAt"`
	Identity     struct {
		SourceIP  string `json:"sourceIp"`
		UserAgent string `json:"userAgent"`
	} `json:"identity"`
}

func (c connectionJSON) require(t *testing.T, since time.Time) {
	t.Helper()
	require.Equal(t, "127.0.0.1", c.Identity.SourceIP)
	require.WithinRange(t, c.ConnectedAt, since.Truncate(time.Millisecond), time.Now())
	require.WithinRange(t, c.LastActiveAt, c.ConnectedAt, time.Now())
}

// The access keys of the callers.
const (
	awsSecret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
	awsToken  = "a-session-token/+=0123456789"
	allowed   = "AKIDALLOWED"   // may do everything
	temporary = "ASIATEMPORARY" // may do everything, with awsToken
	denied    = "AKIDDENIED"    // may do nothing
)

// awsServer is a gateway whose management API requires a signature. It records its
// answers.
type awsServer struct {
	gw  *gateway.Gateway
	url string

	mu       sync.Mutex // guards the fields below
	clock    time.Duration
	statuses []int
	onceFull func() // runs before the next 429 is sent
}

func startAWSServer(t *testing.T) *awsServer {
	t.Helper()
	s := &awsServer{}
	key := func(name string) sigv4.Key {
		return sigv4.Key{SecretAccessKey: awsSecret, Caller: sigv4.Caller{AccountID: "111122223333", ARN: "arn:aws:iam::111122223333:user/" + name}}
	}
	session := key("temporary")
	session.SessionToken = awsToken
	all, err := iam.ParsePolicy([]byte(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"execute-api:ManageConnections","Resource":"arn:aws:execute-api:us-east-1:*:*/prod/*/@connections/*"}}`))
	require.NoError(t, err)
	auth := &iam.Auth{
		Verifier: &sigv4.Verifier{
			Service: "execute-api", Region: "us-east-1", Now: s.now,
			Keys: sigv4.StaticKeys(map[string]sigv4.Key{allowed: key("allowed"), temporary: session, denied: key("denied")}),
		},
		Policy: iam.ByAccessKey(map[string]*iam.PolicyDocument{allowed: all, temporary: all}),
	}
	s.gw, err = gateway.New(gateway.WithStage("prod", nil), gateway.WithManagementAuth(auth),
		gateway.WithQuotas(gateway.Quotas{SendBufferMessages: 4, WriteTimeout: time.Minute}))
	require.NoError(t, err)
	server := httptest.NewUnstartedServer(http.HandlerFunc(s.serve))
	server.Listener = smallBuffers{server.Listener}
	server.Start()
	t.Cleanup(func() {
		_ = s.gw.Close()
		server.Close()
	})
	s.url = server.URL
	return s
}

// smallBuffers is a listener whose sockets have small buffers, so that the queue of a
// client that does not read fills soon.
type smallBuffers struct{ net.Listener }

const socketBuffer = 8 << 10

func (l smallBuffers) Accept() (net.Conn, error) {
	nc, err := l.Listener.Accept()
	if tcp, ok := nc.(*net.TCPConn); ok {
		err = errors.Join(err, tcp.SetWriteBuffer(socketBuffer))
	}
	return nc, err
}

// dialSmall connects the client's end with a small buffer.
func dialSmall(ctx context.Context, network, addr string) (net.Conn, error) {
	nc, err := (&net.Dialer{}).DialContext(ctx, network, addr)
	if tcp, ok := nc.(*net.TCPConn); ok {
		err = errors.Join(err, tcp.SetReadBuffer(socketBuffer))
	}
	return nc, err
}

func (s *awsServer) serve(w http.ResponseWriter, r *http.Request) {
	if !strings.Contains(r.URL.Path, "/@connections/") {
		s.gw.Handler().ServeHTTP(w, r)
		return
	}
	answer := &statusWriter{ResponseWriter: w}
	s.gw.ManagementHandler().ServeHTTP(answer, r)
	s.mu.Lock()
	s.statuses = append(s.statuses, answer.status)
	makeRoom := s.onceFull
	if answer.status != http.StatusTooManyRequests {
		makeRoom = nil
	}
	if makeRoom != nil {
		s.onceFull = nil
	}
	s.mu.Unlock()
	if makeRoom != nil {
		makeRoom()
	}
}

type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

func (w *statusWriter) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return w.ResponseWriter.Write(b)
}

func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// now is the server's clock, which may be wrong.
func (s *awsServer) now() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.Now().Add(s.clock)
}

func (s *awsServer) setClock(wrong time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clock = wrong
}

// taken returns the statuses of the calls since the last taken, one for each attempt.
func (s *awsServer) taken() []int {
	s.mu.Lock()
	defer s.mu.Unlock()
	statuses := s.statuses
	s.statuses = nil
	return statuses
}

// awsPeer is a WebSocket client of the gateway.
type awsPeer struct {
	ws *wsconn.Client
	id string
}

func (s *awsServer) dial(t *testing.T) *awsPeer {
	t.Helper()
	known := map[string]bool{}
	for c := range s.gw.Connections() {
		known[c.ID] = true
	}
	p := &awsPeer{}
	var err error
	p.ws, _, err = wsconn.Dial(t.Context(), "ws"+strings.TrimPrefix(s.url, "http")+"/prod", wsconn.DialOptions{DialContext: dialSmall}) //nolint:bodyclose // the body is in memory
	require.NoError(t, err)
	t.Cleanup(p.ws.CloseNow)
	for c := range s.gw.Connections() {
		if !known[c.ID] {
			p.id = c.ID
		}
	}
	require.NotEmpty(t, p.id)
	return p
}

func (p *awsPeer) receive(t *testing.T) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	data, text, err := p.ws.Read(ctx)
	require.NoError(t, err)
	require.True(t, text)
	return string(data)
}

// awsCase is a call and its expected result.
type awsCase struct {
	name    string
	call    awsCall // without endpoint and ID; the default is the allowed key
	prepare func(t *testing.T, s *awsServer, p *awsPeer, c *awsCall)
	status  int    // of the answer
	code    string // "": success
	message string // a part of the error's message
	after   func(t *testing.T, s *awsServer, p *awsPeer, o awsOutcome)
}

// noCode is what the clients report if the error in the answer has no name.
const noCode = "no name"

func noNames() map[string]string {
	return map[string]string{
		"AWS CLI": "413", "boto3": "413", "AWS SDK for Go": "UnknownError", "AWS SDK for JS, v3": "Unknown",
	}
}

func awsCases() []awsCase {
	delivered := func(t *testing.T, _ *awsServer, p *awsPeer, _ awsOutcome) {
		t.Helper()
		require.Equal(t, "hello", p.receive(t))
	}
	hello := awsCall{Operation: "post", Data: []byte("hello")}
	with := func(c awsCall, change func(*awsCall)) awsCall {
		change(&c)
		return c
	}
	large := make([]byte, 131_073)
	for n := range large {
		large[n] = 'a' + byte(n%26)
	}
	gone := func(t *testing.T, s *awsServer, p *awsPeer, _ *awsCall) {
		t.Helper()
		require.NoError(t, s.gw.DeleteConnection(t.Context(), p.id))
	}
	invented := func(_ *testing.T, _ *awsServer, p *awsPeer, c *awsCall) { c.ConnectionID = neverIssued(p.id) }
	since := time.Now()
	return []awsCase{
		{name: "post", call: hello, status: 200, after: delivered},
		{name: "post, the endpoint ends in a slash", call: hello, status: 200, after: delivered, prepare: func(_ *testing.T, _ *awsServer, _ *awsPeer, c *awsCall) {
			c.Endpoint += "/"
		}},
		{name: "post, an empty body", call: awsCall{Operation: "post"}, status: 200, after: func(t *testing.T, _ *awsServer, p *awsPeer, _ awsOutcome) {
			t.Helper()
			require.Empty(t, p.receive(t))
		}},
		{name: "post, 131,072 bytes", call: awsCall{Operation: "post", Data: large[1:]}, status: 200, after: func(t *testing.T, _ *awsServer, p *awsPeer, _ awsOutcome) {
			t.Helper()
			require.Equal(t, string(large[1:]), p.receive(t))
		}},
		{name: "post, 131,073 bytes", call: awsCall{Operation: "post", Data: large}, status: 413, code: noCode},
		{name: "get", call: awsCall{Operation: "get"}, status: 200, after: func(t *testing.T, _ *awsServer, _ *awsPeer, o awsOutcome) {
			t.Helper()
			require.NotNil(t, o.Connection)
			o.Connection.require(t, since)
		}},
		{name: "delete", call: awsCall{Operation: "delete"}, status: 204, after: func(t *testing.T, _ *awsServer, p *awsPeer, _ awsOutcome) {
			t.Helper()
			_, _, err := p.ws.Read(t.Context())
			code, reason, _ := wsconn.ReceivedClose(err)
			require.Equal(t, 1000, code)
			require.Equal(t, "Connection Closed Normally", reason)
		}},
		{name: "post, gone", call: hello, prepare: gone, status: 410, code: "GoneException"},
		{name: "get, gone", call: awsCall{Operation: "get"}, prepare: gone, status: 410, code: "GoneException"},
		{name: "delete, gone", call: awsCall{Operation: "delete"}, prepare: gone, status: 410, code: "GoneException"},
		{name: "never issued", call: hello, prepare: invented, status: 400, code: "BadRequestException", message: "Invalid connectionId: "},
		{name: "an unknown key", call: with(hello, func(c *awsCall) { c.AccessKeyID = "AKIDUNKNOWN" }), status: 403, code: "UnrecognizedClientException", message: "The security token included in the request is invalid."},
		{name: "a wrong secret", call: with(hello, func(c *awsCall) { c.SecretAccessKey = "wrong" }), status: 403, code: "InvalidSignatureException", message: "The request signature we calculated does not match the signature you provided."},
		{name: "the clock is an hour slow", call: hello, status: 403, code: "InvalidSignatureException", message: "Signature expired: ", prepare: func(_ *testing.T, s *awsServer, _ *awsPeer, _ *awsCall) {
			s.setClock(time.Hour)
		}},
		{name: "the clock is an hour fast", call: hello, status: 403, code: "InvalidSignatureException", message: "Signature not yet current: ", prepare: func(_ *testing.T, s *awsServer, _ *awsPeer, _ *awsCall) {
			s.setClock(-time.Hour)
		}},
		{name: "a session token", call: with(hello, func(c *awsCall) { c.AccessKeyID, c.SessionToken = temporary, awsToken }), status: 200, after: delivered},
		{name: "a session token that is missing", call: with(hello, func(c *awsCall) { c.AccessKeyID = temporary }), status: 403, code: "UnrecognizedClientException", message: "The security token included in the request is invalid"},
		{name: "a session token that is wrong", call: with(hello, func(c *awsCall) { c.AccessKeyID, c.SessionToken = temporary, "wrong" }), status: 403, code: "UnrecognizedClientException", message: "The security token included in the request is invalid"},
		{name: "the policy does not allow it", call: with(hello, func(c *awsCall) { c.AccessKeyID = denied }), status: 403, code: "AccessDeniedException", message: "User: arn:aws:iam::111122223333:user/denied is not authorized to perform: execute-api:ManageConnections on resource: arn:aws:execute-api:us-east-1:********3333:local/prod/POST/@connections/{connectionId} because no identity-based policy allows"},
		{name: "not signed", call: with(hello, func(c *awsCall) { c.Unsigned = true }), status: 403, code: "MissingAuthenticationTokenException", message: "Missing Authentication Token"},
	}
}

// TestAWSClients runs the matrix of docs/clients.md: the published clients, each with
// its real signer, and what their callers see. The server counts how often they try.
func TestAWSClients(t *testing.T) {
	outside(t)
	for name, startClient := range awsClients() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := startClient(t)
			for _, tt := range awsCases() {
				s := startAWSServer(t)
				p := s.dial(t)
				c := tt.call
				c.Endpoint, c.ConnectionID = s.url+"/prod", p.id
				if c.AccessKeyID == "" {
					c.AccessKeyID = allowed
				}
				if c.SecretAccessKey == "" {
					c.SecretAccessKey = awsSecret
				}
				if tt.prepare != nil {
					tt.prepare(t, s, p, &c)
				}
				o := client(t, c)
				require.Equal(t, tt.expect(name), o.Code, tt.name)
				require.Contains(t, o.Message, tt.message, tt.name)
				tried := s.taken()
				require.Equal(t, []int{tt.status}, slices.Compact(slices.Clone(tried)), tt.name)
				if name != "AWS CLI" {
					require.Equal(t, tt.status, o.Status, tt.name)
				}
				if !strings.HasPrefix(tt.name, "the clock") || name != "AWS SDK for JS, v3" { // that client corrects its clock, and tries again
					require.Len(t, tried, 1, tt.name)
				}
				if tt.after != nil {
					tt.after(t, s, p, o)
				}
			}
		})
	}
}

// expect returns the expected error code for a client.
func (c *awsCase) expect(client string) string {
	if c.code == noCode {
		return noNames()[client]
	}
	return c.code
}

// TestAWSClients_SlowReader tests a client's own retries while a connection takes no
// bytes. At first all retries fail; then the connection takes bytes again, and the
// message arrives once.
func TestAWSClients_SlowReader(t *testing.T) {
	testutil.NeedsLong(t)
	outside(t)
	attempts := map[string]int{"AWS CLI": 3, "boto3": 5, "AWS SDK for Go": 3, "AWS SDK for JS, v3": 3}
	for name, startClient := range awsClients() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := startClient(t)
			s := startAWSServer(t)
			p := s.dial(t)
			fill := make([]byte, 128<<10) // more than the sockets' buffers
			for full := false; !full; {
				full = errors.Is(s.gw.PostToConnection(t.Context(), p.id, fill), gateway.ErrLimitExceeded)
			}
			c := awsCall{Endpoint: s.url + "/prod", Operation: "post", ConnectionID: p.id, Data: []byte("hello"), AccessKeyID: allowed, SecretAccessKey: awsSecret}
			o := client(t, c)
			require.Equal(t, "LimitExceededException", o.Code)
			require.Equal(t, slices.Repeat([]int{429}, attempts[name]), s.taken())

			received := make(chan string, 100)
			s.onceFull = func() { // now the peer reads everything
				go p.receiveAll(received)
				s.postAnyhow(p.id, "there is room")
				for text := range received {
					if text == "there is room" {
						return
					}
				}
			}
			o = client(t, c)
			require.Empty(t, o.Code)
			require.Equal(t, []int{429, 200}, s.taken())
			s.postAnyhow(p.id, "end")
			require.Equal(t, "hello", <-received)
			require.Equal(t, "end", <-received)
		})
	}
}

// receiveAll reads until the connection ends.
func (p *awsPeer) receiveAll(into chan<- string) {
	defer close(into)
	for {
		data, _, err := p.ws.Read(context.Background())
		if err != nil {
			return
		}
		into <- string(data)
	}
}

// postAnyhow posts, again and again, until there is room.
func (s *awsServer) postAnyhow(id, text string) {
	for errors.Is(s.gw.PostToConnection(context.Background(), id, []byte(text)), gateway.ErrLimitExceeded) {
		runtime.Gosched()
	}
}
