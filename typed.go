package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"slices"

	"example.com/gateway/internal/clip"
	"example.com/gateway/internal/strict"
)

// JSON makes an [Integration] of a func that takes the message of a client as a Go value and
// returns the answer as one:
//
//	gw.Handle("order", gateway.JSON(placeOrder), gateway.WithRouteResponse())
//
//	func placeOrder(ctx context.Context, req *gateway.Request, in Order) (Receipt, error)
//
// In is decoded as by package encoding/json, whose tags and methods apply, and so that it
// has all of the message:
//
//   - A member that In has no field for does not fit, here and in the structs inside. The
//     members that the route selection expression reads, such as "action", are allowed.
//     Names are compared exactly.
//   - A name that occurs twice in an object has its last value. The whole message is then
//     written anew before In gets it: a [json.RawMessage], and an UnmarshalJSON, see the same
//     values, but maybe other blanks, another order of members and other escapes.
//   - A type with a method UnmarshalJSON or UnmarshalText decides itself. The types any and
//     [json.RawMessage] take everything. To allow unknown members, use one of these.
//   - A member that the message does not have leaves its field zero. In may be a pointer; it
//     is never nil.
//
// If In has a method Validate() error, that decides next. Its text goes to the client and to
// the log, so it must have nothing that the client may not know. If it returns, wraps or
// joins a [FieldError], the client sees which field it is about. A message that does not fit
// does not reach the func. Its client gets the error frame of a message that does not fit its
// model, with the first ten problems:
//
//	{"message": "Invalid request body", "connectionId":"…", "requestId":"…", "errors":[{"field":"/count","message":"want integer, got string"}]}
//
// Out becomes JSON by [json.Marshal]. If Out is struct{}, or a pointer or an interface and
// nil, there is no answer. [JSONOneWay] is for a func without an answer.
//
// An error of the func that is, or wraps, a [PublicError] is an error frame with the message
// of that error, of which at most 1,024 bytes. The observers get the status 403 for it, or 401
// if it wraps [ErrUnauthorized], or that of an [*IntegrationError] around it. An error that
// wraps a FieldError, or several, is answered like a message that does not fit, with these.
// Any other error is answered as by every Integration: "Internal server error". Error frames
// are sent on every route.
//
// A JSON integration is for messages. [Gateway.Handle] and [Gateway.Deploy] refuse it for
// $connect, $disconnect, $join and $leave, whose events have no body. On $default a message
// that is not JSON, or binary, does not fit. The result may be used for several routes. The
// func runs concurrently, as Invoke does. In and req belong to it.
func JSON[In, Out any](fn func(ctx context.Context, req *Request, in In) (Out, error)) Integration {
	t := &typed[In, Out]{fn: fn}
	in := reflect.TypeFor[In]()
	out := reflect.TypeFor[Out]()
	t.pointer = in.Kind() == reflect.Pointer
	t.silent = out == reflect.TypeFor[struct{}]()
	t.nilable = out.Kind() == reflect.Pointer || out.Kind() == reflect.Interface
	var err error
	if fn == nil {
		t.mistake = errors.New("the func of gateway.JSON is nil: set it")
	} else if t.decoder, err = strict.Of(in); err != nil {
		t.mistake = fmt.Errorf("gateway.JSON: the input: %w", err)
	} else if err = strict.CheckEncoding(out); err != nil {
		t.mistake = fmt.Errorf("gateway.JSON: the answer: %w", err)
	}
	return t
}

// JSONOneWay is [JSON] for a func that answers nothing. Its errors are answered as those of
// JSON.
func JSONOneWay[In any](fn func(ctx context.Context, req *Request, in In) error) Integration {
	if fn == nil {
		return JSON[In, struct{}](nil)
	}
	return JSON(func(ctx context.Context, req *Request, in In) (struct{}, error) {
		return struct{}{}, fn(ctx, req, in)
	})
}

// FieldError says what is wrong with one member of a message. A Validate method, or the func
// of [JSON], returns one, or several with [errors.Join], for the client to see.
type FieldError struct {
	Field   string // JSON pointer to the member, such as "/lines/0/count"; "": the whole message
	Message string // for the client; it must have no value of the message, because it is logged
}

// Error implements error.
func (e *FieldError) Error() string {
	if e.Field == "" {
		return e.Message
	}
	return e.Field + ": " + e.Message
}

// Bounds on what a client is told by a typed handler.
const (
	maxFieldErrors = 10
	maxPublicText  = 1024 // bytes
)

// typed is the Integration that JSON makes.
type typed[In, Out any] struct {
	fn      func(ctx context.Context, req *Request, in In) (Out, error)
	decoder *strict.Type
	pointer bool  // In is a pointer
	silent  bool  // Out is struct{}
	nilable bool  // Out may be nil, which is no answer
	mistake error // in the types, for Validate
}

// Validate implements what [Integration] says about it.
func (t *typed[In, Out]) Validate() error { return t.mistake }

// needsMessage implements [messageOnly].
func (t *typed[In, Out]) needsMessage() {}

// messageOnly is an Integration that can serve no event without a body.
type messageOnly interface{ needsMessage() }

func needsMessage(i Integration) bool {
	_, ok := i.(messageOnly)
	return ok
}

var errNoMessage = errors.New("gateway.JSON needs a message, and the event has none")

// Invoke decodes the message, calls the func and encodes what it returns.
func (t *typed[In, Out]) Invoke(ctx context.Context, req *Request) (*Response, error) {
	if t.mistake != nil {
		return nil, t.mistake
	}
	if req.EventType != EventMessage && req.EventType != "" {
		return nil, errNoMessage
	}
	if req.Binary {
		return nil, notFitting(req.RouteKey, []strict.Problem{{Text: "want a text message, got a binary one"}})
	}
	var in In
	if problems := t.decoder.Decode(req.Body, &in, req.selected()); problems != nil {
		return nil, notFitting(req.RouteKey, problems)
	}
	var checked any = &in
	if t.pointer {
		checked = in
	}
	if v, ok := checked.(interface{ Validate() error }); ok {
		if err := v.Validate(); err != nil {
			return nil, invalidBody(&ValidationError{RouteKey: req.RouteKey, Err: err, Fields: fieldErrors(err, true)})
		}
	}
	out, err := t.fn(ctx, req, in)
	var none Out
	switch {
	case err != nil:
		return nil, tellable(req.RouteKey, err)
	case t.silent, t.nilable && any(out) == any(none):
		return nil, nil
	}
	body, err := json.Marshal(out)
	if err != nil {
		return nil, fmt.Errorf("gateway.JSON: the answer cannot be encoded: %w", err)
	}
	return &Response{Body: body}, nil
}

// defaultSelected is what the default route selection expression reads.
//
//nolint:gochecknoglobals // never changes
var defaultSelected = strict.Members{"action": nil}

// membersOf returns the members to which paths of names lead.
func membersOf(paths [][]string) strict.Members {
	all := strict.Members{}
	for _, path := range paths {
		at := all
		for _, name := range path {
			if at[name] == nil {
				at[name] = strict.Members{}
			}
			at = at[name]
		}
	}
	return all
}

// selected returns the members of the message that the route selection expression reads.
// Without a gateway, as in a test of a handler, that is the default one.
func (req *Request) selected() strict.Members {
	if req.noted == nil || req.noted.route == nil {
		return defaultSelected
	}
	return req.noted.route.selected
}

func invalidBody(err *ValidationError) error {
	return &toldError{answerOf(errInvalidBody), err.Fields, err}
}

// notFitting is the error of a message that could not be decoded.
func notFitting(routeKey string, problems []strict.Problem) error {
	invalid := &ValidationError{RouteKey: routeKey}
	var all []error
	for _, p := range problems {
		e := &FieldError{p.Pointer, p.Text}
		invalid.Fields = append(invalid.Fields, *e)
		all = append(all, e)
	}
	invalid.Err = &joined{all}
	return invalidBody(invalid)
}

// joined is like what [errors.Join] makes, on one line.
type joined struct{ errs []error }

func (e *joined) Error() string {
	text := e.errs[0].Error()
	for _, err := range e.errs[1:] {
		text += "; " + err.Error()
	}
	return text
}

// Unwrap returns the errors.
func (e *joined) Unwrap() []error { return e.errs }

// tellable returns err, of the func of a typed handler, with what its client is told.
func tellable(routeKey string, err error) error {
	var field *FieldError
	var public PublicError
	switch {
	case errors.As(err, &field):
		return invalidBody(&ValidationError{RouteKey: routeKey, Err: err, Fields: fieldErrors(err, false)})
	case !errors.As(err, &public):
		return err
	}
	row := ErrForbidden
	if errors.Is(err, ErrUnauthorized) {
		row = ErrUnauthorized
	}
	_, text := public.PublicError()
	answer := answerOf(row).withText(clip.To(text, maxPublicText))
	var own *IntegrationError
	if errors.As(err, &own) && own.StatusCode >= http.StatusBadRequest && own.StatusCode <= 599 {
		answer.status = own.StatusCode
	}
	return &toldError{answer, nil, err}
}

// fieldErrors returns the FieldErrors in err, and, if public, the texts of the other errors in
// it, which are about the whole message: the first ten.
func fieldErrors(err error, public bool) []FieldError {
	parts, _ := appendParts(nil, err)
	var fields []FieldError
	for _, part := range parts {
		field, ok := part.(*FieldError) //nolint:errorlint // it is taken apart
		switch {
		case len(fields) == maxFieldErrors:
		case ok:
			fields = append(fields, *field)
		case public:
			fields = append(fields, FieldError{Message: part.Error()})
		}
	}
	return boundFields(fields)
}

// appendParts takes err apart, and reports whether there is a FieldError in it. An error around
// others is a part only if there is none in it. It looks at each error once.
func appendParts(dst []error, err error) (parts []error, has bool) {
	inner, around := err, false
	for {
		switch e := inner.(type) { //nolint:errorlint // it takes the error apart
		case *FieldError:
			return append(dst, e), true
		case interface{ Unwrap() []error }:
			parts = dst
			for _, each := range e.Unwrap() {
				if each != nil {
					var one bool
					parts, one = appendParts(parts, each)
					has = has || one
				}
			}
			if around && !has {
				return append(dst, err), false
			}
			return parts, has
		case interface{ Unwrap() error }:
			if next := e.Unwrap(); next != nil {
				inner, around = next, true
				continue
			}
		}
		return append(dst, err), false
	}
}

// boundFields returns at most so many, and so much, as a client is told.
func boundFields(fields []FieldError) []FieldError {
	bounded := slices.Clone(fields[:min(len(fields), maxFieldErrors)])
	for i, f := range bounded {
		bounded[i] = FieldError{clip.To(f.Field, maxPublicText), clip.To(f.Message, maxPublicText)}
	}
	return bounded
}
