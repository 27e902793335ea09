package lambdatest

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	awslambda "github.com/aws/aws-lambda-go/lambda"
	"github.com/stretchr/testify/require"

	"example.com/gateway"
	"example.com/gateway/lambda"
)

func repeat(req events.APIGatewayWebsocketProxyRequest) (events.APIGatewayProxyResponse, error) {
	return events.APIGatewayProxyResponse{Body: strings.Repeat(req.Body, 20)}, nil
}

// TestNewHandler_OverwritesItsAnswer shows why lambda.Wrap makes one call of a handler's
// Invoke at a time. When this test fails, aws-lambda-go has been corrected, and Wrap no
// longer needs to do so.
func TestNewHandler_OverwritesItsAnswer(t *testing.T) {
	t.Parallel()
	h := awslambda.NewHandler(repeat)
	for range 1000 { // the second call may get another buffer from the pool
		first, err := h.Invoke(t.Context(), []byte(`{"body":"a"}`))
		require.NoError(t, err)
		before := bytes.Clone(first)
		_, err = h.Invoke(t.Context(), []byte(`{"body":"b"}`))
		require.NoError(t, err)
		if !bytes.Equal(before, first) {
			return
		}
	}
	t.Fatal("an answer outlives the next call: the workaround in lambda/wrap.go, oneAtATime, can go")
}

// With Wrap each caller gets the answer to its own event.
func TestWrap_KeepsAnswersApart(t *testing.T) {
	t.Parallel()
	for name, handler := range map[string]any{
		"the func":                     repeat,
		"the handler made of the func": awslambda.NewHandler(repeat),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const callers = 8
			i := lambda.Wrap(handler)
			errs := make(chan error, callers)
			var running sync.WaitGroup
			for c := range callers {
				running.Go(func() {
					body := string(rune('a' + c))
					for range 500 {
						resp, err := i.Invoke(t.Context(), &gateway.Request{EventType: gateway.EventMessage, Body: []byte(body)})
						if err == nil && string(resp.Body) != strings.Repeat(body, 20) {
							err = fmt.Errorf("caller %s got %s", body, resp.Body)
						}
						if err != nil {
							errs <- err
							return
						}
					}
				})
			}
			running.Wait()
			close(errs)
			for err := range errs {
				require.NoError(t, err)
			}
		})
	}
}
