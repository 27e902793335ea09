package managementclient

import (
	"context"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"example.com/gateway"
	"example.com/gateway/internal/apicall"
	"example.com/gateway/internal/connid"
)

// mostIDs is how many IDs a URL has at most: proxies take about 8,000 bytes.
const mostIDs = 200

// named is an audience as calls name it.
type named struct {
	query  url.Values      // of an audience that does not name its connections
	byID   bool            // it names its connections
	ids    []string        // them, each once, without the exceptions and without ""
	noID   bool            // "" is one of them, which no URL names: it is gone
	except map[string]bool // exceptions that no URL has room for: they are left out here
}

func nameOf(a gateway.Audience) *named {
	n := &named{query: query(a)}
	except := map[string]bool{}
	for _, id := range n.query["except"] {
		except[id] = true
	}
	if n.byID = n.query.Has("id"); n.byID {
		for _, id := range n.query["id"] {
			switch {
			case except[id]:
				continue
			case id == "":
				n.noID = true
			default:
				n.ids = append(n.ids, id)
			}
			except[id] = true
		}
		return n
	}
	delete(except, "")
	delete(n.query, "except")
	if len(except) > mostIDs {
		n.except = except
	} else if len(except) > 0 {
		n.query["except"] = slices.Sorted(maps.Keys(except))
	}
	return n
}

// query returns the parameters of an audience. A call has to say that it means nobody:
// without an audience a list would mean everyone.
func query(a gateway.Audience) url.Values {
	if q := a.Query(); len(q["id"]) > 0 || q.Has("group") || q.Has("user") || q.Has("all") {
		return q
	}
	return url.Values{"none": {"true"}}
}

// parts returns the parameters of the calls that an audience takes, at least of one.
func (c *Client) parts(ctx context.Context, n *named) ([]url.Values, error) {
	ids := n.ids
	switch {
	case n.byID:
	case n.except == nil:
		return []url.Values{n.query}, nil
	default:
		page := gateway.Page{Limit: apicall.MostItems}
		for more := true; more; more = page.After != "" {
			list, next, err := c.list(ctx, n, page)
			if err != nil {
				return nil, err
			}
			for i := range list {
				ids = append(ids, list[i].ID)
			}
			page = next
		}
	}
	return partsOf(ids), nil
}

// partsOf returns the parameters of the calls that these connections take.
func partsOf(ids []string) (parts []url.Values) {
	for part := range slices.Chunk(ids, mostIDs) {
		parts = append(parts, url.Values{"id": part})
	}
	if parts == nil {
		parts = []url.Values{query(gateway.Audience{})}
	}
	return parts
}

// deliver makes a call for each part of an audience, and adds up what became of them.
// parameters are those besides the audience.
func (c *Client) deliver(ctx context.Context, to gateway.Audience, r request, parameters url.Values) (d gateway.Delivery, err error) {
	n := nameOf(to)
	parts, err := c.parts(ctx, n)
	if err != nil {
		return d, err
	}
	for _, part := range parts {
		maps.Copy(part, parameters)
		var answer apicall.Delivery
		call := r
		call.query = part
		if err := c.call(ctx, &call, &answer); err != nil {
			return d, err
		}
		add(&d, &answer)
	}
	if n.noID {
		add(&d, &apicall.Delivery{Gone: 1, Errors: map[string]apicall.Error{"": {Type: "GoneException", Message: "The ID is empty"}}})
	}
	return d, nil
}

// list returns a page of an audience.
func (c *Client) list(ctx context.Context, n *named, page gateway.Page) ([]gateway.Connection, gateway.Page, error) {
	if n.byID {
		return c.listNamed(ctx, n.ids, page)
	}
	list, next, err := c.listPart(ctx, maps.Clone(n.query), page)
	list = slices.DeleteFunc(list, func(x gateway.Connection) bool { return n.except[x.ID] })
	return list, next, err
}

// listNamed is list for connections that are named by their IDs. Their order is that of the
// gateway, so that a page ends where a page of the gateway would end.
func (c *Client) listNamed(ctx context.Context, ids []string, page gateway.Page) (list []gateway.Connection, next gateway.Page, err error) {
	slices.SortFunc(ids, connid.Compare)
	ids = slices.DeleteFunc(ids, func(id string) bool { return page.After != "" && connid.Compare(id, page.After) <= 0 })
	limit := page.Limit
	if limit == 0 {
		limit = apicall.DefaultItems
	}
	parts := partsOf(ids)
	for i, part := range parts {
		found, after, err := c.listPart(ctx, part, page)
		if err != nil {
			return nil, gateway.Page{}, err
		}
		list = append(list, found...)
		if more := after.After != "" || i < len(parts)-1; len(list) > limit || len(list) == limit && more {
			return list[:limit], gateway.Page{Limit: page.Limit, After: list[limit-1].ID}, nil
		}
	}
	return list, gateway.Page{Limit: page.Limit}, nil
}

// listPart makes the call for one page.
func (c *Client) listPart(ctx context.Context, query url.Values, page gateway.Page) (list []gateway.Connection, next gateway.Page, err error) {
	if page.Limit != 0 {
		query.Set("limit", strconv.Itoa(page.Limit))
	}
	if page.After != "" {
		query.Set("after", page.After)
	}
	var answer apicall.Page
	if err := c.call(ctx, &request{method: http.MethodGet, query: query}, &answer); err != nil {
		return nil, gateway.Page{}, err
	}
	for n := range answer.Items {
		list = append(list, connectionOf(&answer.Items[n]))
	}
	return list, gateway.Page{Limit: page.Limit, After: answer.Next}, nil
}
