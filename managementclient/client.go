// Package managementclient calls the @connections API of a gateway over HTTP: what a
// backend in another process needs. It has the methods of a [gateway.Gateway], so that the
// same backend runs with either:
//
//	var api gateway.ConnectionsAPI = &managementclient.Client{Endpoint: "https://example.com/prod"}
//	delivery, err := api.PostTo(ctx, gateway.Group("room-1"), message)
//
// The three calls of the service work with the service, too. All others need a gateway with
// [gateway.WithManagementExtensions].
package managementclient

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"example.com/gateway"
	"example.com/gateway/internal/apicall"
)

// Client is a [gateway.ConnectionsAPI] over HTTP. It is safe for concurrent use. Its fields
// must not change once it is used.
//
// An answer other than 2xx is an [*Error], which matches the error that the Gateway itself
// returns, such as [gateway.ErrGone]. There is one difference: for an ID that no Gateway can
// have issued the Gateway returns ErrGone, but a call that names a connection in its path is
// answered with 400, which matches [gateway.ErrInvalidArgument]. A SetState with
// [gateway.IfState] needs the state: see GetConnection. Times have milliseconds.
type Client struct {
	// Endpoint is the URL before /@connections, as an AWS SDK gets it:
	// "https://example.com/prod". It is required.
	Endpoint string
	// HTTPClient makes the calls. nil means [http.DefaultClient]. Calls are not signed: if
	// the gateway wants a signature or a token, give HTTPClient a Transport that adds it.
	HTTPClient *http.Client
}

var _ gateway.ConnectionsAPI = (*Client)(nil)

// PostToConnection is [gateway.Gateway.PostToConnection].
func (c *Client) PostToConnection(ctx context.Context, connectionID string, data []byte) error {
	return c.one(ctx, http.MethodPost, connection(connectionID), data)
}

// PostToConnections posts to one connection after the other, which the service can do, too.
// To post to many with one call, use PostTo.
func (c *Client) PostToConnections(ctx context.Context, connectionIDs []string, data []byte) []error {
	var errs []error
	for n, id := range connectionIDs {
		if err := c.PostToConnection(ctx, id, data); err != nil {
			if errs == nil {
				errs = make([]error, len(connectionIDs))
			}
			errs[n] = err
		}
	}
	return errs
}

// GetConnection is [gateway.Gateway.GetConnection]. The principal, the groups and the state are
// there only if the gateway has [gateway.WithManagementExtensions], and the caller may list
// the connection; otherwise the answer is that of the service, and no error.
func (c *Client) GetConnection(ctx context.Context, connectionID string) (gateway.Connection, error) {
	var item apicall.Item
	err := c.call(ctx, &request{method: http.MethodGet, of: connection(connectionID)}, &item)
	if err != nil {
		return gateway.Connection{}, err
	}
	item.ConnectionID = connectionID
	return connectionOf(&item), nil
}

// DeleteConnection is [gateway.Gateway.DeleteConnection].
func (c *Client) DeleteConnection(ctx context.Context, connectionID string) error {
	return c.one(ctx, http.MethodDelete, connection(connectionID), nil)
}

// PostTo is [gateway.Gateway.PostTo]. Many connections that are named by their IDs take
// several calls: if one fails, the Delivery says what became of those before. An audience
// with more than 200 exceptions is listed first, page by page, which takes more calls, and
// the right to list.
func (c *Client) PostTo(ctx context.Context, to gateway.Audience, data []byte, opts ...gateway.PostOption) (d gateway.Delivery, err error) {
	settings, err := apicall.Apply(opts, gateway.ErrInvalidArgument)
	if err != nil {
		return d, err
	}
	parameters := url.Values{}
	if settings.Binary {
		parameters.Set("binary", "true")
	}
	return c.deliver(ctx, to, request{method: http.MethodPost, body: data}, parameters)
}

// CloseAll is [gateway.Gateway.CloseAll]. As with PostTo it may take several calls.
func (c *Client) CloseAll(ctx context.Context, of gateway.Audience, code int, reason string, opts ...gateway.CloseOption) (d gateway.Delivery, err error) {
	settings, err := apicall.Apply(opts, gateway.ErrInvalidArgument)
	if err != nil {
		return d, err
	}
	parameters := url.Values{"code": {strconv.Itoa(code)}}
	if reason != "" {
		parameters.Set("reason", reason)
	}
	if settings.Cut {
		parameters.Set("cut", "true")
	}
	return c.deliver(ctx, of, request{method: http.MethodDelete}, parameters)
}

// Count is [gateway.Gateway.Count]. As with PostTo it may take several calls.
func (c *Client) Count(ctx context.Context, of gateway.Audience) (n int, err error) {
	parts, err := c.parts(ctx, nameOf(of))
	if err != nil {
		return 0, err
	}
	for _, query := range parts {
		query.Set("count", "true")
		var answer apicall.Count
		if err := c.call(ctx, &request{method: http.MethodGet, query: query}, &answer); err != nil {
			return 0, err
		}
		n += answer.Count
	}
	return n, nil
}

// List is [gateway.Gateway.List]. As with PostTo it may take several calls. A page of an
// audience with more than 200 exceptions has fewer connections than its limit.
func (c *Client) List(ctx context.Context, of gateway.Audience, page gateway.Page) ([]gateway.Connection, gateway.Page, error) {
	return c.list(ctx, nameOf(of), page)
}

// Join is [gateway.Gateway.Join].
func (c *Client) Join(ctx context.Context, connectionID, group string) error {
	return c.one(ctx, http.MethodPut, membership(connectionID, group), nil)
}

// Leave is [gateway.Gateway.Leave].
func (c *Client) Leave(ctx context.Context, connectionID, group string) error {
	return c.one(ctx, http.MethodDelete, membership(connectionID, group), nil)
}

// SetState is [gateway.Gateway.SetState].
func (c *Client) SetState(ctx context.Context, connectionID string, state []byte, opts ...gateway.StateOption) error {
	settings, err := apicall.Apply(opts, gateway.ErrInvalidArgument)
	if err != nil {
		return err
	}
	of := apicall.Resource{Kind: apicall.State, ConnectionID: connectionID}
	r := &request{method: http.MethodPut, of: of, body: state, header: http.Header{}}
	switch {
	case settings.IfState && len(settings.Old) == 0:
		r.header.Set("If-None-Match", "*")
	case settings.IfState:
		r.header.Set("If-Match", apicall.ETag(settings.Old))
	}
	return c.call(ctx, r, nil)
}

func connection(id string) apicall.Resource {
	return apicall.Resource{Kind: apicall.Connection, ConnectionID: id}
}

func membership(id, group string) apicall.Resource {
	return apicall.Resource{Kind: apicall.Membership, ConnectionID: id, Group: group}
}

func connectionOf(item *apicall.Item) gateway.Connection {
	c := gateway.Connection{
		ID: item.ConnectionID, Identity: gateway.Identity{SourceIP: item.Identity.SourceIP, UserAgent: item.Identity.UserAgent},
		PrincipalID: item.PrincipalID, Groups: item.Groups, ConnectedAt: item.ConnectedAt.Time(), LastActiveAt: item.LastActiveAt.Time(),
	}
	if item.State != "" {
		c.State = []byte(item.State)
	}
	return c
}

// request is what a call sends. Without a resource it is about an audience.
type request struct {
	method string
	of     apicall.Resource
	query  url.Values
	header http.Header
	body   []byte
}

func (c *Client) one(ctx context.Context, method string, res apicall.Resource, body []byte) error {
	return c.call(ctx, &request{method: method, of: res, body: body}, nil)
}

func add(sum *gateway.Delivery, d *apicall.Delivery) {
	sum.Accepted += d.Accepted
	sum.Refused += d.Refused
	sum.Gone += d.Gone
	for _, node := range d.Missing {
		if !slices.Contains(sum.Missing, node) {
			sum.Missing = append(sum.Missing, node)
		}
	}
	for id, e := range d.Errors {
		if sum.Errors == nil {
			sum.Errors = map[string]error{}
		}
		if len(sum.Errors) < apicall.MostErrors {
			sum.Errors[id] = errorOf(e)
		}
	}
}

// call makes a call, and reads the answer into answer, if that is not nil.
func (c *Client) call(ctx context.Context, r *request, answer any) error {
	body, err := c.do(ctx, r)
	if err != nil || answer == nil {
		return err
	}
	if err := json.Unmarshal(body, answer); err != nil {
		return fmt.Errorf("managementclient: the answer of %s cannot be read: %w", c.Endpoint, err)
	}
	return nil
}

// mostBytes is how large an answer may be: a page with the largest states and groups.
const mostBytes = 64 << 20

func (c *Client) do(ctx context.Context, r *request) ([]byte, error) {
	if r.of.Kind == apicall.None {
		r.of.Kind = apicall.Collection
	}
	if bad := r.of.Check(); bad != nil { // the path would name something else
		return nil, fmt.Errorf("%w: %s: %s", gateway.ErrInvalidArgument, bad.Field, bad.Why)
	}
	target := strings.TrimSuffix(c.Endpoint, "/") + r.of.Path()
	if len(r.query) > 0 {
		target += "?" + strings.ReplaceAll(r.query.Encode(), "+", "%20") // which all signers read alike
	}
	req, err := http.NewRequestWithContext(ctx, r.method, target, bytes.NewReader(r.body))
	if err != nil {
		return nil, fmt.Errorf("managementclient: %w", err)
	}
	maps.Copy(req.Header, r.header)
	client := c.HTTPClient
	if client == nil {
		client = http.DefaultClient
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, mostBytes))
	if err != nil {
		return nil, err
	}
	if resp.StatusCode >= http.StatusMultipleChoices {
		return nil, &Error{resp.StatusCode, resp.Header.Get("x-amzn-ErrorType"), string(body)}
	}
	return body, nil
}
