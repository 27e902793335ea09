package lambda

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"example.com/gateway"
)

var _ = gateway.CustomIntegration{Backend: (*Function)(nil).Backend}

// Backend calls the function with a payload that mapping templates made, not with the
// service's event: integration type AWS. The integration responses get its answer, or
// its error report when it raised an error:
//
//	&gateway.CustomIntegration{
//		Backend:              function.Backend,
//		SelectByErrorMessage: true,
//		Transform:            &gateway.Transform{…},
//	}
//
// Backend returns an error only when the function was not called. (API Gateway: "Setting
// up data transformations for WebSocket APIs".)
func (f *Function) Backend(ctx context.Context, req *gateway.Request, payload []byte) (*gateway.Response, error) {
	answer, err := f.call(ctx, req.StageVariables, payload)
	var raised *FunctionError
	switch {
	case errors.As(err, &raised):
		report := map[string]string{"errorMessage": raised.Message}
		if raised.Type != "" {
			report["errorType"] = raised.Type
		}
		answer, _ = json.Marshal(report) // strings: cannot fail
	case err != nil:
		return nil, integrationError(req, err)
	}
	return &gateway.Response{StatusCode: http.StatusOK, Body: answer}, nil
}
