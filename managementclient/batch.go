package managementclient

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"unicode/utf8"

	"example.com/gateway"
	"example.com/gateway/internal/apicall"
)

// Message is a message for an audience.
type Message struct {
	To   gateway.Audience
	Data []byte
	// Binary says that it is a binary message, as [gateway.Binary] does.
	Binary bool
}

// Outcome is what became of a Message.
type Outcome struct {
	// Delivery has at least one error if the message failed for any connection. All messages
	// of one call have at most 1,000 errors more; the counts are always whole.
	gateway.Delivery
	// Err is why nobody has got the message, for example because the audience cannot be.
	Err error
}

// PostBatch posts many different messages with few calls: each has up to 10,000 of them, and
// 1 MiB. It returns one Outcome for each message, in their order. They are posted one after
// the other, and one that fails does not hinder the others. Each audience names at most 1,000
// connections, none of them "", and has at most 1,000 exceptions.
//
// With an error there are only the outcomes of the first messages, up to the one of which
// nothing is known. That one and up to 10,000 behind it may have been posted, too.
func (c *Client) PostBatch(ctx context.Context, messages []Message) ([]Outcome, error) {
	outcomes := make([]Outcome, len(messages))
	var body []byte
	var lines []int // which messages the body has
	send := func() error {
		posted, err := c.postLines(ctx, body, len(lines))
		for n := range posted {
			outcomes[lines[n]] = posted[n]
		}
		if err != nil && len(posted) < len(lines) {
			outcomes = outcomes[:lines[len(posted)]]
		}
		body, lines = body[:0], lines[:0]
		return err
	}
	for n := range messages {
		to := query(messages[n].To)
		if outcomes[n].Err = checkText(to); outcomes[n].Err != nil {
			continue
		}
		line := apicall.AppendMessage(nil, to, messages[n].Data, messages[n].Binary)
		if len(lines) == apicall.BatchLines || len(lines) > 0 && len(body)+len(line) > apicall.BatchBytes {
			if err := send(); err != nil {
				return outcomes, err
			}
		}
		body, lines = append(body, line...), append(lines, n)
	}
	if len(lines) > 0 {
		if err := send(); err != nil {
			return outcomes, err
		}
	}
	return outcomes, nil
}

// checkText refuses names that JSON would change into others.
func checkText(to url.Values) error {
	for field, values := range to {
		for _, value := range values {
			if !utf8.ValidString(value) {
				return fmt.Errorf("%w: %s: it is not valid UTF-8", gateway.ErrInvalidArgument, field)
			}
		}
	}
	return nil
}

// postLines posts the lines of one batch.
func (c *Client) postLines(ctx context.Context, body []byte, lines int) (outcomes []Outcome, err error) {
	answer, err := c.do(ctx, &request{method: http.MethodPost, body: body, header: http.Header{"Content-Type": {apicall.BatchType}}})
	if err != nil {
		return nil, err
	}
	for line := range bytes.Lines(answer) {
		var wire apicall.Outcome
		if err := json.Unmarshal(line, &wire); err != nil {
			break // it is cut off
		}
		var o Outcome
		switch {
		case wire.Error != nil:
			o.Err = errorOf(*wire.Error)
		case wire.Delivery != nil:
			add(&o.Delivery, wire.Delivery)
		}
		outcomes = append(outcomes, o)
	}
	if len(outcomes) != lines {
		return outcomes[:min(len(outcomes), lines)], fmt.Errorf("managementclient: the answer has %d outcomes for %d messages", len(outcomes), lines)
	}
	return outcomes, nil
}
