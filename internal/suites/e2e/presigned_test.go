//go:build unix

package e2e

import (
	"context"
	"encoding/json"
	"net/http/httptest"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
	"example.com/gateway/iam"
	"example.com/gateway/sigv4"
)

// startConnectServer returns the URL of a gateway whose $connect requires a
// signature. Its route "room" answers with the room in the query of the upgrade.
func startConnectServer(t *testing.T) string {
	t.Helper()
	session := sigv4.Key{SecretAccessKey: awsSecret, SessionToken: awsToken}
	policy, err := iam.ParsePolicy([]byte(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"execute-api:Invoke","Resource":"*"}}`))
	require.NoError(t, err)
	auth := &iam.Auth{
		Verifier: &sigv4.Verifier{Service: "execute-api", Region: "us-east-1", Keys: sigv4.StaticKeys(map[string]sigv4.Key{
			allowed: {SecretAccessKey: awsSecret}, temporary: session, denied: {SecretAccessKey: awsSecret},
		})},
		Policy: iam.ByAccessKey(map[string]*iam.PolicyDocument{allowed: policy, temporary: policy}),
	}
	gw, err := gateway.New(gateway.WithStage("prod", nil))
	require.NoError(t, err)
	var rooms sync.Map // by connection ID
	gw.HandleFunc(gateway.RouteKeyConnect, func(_ context.Context, req *gateway.Request) (*gateway.Response, error) {
		rooms.Store(req.ConnectionID, req.Upgrade.URL.Query().Get("room"))
		return &gateway.Response{}, nil
	}, gateway.WithAuthorizer(auth))
	gw.HandleFunc("room", func(_ context.Context, req *gateway.Request) (*gateway.Response, error) {
		room, _ := rooms.Load(req.ConnectionID)
		return &gateway.Response{Body: []byte("in " + room.(string))}, nil
	}, gateway.WithRouteResponse())
	server := httptest.NewServer(gw.Handler())
	t.Cleanup(func() {
		_ = gw.Close()
		server.Close()
	})
	return strings.Replace(server.URL, "http", "ws", 1) + "/prod"
}

// Browsers and programs open a WebSocket with the URLs and headers of these signers,
// on a $connect with AWS_IAM authorization. None of the signers writes X-Amz-Expires,
// and some write a blank as "+" and sign it as "%20".
func TestPresigned(t *testing.T) {
	outside(t)
	findModule(t, "@aws-amplify/core/package.json")
	url := startConnectServer(t)
	cmd := exec.CommandContext(t.Context(), findTool(t, "install Node.js 20 or newer", "node"), "presigned.mjs")
	cmd.Env = awsEnvironment(t)
	stdin, err := cmd.StdinPipe()
	require.NoError(t, err)
	cmd.Cancel = stdin.Close
	p, outcomes := start(t, cmd), 0

	type call struct {
		Signer          string `json:"signer"`
		URL             string `json:"url"`
		AccessKeyID     string `json:"accessKeyId"`
		SecretAccessKey string `json:"secretAccessKey"`
		SessionToken    string `json:"sessionToken,omitempty"`
	}
	for _, signer := range []string{"aws4fetch, query", "aws4fetch, headers", "aws4, query", "aws4, headers", "Amplify, query"} {
		for _, tt := range []struct {
			name, query, keyID, secret, token string
			room                              string // "-": refused
		}{
			{"nothing", "", allowed, awsSecret, "", ""},
			{"a parameter", "?room=blue", allowed, awsSecret, "", "blue"},
			{"a blank", "?room=my%20room", allowed, awsSecret, "", "my room"},
			{"a blank, written as a plus sign", "?room=my+room", allowed, awsSecret, "", "my room"},
			{"blanks and parameters of one name", "?room=b&room=a%20&x=+", allowed, awsSecret, "", "b"},
			{"a blank and a plus sign", "?room=my%20%2B%20room", allowed, awsSecret, "", "my + room"},
			{"other characters", "?room=%C3%A9%2F%3D%26%7E%2A%27%28%29%21", allowed, awsSecret, "", "é/=&~*'()!"},
			{"a temporary key", "?room=my%20room", temporary, awsSecret, awsToken, "my room"},
			{"a temporary key, its token missing", "", temporary, awsSecret, "", "-"},
			{"a wrong secret", "", allowed, "wrong", "", "-"},
			{"an unknown key", "", "AKIDEVE", awsSecret, "", "-"},
			{"a key that may not", "", denied, awsSecret, "", "-"},
		} {
			require.NoError(t, json.NewEncoder(stdin).Encode(call{signer, url + tt.query, tt.keyID, tt.secret, tt.token}))
			var got struct {
				URL, Reply, Error string
				Status            int
			}
			require.NoError(t, json.Unmarshal([]byte(p.next(t, &outcomes)), &got))
			require.Empty(t, got.Error, "%s, %s", signer, tt.name)
			require.NotContains(t, got.URL, "X-Amz-Expires")
			require.Equal(t, strings.HasSuffix(signer, "query"), strings.Contains(got.URL, "X-Amz-Signature"))
			if tt.room == "-" {
				require.Equal(t, 403, got.Status, "%s, %s: %s", signer, tt.name, got.URL)
				continue
			}
			require.Equal(t, 101, got.Status, "%s, %s: %s", signer, tt.name, got.URL)
			require.Equal(t, "in "+tt.room, got.Reply, "%s, %s: %s", signer, tt.name, got.URL)
		}
	}
}
