package lambda

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"runtime/debug"

	"example.com/gateway"
)

// accepted lists the handlers that Wrap takes, for the text of its panic.
const accepted = `
	func()
	func() error
	func(TIn) error
	func() (TOut, error)
	func(TIn) (TOut, error)
	func(context.Context)
	func(context.Context) error
	func(context.Context, TIn) error
	func(context.Context) (TOut, error)
	func(context.Context, TIn) (TOut, error)
	a value with the method Invoke(context.Context, []byte) ([]byte, error)`

// Wrap makes an integration from a Lambda handler. It takes the same handlers as the
// Lambda runtime for Go:
//
//	func()
//	func() error
//	func(TIn) error
//	func() (TOut, error)
//	func(TIn) (TOut, error)
//	func(context.Context)
//	func(context.Context) error
//	func(context.Context, TIn) error
//	func(context.Context) (TOut, error)
//	func(context.Context, TIn) (TOut, error)
//
// or a value with the method Invoke(context.Context, []byte) ([]byte, error), as
// lambda.NewHandler of github.com/aws/aws-lambda-go returns. For anything else it panics
// with a text that lists these, as [gateway.Gateway.Handle] panics on misuse.
//
// The event is decoded into a new TIn as by [json.Unmarshal]. TIn may be
// [WebsocketRequest], a struct of your own, a map, any or [json.RawMessage]. A []byte
// gets the event unchanged.
//
// The TOut is encoded as by the runtime, without escaping HTML, and then read as the
// service reads an answer. TOut may be [Response], a struct with the same JSON,
// [json.RawMessage] or an [io.Reader]. If TIn and TOut are both []byte, the TOut is the
// answer itself.
//
// An error that the handler returns becomes a *[FunctionError], and so does a panic. The
// context is the context of the integration. It has no lambdacontext.
//
// A func may run several times at once, for several connections, as in several
// execution environments, but all runs share the same variables. The Invoke of a value
// is called for one event at a time, as in one execution environment, because the
// handlers of aws-lambda-go return memory that the next call overwrites. If you want
// several at once, give Wrap the func that the handler was made from.
func Wrap(handler any) gateway.Integration { return NewIntegration(NewInvoker(handler)) }

// NewInvoker makes an [Invoker] from any Lambda handler that [Wrap] takes. It panics for
// anything else.
func NewInvoker(handler any) Invoker {
	h, err := newHandler(handler)
	if err != nil {
		panic(err)
	}
	return h
}

// handlerFunc passes an event to a handler in this process and returns its answer. Both
// are JSON.
type handlerFunc func(ctx context.Context, event []byte) (answer []byte, err error)

// InvokeFunction implements [Invoker]. An error of the handler, and a panic, are a
// *FunctionError. If ctx ends before the handler runs, the error is that of ctx.
func (h handlerFunc) InvokeFunction(ctx context.Context, event []byte) (answer []byte, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &FunctionError{Type: typeName(p), Message: fmt.Sprint(p), Stack: debug.Stack()}
		}
	}()
	answer, err = h(ctx, event)
	if waited, ok := err.(*notRunError); ok { //nolint:errorlint // it is not wrapped, and no error of a handler
		return nil, waited.err
	}
	if err != nil {
		return nil, &FunctionError{Type: typeName(err), Message: err.Error(), Err: err}
	}
	return answer, nil
}

// notRunError is the error of a context that ended before the handler ran.
type notRunError struct{ err error }

// Error implements error.
func (e *notRunError) Error() string { return e.err.Error() }

// typeName returns the name of a value's type, as the Lambda runtime reports it.
func typeName(v any) string {
	t := reflect.TypeOf(v)
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t.Name()
}

// invoker is lambda.Handler of the Go runtime.
type invoker interface {
	Invoke(ctx context.Context, payload []byte) ([]byte, error)
}

func newHandler(handler any) (handlerFunc, error) {
	v := reflect.ValueOf(handler)
	switch {
	case handler == nil, (v.Kind() == reflect.Func || v.Kind() == reflect.Pointer) && v.IsNil():
		return nil, refuse(handler, "it is nil")
	}
	switch h := handler.(type) {
	case gateway.Integration, func(context.Context, *gateway.Request) (*gateway.Response, error):
		return nil, refuse(handler, "it is an integration already: give it to Handle or HandleFunc")
	case invoker:
		return oneAtATime(h.Invoke), nil
	}
	if v.Kind() != reflect.Func {
		return nil, refuse(handler, "it is no func")
	}
	return newFuncCall(v)
}

func refuse(handler any, why string) error {
	return fmt.Errorf("%w: lambda.Wrap(%T): %s; accepted are%s", gateway.ErrInvalidOption, handler, why, accepted)
}

// oneAtATime runs the calls of a handler one after the other, and copies its answers.
//
// A handler of lambda.NewHandler of github.com/aws/aws-lambda-go (v1.53.0, and still
// v1.55.1) returns a slice of a buffer that it has already given back to a pool. The
// next call, on any goroutine, overwrites it. That does no harm if the answer is copied
// before another call runs. Handlers that wrap such a handler do the same, so the type
// does not show it. A test in internal/lambdatest fails once this is fixed.
func oneAtATime(c handlerFunc) handlerFunc {
	free := make(chan struct{}, 1)
	return func(ctx context.Context, event []byte) ([]byte, error) {
		select {
		case free <- struct{}{}:
		case <-ctx.Done():
			return nil, &notRunError{ctx.Err()}
		}
		defer func() { <-free }()
		answer, err := c(ctx, event)
		return bytes.Clone(answer), err
	}
}

// funcCall calls a func by reflection.
type funcCall struct {
	fn           reflect.Value
	takesContext bool
	in           reflect.Type // nil: it takes no event
	rawIn        bool         // it takes the event unchanged
	hasOut       bool
	rawOut       bool // its TOut is the answer itself
	hasErr       bool
}

func newFuncCall(fn reflect.Value) (handlerFunc, error) {
	f := funcCall{fn: fn}
	t := fn.Type()
	handler := fn.Interface()
	contextType, errorType := reflect.TypeFor[context.Context](), reflect.TypeFor[error]()
	n := t.NumIn()
	switch {
	case t.IsVariadic():
		return nil, refuse(handler, "it is variadic")
	case n > 2:
		return nil, refuse(handler, "it takes more than two arguments")
	case n == 2 && t.In(0) != contextType:
		return nil, refuse(handler, "it takes two arguments, of which the first is no context.Context")
	}
	f.takesContext = n > 0 && t.In(0) == contextType
	if n == 2 || n == 1 && !f.takesContext {
		f.in = t.In(n - 1)
		f.rawIn = isBytes(f.in)
		if f.in.Kind() == reflect.Interface && f.in.NumMethod() > 0 {
			return nil, refuse(handler, "its event is an interface with methods")
		}
	}
	switch n = t.NumOut(); {
	case n > 2:
		return nil, refuse(handler, "it returns more than two values")
	case n > 0 && !t.Out(n-1).Implements(errorType):
		return nil, refuse(handler, "the last value that it returns is no error")
	case n > 0:
		f.hasErr, f.hasOut = true, n == 2
		f.rawOut = f.hasOut && f.rawIn && isBytes(t.Out(0))
	}
	return f.call, nil
}

// isBytes reports whether the underlying type of t is []byte, and t has no UnmarshalJSON
// of its own.
func isBytes(t reflect.Type) bool {
	return t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Uint8 &&
		!reflect.PointerTo(t).Implements(reflect.TypeFor[json.Unmarshaler]())
}

func (f *funcCall) call(ctx context.Context, event []byte) ([]byte, error) {
	var room [2]reflect.Value
	args := room[:0]
	if f.takesContext {
		args = append(args, reflect.ValueOf(ctx))
	}
	if f.in != nil {
		in := reflect.New(f.in)
		if f.rawIn {
			in.Elem().SetBytes(event) // the slice is ours, and not used again
		} else if err := json.Unmarshal(event, in.Interface()); err != nil {
			return nil, err
		}
		args = append(args, in.Elem())
	}
	results := f.fn.Call(args)
	if f.hasErr {
		last := results[len(results)-1]
		if err, ok := last.Interface().(error); ok && (last.Kind() != reflect.Pointer || !last.IsNil()) {
			return nil, err
		}
	}
	switch {
	case !f.hasOut:
		return nil, nil
	case f.rawOut:
		return results[0].Bytes(), nil
	}
	return encode(results[0].Interface())
}

// encode writes an answer as the Lambda runtime for Go does: as JSON. If the answer is an
// io.Reader that has no JSON form, or whose JSON is an empty object, encode returns what it
// reads from it.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(v)
	if r, ok := v.(io.Reader); ok && (err != nil || bytes.HasPrefix(b.Bytes(), []byte("{}"))) {
		return readAll(r)
	}
	return b.Bytes(), err
}

// readAll reads an answer, and closes r if it is an [io.Closer].
func readAll(r io.Reader) ([]byte, error) {
	if c, ok := r.(io.Closer); ok {
		defer c.Close()
	}
	return io.ReadAll(io.LimitReader(r, maxPayload+1))
}
