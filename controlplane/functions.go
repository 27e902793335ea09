package controlplane

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"example.com/gateway/internal/arn"
	"example.com/gateway/lambda"
)

// ErrUnknownFunction is what a [FunctionResolver] returns for a function that it does not
// know.
var ErrUnknownFunction = errors.New("controlplane: unknown function")

// FunctionResolver finds the functions that integrations and authorizers name.
type FunctionResolver interface {
	// ResolveFunction returns the function of uri, which is what the integration or the
	// authorizer has, with the values of its stage variables: an invocation URI, an ARN or
	// a name, each with or without a qualifier. ParseFunctionName reads all of them. The
	// error is ErrUnknownFunction, or wraps it, if there is no such function.
	//
	// It is called for each event, so that a function may come, change and go at any time.
	// It is called, too, for each function of a stage that has changed, so that the log can
	// tell of one that is missing. The Server waits for it then, and makes no other change.
	// So it must be quick. It may read the Store and call [Server.Stages], but it must not
	// wait for a change of the Server, such as [Server.Apply], or for an answer of its REST
	// API. It must be safe for concurrent use.
	ResolveFunction(uri string) (lambda.Invoker, error)
}

// FunctionName says which function a text names. What the text does not have is "".
type FunctionName struct {
	Region, AccountID string
	Name              string
	Qualifier         string // a version, an alias or $LATEST
}

// ParseFunctionName reads the name of a function, as integrations and authorizers have it:
//
//	chat
//	chat:live
//	123456789012:function:chat
//	arn:aws:lambda:us-east-1:123456789012:function:chat:live
//	arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/{ARN}/invocations
//
// Any other text is an error that says what is expected.
func ParseFunctionName(uri string) (FunctionName, error) {
	f, ok := arn.ParseFunction(uri)
	if !ok {
		return FunctionName{}, fmt.Errorf("controlplane: %+.256q names no function: write its ARN, or arn:aws:apigateway:{region}:lambda:path/2015-03-31/functions/{ARN}/invocations", uri)
	}
	return FunctionName{Region: f.Region, AccountID: f.AccountID, Name: f.Name, Qualifier: f.Qualifier}, nil
}

// Functions is a [FunctionResolver] for functions that do not change. A key is the name of
// a function, "chat", or a name and a qualifier, "chat:live". A function that is named with
// a qualifier is found under both, and under its name alone if that key is the only one.
// Region and account do not matter. The map must not be changed once it is used.
//
// The Name and the Qualifier of a [*lambda.Function] are used as they are: stage variables
// in them are empty. Write stage variables in the URI of the integration instead, and give
// each function that it may name a key.
type Functions map[string]lambda.Invoker

// ResolveFunction implements [FunctionResolver].
func (f Functions) ResolveFunction(uri string) (lambda.Invoker, error) {
	name, err := ParseFunctionName(uri)
	if err != nil {
		return nil, err
	}
	if i := f[name.Name+":"+name.Qualifier]; i != nil {
		return i, nil
	}
	if i := f[name.Name]; i != nil {
		return i, nil
	}
	return nil, fmt.Errorf("%w: %q", ErrUnknownFunction, name.Name)
}

// function is the function of an integration or an authorizer. It is looked up for each
// event: as in the service, it may be made after the deployment.
type function struct {
	uri      string // with the values of its stage variables
	resolver FunctionResolver
	timeout  time.Duration // of the integration; 0: only the gateway's
}

var _ lambda.Invoker = (*function)(nil)

// InvokeFunction implements [lambda.Invoker].
func (f *function) InvokeFunction(ctx context.Context, payload []byte) ([]byte, error) {
	i, err := f.resolve()
	if err != nil {
		return nil, &lambda.InvokeError{Function: f.FunctionName(), StatusCode: http.StatusNotFound, Type: "ResourceNotFoundException", Message: err.Error()}
	}
	if f.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, f.timeout)
		defer cancel()
	}
	return i.InvokeFunction(ctx, payload)
}

// FunctionName returns the name of the function for texts of errors.
func (f *function) FunctionName() string {
	if name, err := ParseFunctionName(f.uri); err == nil {
		return name.Name
	}
	return f.uri
}

// resolve returns the function. The error says what to configure.
func (f *function) resolve() (lambda.Invoker, error) {
	if f.resolver == nil {
		return nil, fmt.Errorf("%w: %q: there are no functions: set Config.Functions", ErrUnknownFunction, f.FunctionName())
	}
	i, err := f.resolver.ResolveFunction(f.uri)
	switch {
	case errors.Is(err, ErrUnknownFunction):
		return nil, fmt.Errorf("%w: make the function, or let Config.Functions know it", err)
	case err != nil:
		return nil, err
	case i == nil:
		return nil, fmt.Errorf("%w: %q: Config.Functions returned nil", ErrUnknownFunction, f.FunctionName())
	}
	return i, nil
}

// background runs f, which outlives the event whose context is ctx. It gives f a context
// of its own, and logs its error. It returns false if too many run already.
type background func(ctx context.Context, f func(context.Context) error) bool

// asyncFunction is a function whose answer nobody waits for.
type asyncFunction struct {
	*function
	later background
}

// InvokeFunction implements [lambda.Invoker]. As the Invoke API does, it only finds out
// whether there is the function.
func (f *asyncFunction) InvokeFunction(ctx context.Context, payload []byte) ([]byte, error) {
	if _, err := f.resolve(); err != nil {
		return f.function.InvokeFunction(ctx, payload) // which says so
	}
	started := f.later(ctx, func(ctx context.Context) error {
		_, err := f.function.InvokeFunction(ctx, payload)
		return err
	})
	if !started {
		return nil, &lambda.InvokeError{
			Function: f.FunctionName(), StatusCode: http.StatusTooManyRequests, Type: "TooManyRequestsException",
			Message: fmt.Sprintf("%d functions that nobody waits for run already", mostAsync),
		}
	}
	return nil, nil
}
