package threats_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
	"example.com/gateway/gatewaytest"
	"example.com/gateway/iam"
	"example.com/gateway/internal/connid"
	"example.com/gateway/internal/suites/wiretest"
	"example.com/gateway/internal/testutil"
	"example.com/gateway/lambda"
	"example.com/gateway/sigv4"
)

// The tests of docs/threat-model.md that are not in another file.

// logs are the two handlers of package slog, at their lowest level.
func logs() map[string]func(io.Writer) slog.Handler {
	all := &slog.HandlerOptions{Level: slog.LevelDebug}
	return map[string]func(io.Writer) slog.Handler{
		"text": func(w io.Writer) slog.Handler { return slog.NewTextHandler(w, all) },
		"JSON": func(w io.Writer) slog.Handler { return slog.NewJSONHandler(w, all) },
	}
}

// All connections share buffers. Many connections, each with its own bytes in
// messages of all sizes, get exactly their own bytes back. What an integration keeps
// of a body does not change later.
func TestThreat_BuffersKeepConnectionsApart(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]func(testing.TB, ...gateway.Option) *gatewaytest.Server{"in memory": gatewaytest.New, "over TCP": gatewaytest.NewTCP} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const clients = 40
			sizes := []int{0, 1, 125, 126, 4000, 8190, 8200, 16 << 10, 20_000, 65_536, 100_000, 3}
			type kept struct{ body, copied []byte }
			var mu sync.Mutex
			var all []kept
			srv := start(t)
			srv.HandleFunc(gateway.RouteKeyDefault, func(ctx context.Context, req *gateway.Request) (*gateway.Response, error) {
				mu.Lock()
				all = append(all, kept{req.Body, bytes.Clone(req.Body)})
				mu.Unlock()
				return &gateway.Response{Body: req.Body}, srv.PostToConnection(ctx, req.ConnectionID, req.Body)
			}, gateway.WithRouteResponse())
			var cs []*gatewaytest.Client
			for range clients {
				cs = append(cs, srv.Dial(t))
			}
			text := func(client, round int) string {
				own := fmt.Sprintf("<%d.%d>", client, round)
				return own + strings.Repeat(own, sizes[(client+round)%len(sizes)]/len(own))
			}
			for round := range len(sizes) {
				for n, c := range cs {
					whole := text(n, round)
					if half := len(whole) / 2; n%3 == 0 || len(whole) > 32<<10 {
						var parts []string
						for half = min(half+1, 30<<10); len(whole) > half; whole = whole[half:] {
							parts = append(parts, whole[:half])
						}
						c.SendFragments(append(parts, whole)...)
						continue
					}
					c.Send(whole)
				}
				for n, c := range cs {
					for range 2 { // the post and the reply
						if got, want := c.Receive(), text(n, round); got != want {
							t.Fatalf("client %d, round %d: %d bytes are not its own: %.60q", n, round, len(got), got)
						}
					}
				}
			}
			mu.Lock()
			defer mu.Unlock()
			require.Len(t, all, clients*len(sizes))
			for _, k := range all {
				require.True(t, bytes.Equal(k.copied, k.body), "a body changed under its integration")
			}
		})
	}
}

// marked is a part of every secret in the next test.
const marked = "s3cr3t-"

// The test uses every feature and makes it fail, with secrets wherever a client, an
// option or an endpoint can have one. No line of the log has a secret. A refused
// Origin is not a secret: its line has it.
func TestThreat_SecretsNeverReachALog(t *testing.T) {
	t.Parallel()
	for name, handler := range logs() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			log := &testutil.LockedBuffer{}
			useEverything(t, slog.New(handler(log)))
			for _, said := range []string{
				"connection opened", "connection closed", "upgrade rejected", "authorizer failed", "integration failed",
				"message rejected", "reply not sent", "management call rejected", "usage store failed", "client broke a rule of the protocol", "shutting down",
			} {
				require.Contains(t, log.String(), said, "what logs this was not used")
			}
			for _, line := range strings.Split(log.String(), "\n") {
				require.NotContains(t, strings.ToLower(line), marked)
			}
		})
	}
}

func useEverything(t *testing.T, logger *slog.Logger) {
	t.Helper()
	const apiKeyValue = marked + "0123456789-0123456789"
	broken := testutil.NewBackend(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, "abort") {
			panic(http.ErrAbortHandler)
		}
		w.Header().Set("X-Answer", marked+"header")
		w.Header().Set("Content-Length", "99")
		_, _ = io.WriteString(w, marked+"body")
	})
	usage := &keyStore{}
	keys := sigv4.StaticKeys(map[string]sigv4.Key{"AKIDEXAMPLE": {SecretAccessKey: marked + "access"}})
	srv := gatewaytest.New(t, gateway.WithLogger(logger), gateway.WithUsageStore(usage),
		gateway.WithStage("prod", map[string]string{"password": marked + "variable"}),
		gateway.WithManagementAuth(&sigv4.Verifier{Service: "execute-api", Region: "us-east-1", Keys: keys}))
	var verdict error
	srv.Handle(gateway.RouteKeyConnect, &gateway.MockIntegration{}, gateway.WithAPIKeyRequired(), gateway.WithAuthorizer(&gateway.RequestAuthorizer{
		IdentitySource: []string{"route.request.querystring.token"},
		Authorizer: gateway.AuthorizerFunc(func(context.Context, *gateway.Request) (*gateway.Authorization, error) {
			return &gateway.Authorization{PrincipalID: marked + "principal", UsageIdentifierKey: apiKeyValue, Context: map[string]any{"x": marked + "context"}}, verdict
		}),
	}))
	failing := func(key string, tr *gateway.Transform) {
		srv.Handle(key, &gateway.HTTPIntegration{
			URI:               strings.Replace(broken.URL, "http://", "http://user:${stageVariables.password}@", 1) + "/{id}?token=${stageVariables.password}",
			RequestParameters: map[string]string{"integration.request.path.id": "route.request.body.secret", "integration.request.header.X": "context.authorizer.x"},
			Transform:         tr,
		}, gateway.WithRouteResponse())
	}
	failing("http", nil)
	failing("newline", &gateway.Transform{RequestTemplates: map[string]string{"$default": `$util.parseJson($input.path('$.secret'))`}})
	srv.HandleFunc("large", func(context.Context, *gateway.Request) (*gateway.Response, error) {
		return &gateway.Response{Body: []byte(strings.Repeat(marked, 20_000))}, nil
	}, gateway.WithRouteResponse())
	srv.HandleFunc("model", serve, gateway.WithRequestModels(`\$default`, map[string]gateway.Model{"$default": misfit{errors.New("it does not fit")}}))
	srv.Handle("selects", &gateway.CustomIntegration{Backend: func(context.Context, *gateway.Request, []byte) (*gateway.Response, error) { return nil, nil }, Transform: &gateway.Transform{PassthroughBehavior: gateway.PassthroughNever}}, gateway.WithRouteResponse())
	srv.Handle(gateway.RouteKeyDisconnect, &gateway.MockIntegration{})

	client := []gatewaytest.DialOption{
		gatewaytest.Header("Authorization", "Bearer "+marked+"token"), gatewaytest.Header("Cookie", "sid="+marked+"cookie"), apiKey(apiKeyValue),
		gatewaytest.Header("User-Agent", marked+"agent"), gatewaytest.Header("X-Forwarded-For", marked+"for"), gatewaytest.Subprotocols("bearer", marked+"protocol"),
	}
	with := func(more ...gatewaytest.DialOption) []gatewaytest.DialOption {
		return append(append(more, client...), gatewaytest.Query("token", marked+"query"))
	}
	srv.TryDial(t, client...) // no token: 401
	srv.TryDial(t, with(gatewaytest.Header("Origin", "https://evil.example"))...)
	srv.TryDial(t, with(apiKey(marked+"another-key-of-20-or-more"), gatewaytest.Header("X-Large", strings.Repeat(marked, 2000)))...)
	for _, verdict = range []error{gateway.ErrForbidden, errors.New("no database"), nil} {
		srv.TryDial(t, with()...)
	}
	usage.err = errors.New("no database")
	srv.TryDial(t, with()...)
	usage.err = nil
	c := srv.Dial(t, with()...)
	id := c.ConnectionID()
	for _, message := range []string{
		`{"action":"http","secret":"` + marked + `"}`, `{"action":"http","secret":"` + marked + `abort"}`, `{"action":"newline","secret":"` + marked + `\n"}`, `{"action":"large"}`,
		`{"action":"model","secret":"` + marked + `"}`, `{"action":"selects","secret":"` + marked + `"}`, marked + " no JSON", `{"action":"` + marked + `"}`,
	} {
		c.Send(message)
		require.Contains(t, c.Receive(), `"requestId":"`, "it fails, or no line would come of it")
	}
	for _, lines := range [][]string{
		{"Authorization: Bearer " + marked + "m"},
		{"X-Amz-Security-Token: " + marked + "m"},
		{"Authorization: AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20200101/us-east-1/execute-api/aws4_request, SignedHeaders=host;x-amz-date;x-secret, Signature=" + strings.Repeat("0", 64), "X-Amz-Date: 20200101T000000Z", "X-Secret: " + marked + "m"},
	} {
		w := wiretest.Dial(t, srv.HTTPClient())
		w.MustWriteString(wiretest.Request("POST /prod/@connections/"+url.PathEscape(id)+"?X-Secret="+marked+"q HTTP/1.1", append(lines, "Host: x", fmt.Sprintf("Content-Length: %d", len(marked)))...) + marked)
		require.Equal(t, 403, w.MustReadAnswer().Status)
	}
	require.NoError(t, srv.PostToConnection(t.Context(), id, []byte(marked)))
	require.Equal(t, marked, c.Receive())
	raw := srv.Dial(t, with()...)
	raw.SendBinary([]byte(marked))
	raw.ReceiveClose()
	c.Close(1000, marked+"reason")
	require.Equal(t, marked+"reason", srv.WaitDisconnect(id).DisconnectReason)
	require.NoError(t, srv.Shutdown(t.Context()))
}

// A client can put line breaks and terminal escapes into a close reason, a message, a
// connection ID and a presigned URL. Whatever is logged of them, also through an
// integration's error, stays within one line.
func TestThreat_LogInjection(t *testing.T) {
	t.Parallel()
	const forged = "\n\r\x1b[2K\u2028time=x level=ERROR msg=forged\n{\"msg\":\"forged\"}"
	for name, handler := range logs() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			log := &testutil.LockedBuffer{}
			keys := sigv4.StaticKeys(nil)
			srv := gatewaytest.New(t, gateway.WithLogger(slog.New(handler(log))),
				gateway.WithManagementAuth(&sigv4.Verifier{Service: "execute-api", Region: "us-east-1", Keys: keys}))
			failing := func(_ context.Context, req *gateway.Request) (*gateway.Response, error) {
				return nil, fmt.Errorf("cannot serve %s%s", req.Body, req.DisconnectReason)
			}
			srv.HandleFunc(gateway.RouteKeyDefault, failing)
			srv.HandleFunc(gateway.RouteKeyDisconnect, failing)
			c := srv.Dial(t, gatewaytest.Header("User-Agent", "a\tlevel=ERROR msg=forged"))
			c.Send("message" + forged)
			c.Receive()
			id := c.ConnectionID()
			for _, query := range []string{"X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date", "X-Amz-SignedHeaders", "X-Amz-Expires", "X-Amz-Signature", forged} {
				values := url.Values{
					"X-Amz-Algorithm": {"AWS4-HMAC-SHA256"}, "X-Amz-Credential": {"K/20200101/us-east-1/execute-api/aws4_request"}, "X-Amz-Date": {"20200101T000000Z"},
					"X-Amz-SignedHeaders": {"host"}, "X-Amz-Expires": {"60"}, "X-Amz-Signature": {strings.Repeat("0", 64)},
				}
				values.Set(query, values.Get(query)+forged)
				r := wiretest.Dial(t, srv.HTTPClient()).MustAsk(wiretest.Request("GET /prod/@connections/"+url.PathEscape(id)+"?"+values.Encode()+" HTTP/1.1", "Host: x"))
				require.Equal(t, 403, r.Status, query)
			}
			require.Equal(t, 400, wiretest.Dial(t, srv.HTTPClient()).MustAsk(wiretest.Request("GET /prod/@connections/"+url.PathEscape(forged)+" HTTP/1.1", "Host: x")).Status)
			c.Close(1000, "reason"+forged)
			srv.WaitDisconnect(id)
			require.NoError(t, srv.Shutdown(t.Context()))

			require.Contains(t, log.String(), "cannot serve message", "it was logged")
			require.Contains(t, log.String(), "cannot serve reason")
			require.False(t, strings.ContainsFunc(log.String(), func(r rune) bool { return r != '\n' && !unicode.IsPrint(r) }), "%q", log.String())
			for _, line := range strings.Split(strings.TrimSpace(log.String()), "\n") {
				if name == "text" {
					require.Regexp(t, `^time=\d\d\d\d-\S+ level=\S+ msg=`, line)
					continue
				}
				var record struct{ Msg string }
				require.NoError(t, json.Unmarshal([]byte(line), &record), line)
				require.NotEqual(t, "forged", record.Msg)
			}
		})
	}
}

// What an event says about its client and its API comes from the gateway, whatever
// the client claims in headers, query, subprotocol and body.
func TestThreat_NoClientWritesTheRequestContext(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var events []lambda.WebsocketRequest
	backend := func(r lambda.WebsocketRequest) (lambda.Response, error) {
		mu.Lock()
		defer mu.Unlock()
		events = append(events, r)
		return lambda.Response{StatusCode: 200}, nil
	}
	srv := gatewaytest.New(t, gateway.WithAPI("api", "ws.example.com"), gateway.WithStage("prod", map[string]string{"v": "1"}))
	srv.Handle(gateway.RouteKeyConnect, lambda.Wrap(backend))
	srv.Handle(gateway.RouteKeyDefault, lambda.Wrap(backend))
	srv.Handle(gateway.RouteKeyDisconnect, lambda.Wrap(backend))
	const context = `{"requestContext":{"connectionId":"evil","routeKey":"evil","stage":"evil","authorizer":{"principalId":"evil"},"identity":{"sourceIp":"6.6.6.6"}},"stageVariables":{"v":"evil"},"isBase64Encoded":true}`
	lines := []string{"Origin: http://evil.example", "RequestContext: " + context, "Sec-WebSocket-Protocol: evil"}
	for _, name := range []string{
		"connectionId", "Connection-Id", "routeKey", "stage", "apiId", "domainName", "eventType", "principalId", "X-Amzn-RequestId", "x-amz-apigw-id", "X-Amzn-Apigateway-Api-Id",
		"X-Amzn-Oidc-Identity", "X-Forwarded-Host", "X-Forwarded-For", "Forwarded", "X-Real-IP", "X-HTTP-Method-Override", "X-Original-URL", "stageVariables",
	} {
		lines = append(lines, name+": evil")
	}
	text := strings.Replace(wiretest.Upgrade("/test", lines...), "Host: gateway.test", "Host: evil.example", 1)
	text = strings.Replace(text, "/test", "/evil?requestContext="+url.QueryEscape(context)+"&stageVariables.v=evil&connectionId=evil", 1)
	w := wiretest.Dial(t, srv.HTTPClient())
	require.Equal(t, 101, w.MustAsk(text).Status)
	w.MustSend(wiretest.Text, context)
	id := srv.WaitEvent(func(e gatewaytest.Event) bool { return e.EventType == gateway.EventMessage }).ConnectionID
	require.NoError(t, w.Close())
	srv.WaitDisconnect(id)
	mu.Lock()
	defer mu.Unlock()
	require.Len(t, events, 3)
	for _, e := range events {
		known, err := json.Marshal(e.RequestContext)
		require.NoError(t, err)
		require.NotContains(t, string(known), "evil")
		require.NotContains(t, string(known), "6.6.6.6")
		require.Equal(t, id, e.RequestContext.ConnectionID)
		require.Equal(t, "ws.example.com", e.RequestContext.DomainName)
		require.Equal(t, "127.0.0.1", e.RequestContext.Identity.SourceIP)
		require.Equal(t, map[string]string{"v": "1"}, e.StageVariables)
	}
}

// IDs do not repeat. Each of their 56 random bits is 1 as often as 0. Nobody can
// reach a connection with an invented ID, even if its checksum is right.
func TestThreat_GuessedConnectionIDs(t *testing.T) {
	t.Parallel()
	const n = 100_000
	seen := make(map[string]bool, n)
	var ones [64]int
	for range n {
		id := connid.New(1)
		seen[id] = true
		value := rawID(t, id)
		for bit := range ones {
			ones[bit] += int(value >> bit & 1)
		}
	}
	require.Len(t, seen, n)
	for bit := range 56 {
		require.InDelta(t, n/2, ones[bit], 1500, "bit %d", bit) // nine standard deviations
	}
	srv := gatewaytest.New(t)
	c := srv.Dial(t)
	id := c.ConnectionID()
	tag, issued := connid.Parse(id)
	require.True(t, issued)
	r := rand.New(rand.NewPCG(1, 2))
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	for range 300 {
		random := make([]byte, 18)
		for i := range random {
			random[i] = alphabet[r.IntN(64)]
		}
		mutated := []byte(id)
		mutated[r.IntN(17)] = alphabet[r.IntN(64)]
		for _, guess := range []string{connid.New(tag), string(random[:17]) + "A==", string(mutated)} {
			if guess == id {
				continue
			}
			require.Contains(t, []int{400, 410}, wiretest.Dial(t, srv.HTTPClient()).MustAsk(managementText(operations()[r.IntN(3)], guess, "evil")).Status, guess)
		}
	}
	require.NoError(t, srv.PostToConnection(t.Context(), id, []byte("first")))
	require.Equal(t, "first", c.Receive(), "nothing came before, and the connection is still open")
}

// rawID returns the seven random bytes of an ID.
func rawID(t *testing.T, id string) uint64 {
	t.Helper()
	raw, err := base64.URLEncoding.DecodeString(id)
	require.NoError(t, err)
	return binary.BigEndian.Uint64(append([]byte{0}, raw[4:11]...))
}

// A panic of user code costs its own request at most, and releases what the request
// had taken.
func TestThreat_PanicsOfUserCode(t *testing.T) {
	t.Parallel()
	var panicking struct { // each method of a nil one panics
		gateway.ManagementAuth
		gateway.UsageStore
	}
	gw := newGateway(t, gateway.WithManagementAuth(panicking), gateway.WithUsageStore(panicking), gateway.WithQuotas(gateway.Quotas{Connections: 1}))
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, "@connections") {
			gw.ManagementHandler().ServeHTTP(w, r)
			return
		}
		gw.Handler().ServeHTTP(w, r)
	}))
	srv.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	srv.Start()
	t.Cleanup(srv.Close)
	dial := func() *wiretest.Peer {
		nc, err := net.Dial("tcp", srv.Listener.Addr().String())
		require.NoError(t, err)
		return wiretest.New(t, nc)
	}
	gw.Handle(gateway.RouteKeyConnect, &gateway.MockIntegration{}, gateway.WithAPIKeyRequired())
	gw.HandleFunc(gateway.RouteKeyDefault, serve, gateway.WithRouteResponse())
	for _, text := range []string{wiretest.Upgrade("/test", "x-api-key: "+apiKeyOfTest), managementText("GET", connid.New(1), "")} {
		require.Equal(t, 500, dial().MustAsk(text).Status)
	}
	require.NoError(t, gw.Deploy(gateway.Deployment{Routes: []gateway.Route{{RouteKey: gateway.RouteKeyDefault, Integration: gateway.IntegrationFunc(serve), RouteResponse: true}}}))
	w := dial()
	require.Equal(t, 101, w.MustAsk(wiretest.Upgrade("/test")).Status, "the only place is free again")
	w.MustSend(wiretest.Text, "x")
	require.Equal(t, "served", w.Receive())
}

// Mistakes that the gateway once made, and must not make again.
func TestThreat_Mended(t *testing.T) {
	t.Parallel()
	for _, mended := range []struct {
		name, was string
		holds     func(t *testing.T) bool
	}{
		{"a client's regular expression stays out of the log", "the error of package regexp quoted the pattern", func(t *testing.T) bool {
			log := &testutil.LockedBuffer{}
			srv := gatewaytest.New(t, gateway.WithLogger(slog.New(slog.NewTextHandler(log, nil))))
			srv.Handle(gateway.RouteKeyDefault, echoing(gateway.Transform{RequestTemplates: map[string]string{"$default": `$input.body.matches($input.path('$.x'))`}}))
			c := srv.Dial(t)
			c.Send(`{"x":"(` + marked + `"}`)
			require.Contains(t, c.Receive(), "Internal server error")
			return !strings.Contains(log.String(), marked)
		}},
		{"a client's path stays out of the log", "the error of a JSONPath quoted the path", func(t *testing.T) bool {
			log := &testutil.LockedBuffer{}
			srv := gatewaytest.New(t, gateway.WithLogger(slog.New(slog.NewTextHandler(log, nil))))
			srv.Handle(gateway.RouteKeyDefault, echoing(gateway.Transform{RequestTemplates: map[string]string{"$default": `$input.path($input.path('$.x'))$input.json($input.path('$.x'))`}}))
			c := srv.Dial(t)
			c.Send(`{"x":"$[` + strings.Repeat(marked, 1000) + `"}`)
			require.Contains(t, c.Receive(), "Internal server error")
			return !strings.Contains(log.String(), marked) && strings.Contains(log.String(), "the JSONPath is not valid: position ") && len(log.String()) < 1000
		}},
		{"a close reason keeps no backend from its $disconnect", "a mapped value with a line break failed the call", func(t *testing.T) bool {
			e := testutil.NewBackend(t, testutil.OK)
			srv := gatewaytest.New(t)
			srv.Handle(gateway.RouteKeyDisconnect, &gateway.HTTPIntegration{URI: e.URL, RequestParameters: map[string]string{"integration.request.header.X-Reason": "context.disconnectReason"}})
			c := srv.Dial(t)
			c.Close(1000, "by\nbye")
			srv.WaitDisconnect(c.ConnectionID())
			return e.Count() == 1
		}},
		{"no placeholder stands for a host", "{name} was taken in front of the path", func(t *testing.T) bool {
			e := testutil.NewBackend(t, testutil.OK)
			srv := newGateway(t)
			err := srv.Deploy(gateway.Deployment{Routes: []gateway.Route{{RouteKey: "$default", Integration: &gateway.HTTPIntegration{
				URI: "http://api-{x}/y", RequestParameters: map[string]string{"integration.request.path.x": "route.request.body.x"},
			}}}})
			return err != nil && e.Count() == 0
		}},
		{"a policy's stage is not the caller's to choose", "without Auth.Stage the path before the last @connections named it", func(t *testing.T) bool {
			policy, err := iam.ParsePolicy([]byte(`{"Statement":{"Effect":"Allow","Action":"*","Resource":"arn:aws:execute-api:us-east-1:*:local/dev/*"}}`))
			require.NoError(t, err)
			keys := sigv4.StaticKeys(map[string]sigv4.Key{"AKID": {SecretAccessKey: "secret"}})
			auth := &iam.Auth{Verifier: &sigv4.Verifier{Service: "execute-api", Region: "us-east-1", Keys: keys}, Policy: iam.ByAccessKey(map[string]*iam.PolicyDocument{"AKID": policy})}
			gw := newGateway(t, gateway.WithManagementAuth(auth))
			mux := http.NewServeMux()
			mux.Handle("/prod/@connections/", gw.ManagementHandler()) // as in README.md
			answer := func(path string) string {
				w := httptest.NewRecorder()
				mux.ServeHTTP(w, signedGet(path+"/@connections/"+url.PathEscape(connid.New(1))))
				return field(w, "x-amzn-ErrorType")
			}
			require.Equal(t, "AccessDeniedException", answer("/prod"), "the policy is for another stage")
			return answer("/prod/@connections/dev") == "AccessDeniedException"
		}},
	} {
		t.Run(mended.name, func(t *testing.T) {
			t.Parallel()
			require.True(t, mended.holds(t), mended.was)
		})
	}
}

// signedGet is a GET request signed with the access key AKID.
func signedGet(path string) *http.Request {
	mac := func(key []byte, text string) []byte {
		h := hmac.New(sha256.New, key)
		_, _ = io.WriteString(h, text)
		return h.Sum(nil)
	}
	hash := func(text string) string { h := sha256.Sum256([]byte(text)); return hex.EncodeToString(h[:]) }
	r := httptest.NewRequest(http.MethodGet, path, nil)
	now := time.Now().UTC().Format("20060102T150405Z")
	scope := now[:8] + "/us-east-1/execute-api/aws4_request"
	r.Header.Set("X-Amz-Date", now)
	canonical := "GET\n" + strings.NewReplacer("@", "%40", "=", "%3D").Replace(path) + "\n\nhost:example.com\nx-amz-date:" + now + "\n\nhost;x-amz-date\n" + hash("")
	key := []byte("AWS4secret")
	for part := range strings.SplitSeq(scope, "/") {
		key = mac(key, part)
	}
	r.Header.Set("Authorization", fmt.Sprintf("AWS4-HMAC-SHA256 Credential=AKID/%s, SignedHeaders=host;x-amz-date, Signature=%x", scope, mac(key, "AWS4-HMAC-SHA256\n"+now+"\n"+scope+"\n"+hash(canonical))))
	return r
}
