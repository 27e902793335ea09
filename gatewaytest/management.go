package gatewaytest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"example.com/gateway"
)

// Management returns a client of the management API at [Server.ManagementURL], as a
// backend that calls it over HTTP. The calls are not signed. To test signed calls, use an
// AWS SDK with [Server.ManagementURL] as its endpoint and [Service.HTTPClient] as its HTTP
// client, and give the Gateway its [gateway.WithManagementAuth]. An answer other than 2xx
// is a *[ManagementError], which matches the error that the Gateway itself returns, such
// as [gateway.ErrGone]. There is one difference: for an ID that no Gateway can have
// issued the Gateway returns ErrGone, but the management API answers 400, which matches
// none of the errors.
func (s *Server) Management() gateway.ConnectionsAPI { return s.ManagementAt(s.path) }

// ManagementURL returns the endpoint for an AWS client: http://…/test, without
// /@connections. Over TCP any client reaches it, in memory only [Service.HTTPClient]: give
// that to the AWS client as its HTTPClient.
func (s *Server) ManagementURL() string { return s.HTTPURL() + s.path }

// ManagementAt is [Server.Management] for a handler of your own. path is where it
// serves @connections: "/prod", if that is /prod/@connections/. These calls are not signed
// either; the endpoint of an AWS SDK is [Service.HTTPURL] and path.
func (s *Service) ManagementAt(path string) gateway.ConnectionsAPI {
	return &management{base: s.HTTPURL() + strings.TrimSuffix(path, "/"), client: s.HTTPClient()}
}

// ManagementError is an answer of the management API other than 2xx.
type ManagementError struct {
	StatusCode int
	Type       string // the header x-amzn-ErrorType, such as "GoneException"
	Body       string
}

// Error implements error.
func (e *ManagementError) Error() string {
	return fmt.Sprintf("gatewaytest: management API: %d %s %s", e.StatusCode, e.Type, e.Body)
}

// Is reports whether target is the error of package gateway that has this status.
func (e *ManagementError) Is(target error) bool {
	switch e.StatusCode {
	case http.StatusGone:
		return target == gateway.ErrGone
	case http.StatusForbidden:
		return target == gateway.ErrForbidden
	case http.StatusTooManyRequests:
		return target == gateway.ErrLimitExceeded
	case http.StatusRequestEntityTooLarge:
		return target == gateway.ErrPayloadTooLarge
	}
	return false
}

type management struct {
	base   string
	client *http.Client
}

func (m *management) PostToConnection(ctx context.Context, connectionID string, data []byte) error {
	_, err := m.call(ctx, http.MethodPost, connectionID, data)
	return err
}

// PostToConnections posts to one connection after the other: the management API has no
// call for many.
func (m *management) PostToConnections(ctx context.Context, connectionIDs []string, data []byte) []error {
	var errs []error
	for n, id := range connectionIDs {
		if err := m.PostToConnection(ctx, id, data); err != nil {
			if errs == nil {
				errs = make([]error, len(connectionIDs))
			}
			errs[n] = err
		}
	}
	return errs
}

func (m *management) GetConnection(ctx context.Context, connectionID string) (gateway.Connection, error) {
	body, err := m.call(ctx, http.MethodGet, connectionID, nil)
	if err != nil {
		return gateway.Connection{}, err
	}
	var c struct {
		ConnectedAt, LastActiveAt time.Time
		Identity                  struct{ SourceIP, UserAgent string }
	}
	if err := json.Unmarshal(body, &c); err != nil {
		return gateway.Connection{}, fmt.Errorf("gatewaytest: management API: %w", err)
	}
	return gateway.Connection{
		ID: connectionID, ConnectedAt: c.ConnectedAt, LastActiveAt: c.LastActiveAt,
		Identity: gateway.Identity{SourceIP: c.Identity.SourceIP, UserAgent: c.Identity.UserAgent},
	}, nil
}

func (m *management) DeleteConnection(ctx context.Context, connectionID string) error {
	_, err := m.call(ctx, http.MethodDelete, connectionID, nil)
	return err
}

// PostTo posts to one connection after the other. The audience has to name them.
func (m *management) PostTo(ctx context.Context, to gateway.Audience, data []byte, _ ...gateway.PostOption) (gateway.Delivery, error) {
	return m.each(to, func(id string) error { return m.PostToConnection(ctx, id, data) })
}

// CloseAll deletes one connection after the other. The audience has to name them.
func (m *management) CloseAll(ctx context.Context, of gateway.Audience, code int, reason string, opts ...gateway.CloseOption) (gateway.Delivery, error) {
	if code != 1000 || reason != "" || len(opts) > 0 {
		return gateway.Delivery{}, errNotOverHTTP
	}
	return m.each(of, func(id string) error { return m.DeleteConnection(ctx, id) })
}

func (m *management) Count(context.Context, gateway.Audience) (int, error) {
	return 0, errNotOverHTTP
}

func (m *management) List(context.Context, gateway.Audience, gateway.Page) ([]gateway.Connection, gateway.Page, error) {
	return nil, gateway.Page{}, errNotOverHTTP
}

func (m *management) Join(context.Context, string, string) error { return errNotOverHTTP }

func (m *management) Leave(context.Context, string, string) error { return errNotOverHTTP }

var errNotOverHTTP = errors.New("gatewaytest: the management API has no such call: use the Gateway itself")

// each calls do for each connection of an audience that names its connections.
func (m *management) each(of gateway.Audience, do func(id string) error) (d gateway.Delivery, err error) {
	q := of.Query()
	if q.Has("group") || q.Has("user") || q.Has("all") {
		return d, errNotOverHTTP
	}
	seen := map[string]bool{}
	for _, id := range q["except"] {
		seen[id] = true
	}
	for _, id := range q["id"] {
		if seen[id] {
			continue
		}
		seen[id] = true
		switch err := do(id); {
		case err == nil:
			d.Accepted++
			continue
		case errors.Is(err, gateway.ErrGone):
			d.Gone++
		default:
			d.Refused++
		}
		if d.Errors == nil {
			d.Errors = map[string]error{}
		}
		d.Errors[id] = err
	}
	return d, nil
}

func (m *management) call(ctx context.Context, method, connectionID string, body []byte) ([]byte, error) {
	// The AWS clients escape "=" too.
	id := strings.ReplaceAll(url.QueryEscape(connectionID), "+", "%20")
	req, err := http.NewRequestWithContext(ctx, method, m.base+"/@connections/"+id, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	resp, err := m.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode >= http.StatusMultipleChoices {
		return nil, &ManagementError{resp.StatusCode, resp.Header.Get("x-amzn-ErrorType"), string(answer)}
	}
	return answer, nil
}
