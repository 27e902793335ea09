package main

import (
	"crypto/md5" //nolint:gosec // it is a part of the protocol of SQS
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/stretchr/testify/require"

	"example.com/gateway"
	"example.com/gateway/gatewaytest"
	"example.com/gateway/sigv4"
)

// sent is what the SDK sends for SendMessage.
type sent struct {
	QueueURL          string `json:"QueueUrl"`
	MessageBody       string
	MessageAttributes map[string]struct{ DataType, StringValue string }
}

// endpoint is as much of SQS as SendMessage needs: it checks the signature, and answers with
// the digest of the body, which the SDK compares. refuse makes it answer as an SQS that is
// overloaded.
func endpoint(t *testing.T, taken chan<- sent, refuse bool) *httptest.Server {
	t.Helper()
	verifier := &sigv4.Verifier{Service: "sqs", Region: "eu-central-1", Keys: sigv4.StaticKeys(map[string]sigv4.Key{"AKIDEXAMPLE": {SecretAccessKey: "secret"}})}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		w.Header().Set("Content-Type", "application/x-amz-json-1.0")
		call := &gateway.ManagementCall{Request: r, Body: body}
		if err != nil || verifier.AuthorizeManagement(r.Context(), call) != nil || r.Header.Get("X-Amz-Target") != "AmazonSQS.SendMessage" {
			w.WriteHeader(http.StatusForbidden)
			_, _ = io.WriteString(w, `{"__type":"com.amazonaws.sqs#InvalidSecurity"}`)
			return
		}
		if refuse {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, `{"__type":"com.amazonaws.sqs#OverLimit","message":"secret text of the queue"}`)
			return
		}
		var s sent
		_ = json.Unmarshal(body, &s)
		digest := md5.Sum([]byte(s.MessageBody)) //nolint:gosec // as above
		_ = json.NewEncoder(w).Encode(map[string]string{"MessageId": "1", "MD5OfMessageBody": hex.EncodeToString(digest[:])})
		taken <- s
	}))
	t.Cleanup(srv.Close)
	return srv
}

func newClient(url, secret string) *sqs.Client {
	return sqs.New(sqs.Options{
		Region: "eu-central-1", BaseEndpoint: aws.String(url), RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", secret, ""),
	})
}

// The SDK sends each message, signed, with the connection that it is from.
func TestSend(t *testing.T) {
	taken := make(chan sent, 1)
	queue := endpoint(t, taken, false)
	srv := gatewaytest.New(t)
	srv.Handle(gateway.RouteKeyDefault, send(newClient(queue.URL, "secret"), queue.URL+"/123456789012/orders"))
	c := srv.Dial(t)
	c.Send("tea, please \u2615")
	got := <-taken
	require.Equal(t, "tea, please \u2615", got.MessageBody)
	require.Equal(t, queue.URL+"/123456789012/orders", got.QueueURL)
	require.Equal(t, c.ConnectionID(), got.MessageAttributes["connectionId"].StringValue)
	require.Equal(t, "String", got.MessageAttributes["routeKey"].DataType)
	require.NotEmpty(t, got.MessageAttributes["requestId"].StringValue)
}

// A client learns that its message is lost, and nothing of why.
func TestSend_Refused(t *testing.T) {
	for name, tt := range map[string]struct {
		secret string
		refuse bool
	}{
		"overloaded":  {"secret", true},
		"a wrong key": {"wrong", false},
	} {
		t.Run(name, func(t *testing.T) {
			queue := endpoint(t, make(chan sent, 1), tt.refuse)
			srv := gatewaytest.New(t)
			srv.Handle(gateway.RouteKeyDefault, send(newClient(queue.URL, tt.secret), queue.URL+"/123456789012/orders"))
			c := srv.Dial(t)
			c.Send("tea")
			answer := c.Receive()
			require.Contains(t, answer, `{"message": "Internal server error"`)
			require.NotContains(t, answer, "secret text")
		})
	}
}
