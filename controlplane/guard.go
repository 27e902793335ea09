package controlplane

import (
	"fmt"
	"net/http"
	"runtime/debug"

	"example.com/gateway"
	"example.com/gateway/internal/caller"
)

// This file decides who may call the REST API.

// admit refuses what a hostile page could send: a request by a name that is none of ours,
// as after DNS rebinding, and one from a page of another origin. Without ControlAuth it
// refuses other machines, too.
func (s *Server) admit(r *http.Request) error {
	if why := caller.Barred(r, s.plane.hostOf(r).kind == ours, s.cfg.ControlAuth != nil); why != "" {
		return accessDenied("%s", why)
	}
	return nil
}

// authorize asks ControlAuth.
func (s *Server) authorize(r *http.Request, c *call) (err error) {
	if s.cfg.ControlAuth == nil {
		return nil
	}
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("controlplane: Config.ControlAuth panicked: %v\n%s", p, debug.Stack())
		}
	}()
	call := &gateway.ManagementCall{Action: gateway.ManagementAction("apigateway:" + r.Method), Request: r, Body: c.data}
	if len(c.path) > 1 && c.path[0] == "apis" {
		call.APIID = c.path[1]
	}
	if err := s.cfg.ControlAuth.AuthorizeManagement(r.Context(), call); err != nil {
		status, name, message := caller.Refusal(err, gateway.ErrUnauthorized)
		return &apiError{status, name, message}
	}
	return nil
}
