package controlplane

import (
	"net/http"
	"strings"
)

// serveTags answers TagResource, GetTags and UntagResource. The ARN of the resource is one
// escaped segment of the path, or all segments of a client that does not escape it.
func (s *Server) serveTags(c *call) (reply, error) {
	res, ids, err := s.tagged(strings.Join(c.path[1:], "/"))
	if err != nil {
		return reply{}, err
	}
	switch c.Method {
	case http.MethodGet, http.MethodHead:
		return s.look(func(r Reader) (any, error) {
			d, err := s.get(r, res, ids)
			tags := objectOf(d, "tags")
			if tags == nil {
				tags = document{}
			}
			return document{"tags": tags}, err
		})
	case http.MethodPost:
		return s.change(http.StatusCreated, res, ids, nil, func(change *change) (any, error) {
			return document{}, change.setTags(c.body["tags"], nil)
		})
	case http.MethodDelete:
		return s.change(http.StatusNoContent, res, ids, nil, func(change *change) (any, error) {
			return nil, change.setTags(nil, c.vals["tagKeys"])
		})
	}
	return reply{}, errOperation
}

// tagged returns the resource that an ARN names:
// arn:{partition}:apigateway:{region}::/apis/{apiId}.
func (s *Server) tagged(arn string) (*resource, map[string]string, error) {
	bad := badRequest("Invalid resource ARN specified: %s", clip(arn))
	parts := strings.SplitN(arn, ":", 6)
	if len(parts) < 6 || parts[0] != "arn" || parts[1] == "" || parts[2] != "apigateway" || parts[3] == "" || parts[4] != "" {
		return nil, nil, bad
	}
	path := strings.Split(strings.TrimPrefix(parts[5], "/"), "/")
	res, ids, rest := s.table.find(path)
	if res == nil || len(rest) > 0 || len(path) != len(res.segments) || res.field("tags") == nil {
		return nil, nil, bad
	}
	return res, ids, nil
}

// setTags adds tags, or replaces their values, and removes keys.
func (c *change) setTags(add any, remove []string) error {
	if err := c.load(); err != nil {
		return err
	}
	f := c.res.field("tags")
	d := copyDocument(c.before)
	tags := objectOf(d, "tags")
	if tags == nil {
		tags = document{}
	}
	if add != nil {
		checked, err := f.check(add, false)
		if err != nil {
			return err
		}
		for key, value := range checked.(map[string]any) {
			tags[key] = value
		}
	}
	for _, key := range remove {
		delete(tags, key)
	}
	if len(tags) > f.most {
		return badRequest("Invalid Tags specified: the resource would have %d tags. Must have at most %d", len(tags), f.most)
	}
	f.set(d, tags)
	return writeDocument(c.w, c.key, d)
}
