package iam_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
	"example.com/gateway/gatewaytest"
	"example.com/gateway/iam"
	"example.com/gateway/sigv4"
)

const (
	ann    = "AKIDANN"
	bob    = "AKIDBOB"
	secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
)

func verifier() *sigv4.Verifier {
	caller := func(name string) sigv4.Caller {
		return sigv4.Caller{AccountID: "111122223333", PrincipalID: "AIDA" + strings.ToUpper(name), ARN: "arn:aws:iam::111122223333:user/" + name}
	}
	return &sigv4.Verifier{Service: "execute-api", Region: "us-east-1", Keys: sigv4.StaticKeys(map[string]sigv4.Key{
		ann: {SecretAccessKey: secret, Caller: caller("ann")},
		bob: {SecretAccessKey: secret, Caller: caller("bob")},
	})}
}

// sign adds a signature of the header form over host and date, as boto3 does.
func sign(r *http.Request, keyID, secret string, body []byte) {
	now := time.Now().UTC()
	r.Header.Set("X-Amz-Date", now.Format("20060102T150405Z"))
	hash := func(b []byte) string {
		sum := sha256.Sum256(b)
		return hex.EncodeToString(sum[:])
	}
	mac := func(key []byte, text string) []byte {
		h := hmac.New(sha256.New, key)
		_, _ = io.WriteString(h, text)
		return h.Sum(nil)
	}
	path := strings.NewReplacer("%", "%25", "@", "%40").Replace(r.URL.EscapedPath())
	query := strings.ReplaceAll(r.URL.Query().Encode(), "+", "%20")
	canonical := r.Method + "\n" + path + "\n" + query + "\nhost:" + r.URL.Host + "\nx-amz-date:" + r.Header.Get("X-Amz-Date") + "\n\nhost;x-amz-date\n" + hash(body)
	scope := now.Format("20060102") + "/us-east-1/execute-api/aws4_request"
	toSign := "AWS4-HMAC-SHA256\n" + r.Header.Get("X-Amz-Date") + "\n" + scope + "\n" + hash([]byte(canonical))
	key := []byte("AWS4" + secret)
	for part := range strings.SplitSeq(scope, "/") {
		key = mac(key, part)
	}
	r.Header.Set("Authorization", fmt.Sprintf("AWS4-HMAC-SHA256 Credential=%s/%s, SignedHeaders=host;x-amz-date, Signature=%x", keyID, scope, mac(key, toSign)))
}

func document(t *testing.T, effect, action, resource string) *iam.PolicyDocument {
	t.Helper()
	d, err := iam.ParsePolicy([]byte(`{"Version":"2012-10-17","Statement":{"Effect":"` + effect + `","Action":"` + action + `","Resource":"` + resource + `"}}`))
	require.NoError(t, err)
	return d
}

// signedCall makes a management call.
func signedCall(t *testing.T, srv *gatewaytest.Server, method, base, id, keyID, secret string) (status int, name, body string) {
	t.Helper()
	endpoint := strings.TrimSuffix(srv.ManagementURL(), "/test")
	r, err := http.NewRequestWithContext(t.Context(), method, endpoint+base+"/@connections/"+url.QueryEscape(id), bytes.NewReader([]byte("hi")))
	require.NoError(t, err)
	if keyID != "" {
		sign(r, keyID, secret, []byte("hi"))
	}
	resp, err := srv.HTTPClient().Do(r)
	require.NoError(t, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, resp.Header.Get("X-Amzn-Errortype"), string(b)
}

// The effect of resources in a policy, as in recordings of the service.
func TestAuth_ManageConnections(t *testing.T) {
	t.Parallel()
	const api = "arn:aws:execute-api:us-east-1:111122223333:a1b2c3d4e5"
	const action = "execute-api:ManageConnections"
	for _, tt := range []struct {
		name     string
		effect   string
		action   string
		resource string // {id} is the connection's
		method   string
		in       bool
		why      string // of a denial
	}{
		{"all of the API", "Allow", action, api + "/*", "POST", true, ""},
		{"all connections of a method", "Allow", action, api + "/dev/GET/@connections/*", "GET", true, ""},
		{"another method", "Allow", action, api + "/dev/GET/@connections/*", "POST", false, "no identity"},
		{"every method of the stage", "Allow", action, api + "/dev/*/@connections/*", "DELETE", true, ""},
		{"the literal text", "Allow", action, api + "/dev/POST/@connections/{connectionId}", "POST", true, ""},
		{"the form printed in the guide", "Allow", action, api + "/dev/POST/@connections", "POST", false, "no identity"},
		{"one connection", "Allow", action, api + "/dev/POST/@connections/{id}", "POST", false, "no identity"},
		{"another stage", "Allow", action, api + "/other/*", "POST", false, "no identity"},
		{"another API", "Allow", action, "arn:aws:execute-api:us-east-1:111122223333:other/*", "POST", false, "no identity"},
		{"another action", "Allow", "execute-api:Invoke", "*", "POST", false, "no identity"},
		{"every action of the service", "Allow", "execute-api:*", "*", "POST", true, ""},
		{"a denial", "Deny", action, "*", "POST", false, "explicit deny"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			documents := map[string]*iam.PolicyDocument{}
			srv := gatewaytest.New(t, gateway.WithAPI("a1b2c3d4e5", ""), gateway.WithStage("dev", nil),
				gateway.WithManagementAuth(&iam.Auth{Verifier: verifier(), Policy: iam.ByAccessKey(documents)}))
			c := srv.Dial(t)
			documents[ann] = document(t, tt.effect, tt.action, strings.ReplaceAll(tt.resource, "{id}", c.ConnectionID()))
			status, name, body := signedCall(t, srv, tt.method, "/other/@connections/any", c.ConnectionID(), ann, secret) // the path does not count
			if tt.in {
				require.Less(t, status, 300, body)
				return
			}
			why := " because no identity-based policy allows the execute-api:ManageConnections action"
			if tt.why == "explicit deny" {
				why = " with an explicit deny in an identity-based policy"
			}
			require.Equal(t, http.StatusForbidden, status)
			require.Equal(t, "AccessDeniedException", name)
			require.Equal(t, `{"Message":"User: arn:aws:iam::111122223333:user/ann is not authorized to perform: execute-api:ManageConnections on resource: arn:aws:execute-api:us-east-1:********3333:a1b2c3d4e5/dev/`+tt.method+`/@connections/{connectionId}`+why+`"}`, body)
		})
	}
}

// An unknown caller is refused before the policy is asked. The policy is asked before the
// connection is looked up.
func TestAuth_Order(t *testing.T) {
	t.Parallel()
	var asked []iam.Access
	srv := gatewaytest.New(t, gateway.WithStage("prod", nil), gateway.WithManagementAuth(&iam.Auth{Verifier: verifier(), Policy: func(_ context.Context, a iam.Access) (iam.Decision, error) {
		asked = append(asked, a)
		if a.Caller.AccessKeyID == bob {
			return iam.Allow, errors.New("no database")
		}
		return iam.Allow, nil
	}}))
	c := srv.Dial(t)
	for _, tt := range []struct {
		name, keyID, secret, id string
		status                  int
		code                    string
	}{
		{"no signature", "", "", c.ConnectionID(), 403, "MissingAuthenticationTokenException"},
		{"an unknown key", "AKIDEVE", secret, c.ConnectionID(), 403, "UnrecognizedClientException"},
		{"a wrong secret", ann, "wrong", c.ConnectionID(), 403, "InvalidSignatureException"},
		{"an ID that was never issued", ann, "wrong", "AAAAAAAAAAAAAAAAAA==", 400, "BadRequestException"},
		{"a policy that fails", bob, secret, c.ConnectionID(), 403, "ForbiddenException"},
		{"all in order", ann, secret, c.ConnectionID(), 200, ""},
	} {
		before := len(asked)
		status, name, body := signedCall(t, srv, "POST", "/base/prod", tt.id, tt.keyID, tt.secret)
		require.Equal(t, tt.status, status, "%s: %s", tt.name, body)
		require.Equal(t, tt.code, name, tt.name)
		require.Equal(t, tt.status == 200 || tt.keyID == bob, len(asked) > before, "%s: the policy is asked", tt.name)
		require.NotContains(t, body, "database")
	}
	last := asked[len(asked)-1]
	require.Equal(t, c.ConnectionID(), last.ConnectionID, "which the service's policies do not see")
	require.Equal(t, "arn:aws:execute-api:us-east-1:111122223333:local/prod/POST/@connections/{connectionId}", last.Resource)
	require.Equal(t, "hi", c.Receive())
}

// With the Verifier alone, everyone who has a key may call.
func TestVerifier_IsAManagementAuth(t *testing.T) {
	t.Parallel()
	srv := gatewaytest.New(t, gateway.WithManagementAuth(verifier()))
	c := srv.Dial(t)
	status, _, body := signedCall(t, srv, "POST", "/test", c.ConnectionID(), bob, secret)
	require.Equal(t, 200, status, body)
	status, name, body := signedCall(t, srv, "POST", "/test", c.ConnectionID(), bob, "wrong")
	require.Equal(t, 403, status)
	require.Equal(t, "InvalidSignatureException", name)
	var mismatch struct{ Message string }
	require.NoError(t, json.Unmarshal([]byte(body), &mismatch))
	require.Contains(t, mismatch.Message, "The Canonical String for this request should have been\n'POST\n/test/%40connections/")
	status, name, _ = signedCall(t, srv, "GET", "/test/x/..", c.ConnectionID(), bob, secret)
	require.Equal(t, 403, status)
	require.NotEmpty(t, name, "a path that climbs reaches nothing")
}

func TestAuth_Connect(t *testing.T) {
	t.Parallel()
	const resource = "arn:aws:execute-api:us-east-1:111122223333:a1b2c3d4e5/prod/$connect"
	documents := map[string]*iam.PolicyDocument{ann: document(t, "Allow", "execute-api:Invoke", resource), bob: document(t, "Deny", "*", "*")}
	srv := gatewaytest.New(t, gateway.WithAPI("a1b2c3d4e5", ""), gateway.WithStage("prod", nil))
	srv.Handle(gateway.RouteKeyConnect, &gateway.MockIntegration{}, gateway.WithAuthorizer(&iam.Auth{Verifier: verifier(), Policy: iam.ByAccessKey(documents)}))
	srv.Handle("m", &gateway.MockIntegration{})

	dial := func(keyID, secret string) (*gatewaytest.Client, *gatewaytest.Refused) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, strings.Replace(srv.URL(), "ws", "http", 1), nil)
		require.NoError(t, err)
		if keyID == "" {
			return srv.TryDial(t)
		}
		sign(r, keyID, secret, nil)
		return srv.TryDial(t, gatewaytest.Header("X-Amz-Date", r.Header.Get("X-Amz-Date")), gatewaytest.Header("Authorization", r.Header.Get("Authorization")))
	}
	c, refused := dial(ann, secret)
	require.Nil(t, refused)
	c.Send(`{"action":"m"}`)
	e := srv.WaitEvent(func(e gatewaytest.Event) bool { return e.RouteKey == "m" })
	require.Equal(t, &gateway.Caller{AccountID: "111122223333", PrincipalID: "AIDAANN", ARN: "arn:aws:iam::111122223333:user/ann"}, e.Identity.Caller)
	require.Nil(t, e.Authorizer, "IAM has no context")

	for _, tt := range []struct{ name, keyID, secret, message string }{
		{"unsigned", "", "", "Missing Authentication Token"},
		{"an unknown key", "AKIDEVE", secret, "The security token included in the request is invalid."},
		{"a wrong secret", ann, "wrong", "The request signature we calculated does not match the signature you provided."},
		{"a policy that denies", bob, secret, "User: arn:aws:iam::111122223333:user/bob is not authorized to perform: execute-api:Invoke on resource: arn:aws:execute-api:us-east-1:********3333:a1b2c3d4e5/prod/$connect with an explicit deny in an identity-based policy"},
	} {
		_, refused := dial(tt.keyID, tt.secret)
		require.NotNil(t, refused, tt.name)
		require.Equal(t, 403, refused.StatusCode, tt.name)
		var answer struct{ Message, ConnectionID, RequestID string }
		require.NoError(t, json.Unmarshal([]byte(refused.Body), &answer), "%s: %s", tt.name, refused.Body)
		require.Contains(t, answer.Message, tt.message)
		require.NotEmpty(t, answer.ConnectionID)
	}
}

// An error of the policy refuses, whatever the decision is. A decision that is not one of
// the three denies.
func TestAuth_PolicyFails(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name            string
		decision        iam.Decision
		err             error
		connect, manage int
	}{
		{"an error", iam.Allow, errors.New("no database"), 500, 403},
		{"an error of a post", iam.Allow, gateway.ErrGone, 500, 403},
		{"ErrForbidden", iam.Allow, gateway.ErrForbidden, 403, 403},
		{"ErrUnauthorized", iam.Allow, gateway.ErrUnauthorized, 401, 403},
		{"another decision", iam.Decision(7), nil, 403, 403},
		{"a negative decision", iam.Decision(-1), nil, 403, 403},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			auth := &iam.Auth{Verifier: verifier(), Policy: func(context.Context, iam.Access) (iam.Decision, error) { return tt.decision, tt.err }}
			srv := gatewaytest.New(t, gateway.WithManagementAuth(auth))
			c := srv.Dial(t)
			status, _, _ := signedCall(t, srv, "GET", "/test", c.ConnectionID(), ann, secret)
			require.Equal(t, tt.manage, status)
			srv.Handle(gateway.RouteKeyConnect, &gateway.MockIntegration{}, gateway.WithAuthorizer(auth))
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, strings.Replace(srv.URL(), "ws", "http", 1), nil)
			require.NoError(t, err)
			sign(r, ann, secret, nil)
			_, refused := srv.TryDial(t, gatewaytest.Header("X-Amz-Date", r.Header.Get("X-Amz-Date")), gatewaytest.Header("Authorization", r.Header.Get("Authorization")))
			require.NotNil(t, refused)
			require.Equal(t, tt.connect, refused.StatusCode)
			require.NotContains(t, refused.Body, "database")
		})
	}
}

// A caller that swapped the two parts of its key sees what it sent. The log does not contain
// it.
func TestAuth_LogHasNoSecret(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	auth := &iam.Auth{Verifier: verifier(), Policy: iam.ByAccessKey(nil)}
	srv := gatewaytest.New(t, gateway.WithLogger(logger), gateway.WithManagementAuth(auth))
	c := srv.Dial(t)
	srv.Handle(gateway.RouteKeyConnect, &gateway.MockIntegration{}, gateway.WithAuthorizer(auth))
	for _, sent := range []string{secret, "NOSLASH0000SECRET"} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, strings.Replace(srv.URL(), "ws", "http", 1), nil)
		require.NoError(t, err)
		sign(r, sent, ann, nil)
		_, refused := srv.TryDial(t, gatewaytest.Header("X-Amz-Date", r.Header.Get("X-Amz-Date")), gatewaytest.Header("Authorization", r.Header.Get("Authorization")))
		require.Equal(t, 403, refused.StatusCode)
		_, refused = srv.TryDial(t, gatewaytest.Header("Authorization", sent))
		require.Equal(t, 403, refused.StatusCode)
		require.Contains(t, refused.Body, "Authorization="+sent)
		status, _, _ := signedCall(t, srv, "GET", "/test", c.ConnectionID(), sent, ann)
		require.Equal(t, 403, status)
		for part := range strings.SplitSeq(sent, "/") {
			require.NotContains(t, log.String(), part)
		}
	}
	require.Contains(t, log.String(), "Credential must have exactly 5 slash-delimited elements")
}

// A gateway refuses an Auth that is not complete. Without a gateway it denies.
func TestAuth_Incomplete(t *testing.T) {
	t.Parallel()
	gw, err := gateway.New()
	require.NoError(t, err)
	for says, auth := range map[string]*iam.Auth{
		"Auth.Verifier is nil":      {Policy: iam.ByAccessKey(nil)},
		"Auth.Policy is nil":        {Verifier: verifier()},
		"Verifier.Service is empty": {Verifier: &sigv4.Verifier{}, Policy: iam.ByAccessKey(nil)},
	} {
		_, err := gateway.New(gateway.WithManagementAuth(auth))
		require.ErrorIs(t, err, gateway.ErrInvalidOption)
		require.ErrorContains(t, err, says)
		err = gw.Deploy(gateway.Deployment{Routes: []gateway.Route{{RouteKey: "$connect", Integration: &gateway.MockIntegration{}, Authorizer: auth}}})
		require.ErrorIs(t, err, gateway.ErrInvalidOption)
		require.ErrorContains(t, err, says)

		_, err = auth.Authorize(t.Context(), &gateway.Request{}) // not by way of a Gateway
		require.ErrorContains(t, err, says)
		require.ErrorContains(t, auth.AuthorizeManagement(t.Context(), &gateway.ManagementCall{Request: httptest.NewRequest("POST", "/@connections/x", nil)}), says)
	}
	_, err = gateway.New(gateway.WithManagementAuth((*iam.Auth)(nil)))
	require.ErrorIs(t, err, gateway.ErrInvalidOption)
	_, err = gateway.New(gateway.WithManagementAuth(&sigv4.Verifier{}))
	require.ErrorContains(t, err, "gateway: invalid option: WithManagementAuth: sigv4: Verifier.Service is empty")
	_, err = (&iam.Auth{Verifier: verifier(), Policy: iam.ByAccessKey(nil)}).Authorize(t.Context(), &gateway.Request{})
	require.ErrorContains(t, err, "no Upgrade")
	require.Equal(t, iam.ImplicitDeny, (*iam.PolicyDocument)(nil).Decide("x", "y"))
	_, err = iam.ParsePolicy([]byte(`{}`))
	require.ErrorContains(t, err, "iam: policy: ")
}
