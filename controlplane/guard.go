package controlplane

import (
	"errors"
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"example.com/gateway"
)

// This file decides who may call the REST API.

// admit refuses what a hostile page could send: a request by a name that is none of ours,
// as after DNS rebinding, and one from a page of another origin. Without ControlAuth it
// refuses other machines, too.
func (s *Server) admit(r *http.Request) error {
	if s.plane.hostOf(r).kind != ours {
		return accessDenied("The Host header %q is no name of this server: call it as localhost, or add the name to its hosts", clip(r.Host))
	}
	if !sameOrigin(r) {
		return accessDenied("The request comes from a page of another origin")
	}
	if s.cfg.ControlAuth != nil {
		return nil
	}
	from, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil || !from.Addr().Unmap().IsLoopback() {
		return accessDenied("The request comes from another machine, and nothing decides whether it may call this server")
	}
	return nil
}

// sameOrigin tells whether no page, or a page of this host, sends the request. Browsers
// send Origin with everything that can change something, and Sec-Fetch-Site with the
// rest.
func sameOrigin(r *http.Request) bool {
	switch r.Header.Get("Sec-Fetch-Site") {
	case "", "none", "same-origin":
	default:
		return false
	}
	for _, value := range r.Header["Origin"] {
		origin, err := url.Parse(value)
		if err != nil || origin.Host == "" || !strings.EqualFold(origin.Host, r.Host) {
			return false
		}
	}
	return true
}

// authorize asks ControlAuth.
func (s *Server) authorize(r *http.Request, c *call) (err error) {
	if s.cfg.ControlAuth == nil {
		return nil
	}
	defer func() {
		if p := recover(); p != nil {
			err = errors.New("controlplane: Config.ControlAuth panicked")
		}
	}()
	call := &gateway.ManagementCall{Action: gateway.ManagementAction("apigateway:" + r.Method), Request: r, Body: c.data}
	if len(c.path) > 1 && c.path[0] == "apis" {
		call.APIID = c.path[1]
	}
	if err := s.cfg.ControlAuth.AuthorizeManagement(r.Context(), call); err != nil {
		return refusedCaller(err)
	}
	return nil
}

// refusedCaller returns the answer for an error of a ManagementAuth. Whatever the error
// wraps, the call is forbidden.
func refusedCaller(err error) error {
	refused := &apiError{http.StatusForbidden, "AccessDeniedException", "User is not authorized to perform this action"}
	var public gateway.PublicError
	if errors.As(err, &public) {
		refused.name, refused.message = public.PublicError()
		if errors.Is(err, gateway.ErrUnauthorized) {
			refused.status = http.StatusUnauthorized
		}
	}
	return refused
}
