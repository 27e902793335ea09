package apicall

import (
	"slices"
	"strconv"
	"strings"

	"example.com/gateway/internal/query"
)

// The bounds of a call.
const (
	// MostItems is how many connections a page has at most.
	MostItems = 1000
	// DefaultItems is how many it has if the call does not say.
	DefaultItems = 100
	// MostIDs is how many connections an audience names at most, and how many it leaves out.
	MostIDs = 1000
)

// Audience is an audience as a query or a line of a batch names it.
type Audience struct {
	IDs    []string
	Group  *string
	User   *string
	All    bool
	None   bool // nobody, which has to be said
	Except []string
}

// Query is what a query asks for.
type Query struct {
	To     Audience
	Count  bool
	Limit  int
	After  string
	Code   int // 0: the default
	Reason string
	Cut    bool
	Binary bool
}

// The parameters that a call may have, as arguments of [ParseQuery].
const (
	audienceNames = "group user id all none except"
	// ListNames are those of a list.
	ListNames = audienceNames + " count limit after"
	// PostNames are those of a post to an audience.
	PostNames = audienceNames + " binary"
	// CloseAllNames are those of closing an audience.
	CloseAllNames = audienceNames + " " + CloseNames
	// CloseNames are those of closing one connection.
	CloseNames = "code reason cut"
	// NoNames are those of a call without any.
	NoNames = ""
)

// many says which parameters may come more than once.
func many(name string) bool { return name == "id" || name == "except" }

// ParseQuery reads a raw query that has no parameters but those in names. Those of a
// signature are not looked at.
func ParseQuery(raw, names string) (Query, *FieldError) {
	q := Query{Limit: DefaultItems}
	parameters, err := query.Parse(raw)
	if err != nil {
		return q, invalid("query", "%v", err)
	}
	known := strings.Fields(names)
	ordered := make([]string, 0, len(parameters))
	for name := range parameters {
		ordered = append(ordered, name)
	}
	slices.Sort(ordered) // so that the same query always gets the same answer
	for _, name := range ordered {
		values := parameters[name]
		switch {
		case strings.HasPrefix(name, "X-Amz-"):
		case !slices.Contains(known, name):
			return q, invalid("query", "this call has %s, and not", listed(known)).having(name)
		case len(values) > 1 && !many(name):
			return q, invalid(name, "it is given %d times", len(values))
		default:
			if bad := q.set(name, values); bad != nil {
				return q, bad
			}
		}
	}
	if q.Count && (parameters["limit"] != nil || parameters["after"] != nil) {
		return q, invalid("count", "a count has no pages: leave out limit and after")
	}
	if strings.HasPrefix(names, audienceNames) {
		return q, q.To.check("", names == ListNames)
	}
	return q, nil
}

func listed(names []string) string {
	if len(names) == 0 {
		return "no parameters"
	}
	return "the parameters " + strings.Join(names, ", ")
}

func (q *Query) set(name string, values []string) (bad *FieldError) {
	value := values[0]
	switch name {
	case "group":
		q.To.Group = &value
	case "user":
		q.To.User = &value
	case "id":
		q.To.IDs = values
	case "except":
		q.To.Except = values
	case "all":
		q.To.All, bad = onlyTrue(name, value)
	case "none":
		q.To.None, bad = onlyTrue(name, value)
	case "count":
		q.Count, bad = onlyTrue(name, value)
	case "cut":
		q.Cut, bad = onlyTrue(name, value)
	case "binary":
		q.Binary, bad = onlyTrue(name, value)
	case "limit":
		q.Limit, bad = number(name, value, 1, MostItems)
	case "code":
		q.Code, bad = number(name, value, 1000, 4999)
	case "after":
		if q.After = value; value == "" {
			bad = invalid(name, "it is empty: take the value of next, or leave out after for the first page")
		}
	case "reason":
		q.Reason = value
	}
	return bad
}

func onlyTrue(name, value string) (bool, *FieldError) {
	if value != "true" {
		return false, invalid(name, "write true, or leave it out, instead of").having(value)
	}
	return true, nil
}

func number(name, value string, least, most int) (int, *FieldError) {
	n, err := strconv.Atoi(value)
	if err != nil || n < least || n > most || strconv.Itoa(n) != value {
		return 0, invalid(name, "it is not a whole number from %d to %d", least, most).having(value)
	}
	return n, nil
}

// check reports what is wrong with an audience. prefix stands before the names of its
// fields. everyone says that an audience that names nobody is everyone.
func (a *Audience) check(prefix string, everyone bool) *FieldError {
	var kinds []string
	if a.IDs != nil {
		kinds = append(kinds, "id")
	}
	if a.Group != nil {
		kinds = append(kinds, "group")
	}
	if a.User != nil {
		kinds = append(kinds, "user")
	}
	if a.All {
		kinds = append(kinds, "all")
	}
	if a.None {
		kinds = append(kinds, "none")
	}
	if len(kinds) == 0 && everyone {
		a.All, kinds = true, []string{"all"}
	}
	switch {
	case len(kinds) == 0:
		return invalid(prefix+"audience", "there is none: name it with id, group, user, all or none")
	case len(kinds) > 1:
		return invalid(prefix+kinds[1], "the audience is named by %s already: use one of the two", prefix+kinds[0])
	case len(a.IDs) > MostIDs:
		return invalid(prefix+"id", "there are %d, and at most %d are allowed", len(a.IDs), MostIDs)
	case len(a.Except) > MostIDs:
		return invalid(prefix+"except", "there are %d, and at most %d are allowed", len(a.Except), MostIDs)
	case slices.Contains(a.IDs, ""):
		return invalid(prefix+"id", "it is empty")
	case slices.Contains(a.Except, ""):
		return invalid(prefix+"except", "it is empty")
	}
	return nil
}
