package api

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"sync"
	"time"

	"example.com/gateway/lambda"
)

const (
	mostAsyncEvent = 1 << 20 // bytes of an event that nobody waits for
	mostAsync      = 1000    // such events that run or wait
	mostTail       = 4 << 10 // bytes of the end of the log that a caller gets
)

// invoke answers Invoke.
func (s *Server) invoke(c *call) (reply, error) {
	name, qualifier, err := c.name()
	if err != nil {
		return reply{}, err
	}
	payload := c.data
	if len(payload) == 0 {
		payload = []byte("{}")
	}
	if !json.Valid(payload) {
		return reply{}, &apiError{http.StatusBadRequest, "InvalidRequestContentException", "Could not parse request body into json: the payload is not valid JSON"}
	}
	t := target{name, qualifier}
	switch kind := c.Header.Get("X-Amz-Invocation-Type"); kind {
	case "", "RequestResponse":
		return s.invokeAndWait(c, t, payload)
	case "Event":
		return s.invokeLater(c, t, payload)
	case "DryRun":
		return reply{status: http.StatusNoContent}, s.exists(t)
	default:
		return reply{}, constraint(kind, "invocationType", "satisfy enum value set: [Event, RequestResponse, DryRun]")
	}
}

// invokeAndWait answers with what the function answers.
func (s *Server) invokeAndWait(c *call, t target, payload []byte) (reply, error) {
	began := time.Now()
	tail := c.Header.Get("X-Amz-Log-Type") == "Tail"
	if tail {
		s.tails.begin(c.id)
		defer s.tails.end(c.id)
	}
	answer, on, err := s.run(c.Context(), t, c.id, payload)
	var raised *lambda.FunctionError
	var refused *lambda.InvokeError
	switch {
	case errors.As(err, &raised):
		c.header["X-Amz-Function-Error"] = []string{"Unhandled"}
		answer = raised.Report()
	case errors.As(err, &refused):
		return reply{}, &apiError{refused.StatusCode, refused.Type, refused.Message}
	case err != nil:
		return reply{}, err
	}
	c.header["X-Amz-Executed-Version"] = []string{on.version}
	if tail {
		c.header["X-Amz-Log-Result"] = []string{s.tails.result(c.id, on, time.Since(began))}
	}
	return reply{status: http.StatusOK, bytes: answer}, nil
}

// invokeLater gives an event to a function, and does not wait for it. An event that fails
// is not sent again.
func (s *Server) invokeLater(c *call, t target, payload []byte) (reply, error) {
	if len(payload) > mostAsyncEvent {
		return reply{}, &apiError{http.StatusRequestEntityTooLarge, "RequestTooLargeException", fmt.Sprintf("%d byte payload is too large for the Event invocation type (limit %d bytes)", len(payload), mostAsyncEvent)}
	}
	if err := s.exists(t); err != nil {
		return reply{}, err
	}
	r := &s.runner
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.closed:
		return reply{}, errClosed
	case r.async >= mostAsync:
		return reply{}, throttled("%d events that nobody waits for run already: send this one again later", mostAsync)
	}
	r.async++
	r.running.Go(func() { s.runLater(lifetime(), t, c.id, payload) })
	return reply{status: http.StatusAccepted, bytes: []byte{}}, nil
}

func (s *Server) runLater(ctx context.Context, t target, id string, payload []byte) {
	defer func() {
		s.runner.mu.Lock()
		defer s.runner.mu.Unlock()
		s.runner.async--
	}()
	if _, _, err := s.run(ctx, t, id, payload); err != nil {
		s.log.WarnContext(ctx, "an event that nobody waits for failed, and is not sent again", "function", t.name, "request_id", id, "error", err)
	}
}

// tails collects the end of what functions print, for the callers that ask for it.
type tails struct {
	mu   sync.Mutex
	byID map[string][]byte // by request ID
}

func (t *tails) begin(id string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.byID == nil {
		t.byID = map[string][]byte{}
	}
	t.byID[id] = []byte{}
}

func (t *tails) end(id string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.byID, id)
}

// add takes a line of a function.
func (t *tails) add(id, line string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if text, wanted := t.byID[id]; wanted {
		t.byID[id] = lastBytes(append(append(text, line...), '\n'))
	}
}

func lastBytes(text []byte) []byte {
	if n := len(text) - mostTail; n > 0 {
		text = append(text[:0], text[n:]...)
	}
	return text
}

// result returns the end of the log of an event, as base64.
func (t *tails) result(id string, on *instance, took time.Duration) string {
	t.mu.Lock()
	lines := string(t.byID[id])
	t.mu.Unlock()
	ms := float64(took.Microseconds()) / 1000
	text := fmt.Sprintf("START RequestId: %s Version: %s\n%sEND RequestId: %s\nREPORT RequestId: %s\tDuration: %.2f ms\tBilled Duration: %.0f ms\tMemory Size: %d MB\t\n",
		id, on.version, lines, id, id, ms, math.Ceil(ms), on.cfg.MemoryMB)
	return base64.StdEncoding.EncodeToString(lastBytes([]byte(text)))
}
