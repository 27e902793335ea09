package api

import (
	"encoding/json"
	"maps"
	"net/http"
	"strconv"
	"strings"

	"example.com/gateway/controlplane"
)

// publish makes a version of $LATEST, whose record the caller writes. If nothing has
// changed since the last version, that is the result. Its description is the one given,
// unless that is nil.
func (s *Server) publish(w controlplane.Writer, name string, record document, description any) (document, error) {
	d, _ := record["Configuration"].(document)
	last := numberOf(record, "LastVersion")
	previous, err := read(w, versionKey(name, strconv.Itoa(last)))
	if err != nil {
		return nil, err
	}
	if previous != nil && sameFunction(previous, d) {
		return previous, nil
	}
	if err := s.checkRoom(); err != nil {
		return nil, err
	}
	number := strconv.Itoa(last + 1)
	record["LastVersion"] = json.Number(number)
	version := maps.Clone(d)
	version["Version"] = number
	version["FunctionArn"] = s.arnOf(name, number)
	version["RevisionId"] = newRevision()
	if description != nil {
		version["Description"] = description
	}
	return version, write(w, versionKey(name, number), version)
}

// sameFunction reports whether two configurations run the same code in the same way.
func sameFunction(a, b document) bool {
	plain := func(d document) string {
		d = maps.Clone(d)
		for _, member := range []string{"Version", "FunctionArn", "RevisionId", "LastModified", "Description"} {
			delete(d, member)
		}
		text, _ := encodeJSON(d) // it came from JSON
		return string(text)
	}
	return plain(a) == plain(b)
}

func (s *Server) publishVersion(c *call) (reply, error) {
	name, qualifier, err := c.name()
	if err != nil {
		return reply{}, err
	}
	body, err := c.body()
	if err != nil {
		return reply{}, err
	}
	description := body["Description"]
	if description != nil {
		if _, err := pattern("description", nil, 256)(s, description); err != nil {
			return reply{}, err
		}
	}
	sha, err := optionalText(body, "CodeSha256")
	if err != nil {
		return reply{}, err
	}
	if body["PublishTo"] != nil {
		return reply{}, unsupported("PublishTo", "Leave it out.")
	}
	answer, err := s.changeLatest(name, qualifier, body["RevisionId"], func(w controlplane.Writer, record, d document) (document, error) {
		if sha != "" && sha != d["CodeSha256"] {
			return nil, invalid("CodeSHA256 (%s) is different from current CodeSHA256 in $LATEST (%s). Please try again with the CodeSHA256 in $LATEST.", echo(sha), d["CodeSha256"])
		}
		return s.publish(w, name, record, description)
	})
	answer.status = http.StatusCreated
	return answer, err
}

// beforeVersions is before the keys of all versions: it marks that $LATEST was listed.
const beforeVersions = "0"

func (s *Server) listVersions(c *call) (reply, error) {
	name, _, err := c.name()
	if err != nil {
		return reply{}, err
	}
	after, limit, err := c.page()
	if err != nil {
		return reply{}, err
	}
	list, value := []any{}, document{}
	err = s.store.View(func(r controlplane.Reader) error {
		_, newest, err := s.configuration(r, name, latest)
		if err != nil {
			return err
		}
		var names []string
		if after == "" {
			list, names = append(list, newest), append(names, beforeVersions)
		}
		if len(list) < limit {
			more, versions, err := children(r, versionsKey(name), after, limit-len(list))
			if err != nil {
				return err
			}
			names = append(names, more...)
			for _, d := range versions {
				list = append(list, d)
			}
		}
		next(value, names, limit)
		return nil
	})
	value["Versions"] = list
	return reply{status: http.StatusOK, value: value}, err
}

// deleteVersion removes a version, unless an alias needs it. One that is not there is
// removed already.
func (s *Server) deleteVersion(w controlplane.Writer, name, version string) error {
	_, aliases, err := children(w, aliasKey(name, ""), "", 0)
	if err != nil {
		return err
	}
	for _, alias := range aliases {
		weights := weightsOf(alias)
		if _, weighted := weights[version]; weighted || alias["FunctionVersion"] == version {
			return conflict("Version %s is in use by the alias %s. Delete the alias, or let it name another version", version, alias["Name"])
		}
	}
	if err := w.Delete(policyKey(name, version)); err != nil {
		return err
	}
	return w.Delete(versionKey(name, version))
}

// weightsOf returns the weights of the further versions of an alias.
func weightsOf(alias document) document {
	routing, _ := alias["RoutingConfig"].(document)
	weights, _ := routing["AdditionalVersionWeights"].(document)
	return weights
}

func (s *Server) createAlias(c *call) (reply, error) {
	name, _, err := c.name()
	if err != nil {
		return reply{}, err
	}
	body, err := c.body()
	if err != nil {
		return reply{}, err
	}
	alias := textOf(body, "Name")
	if len(alias) > mostQualifier || !aliasName.MatchString(alias) || strings.Trim(alias, "0123456789") == "" {
		return reply{}, constraint(alias, "name", "satisfy regular expression pattern: (?!^[0-9]+$)([a-zA-Z0-9-_]+)")
	}
	if body["FunctionVersion"] == nil {
		return reply{}, constraint(nil, "functionVersion", "not be null")
	}
	d := document{"AliasArn": s.arnOf(name, alias), "Name": alias, "Description": ""}
	err = s.change(name, func(w controlplane.Writer) error {
		if there, err := w.Get(aliasKey(name, alias)); err != nil || there != nil {
			if err == nil {
				err = conflict("Alias already exists: %s", s.arnOf(name, alias))
			}
			return err
		}
		if err := s.checkRoom(); err != nil {
			return err
		}
		return s.writeAlias(w, name, d, body)
	})
	return reply{status: http.StatusCreated, value: d}, err
}

// writeAlias writes what a caller gives to an alias, and stores it.
func (s *Server) writeAlias(w controlplane.Writer, name string, d, given document) error {
	if _, err := s.record(w, name, ""); err != nil {
		return err
	}
	if version := given["FunctionVersion"]; version != nil {
		t, err := text("functionVersion", version)
		if err != nil {
			return err
		}
		if t != latest && !versionNumber.MatchString(t) {
			return constraint(t, "functionVersion", `satisfy regular expression pattern: (\$LATEST|[0-9]+)`)
		}
		if _, _, err := s.configuration(w, name, t); err != nil {
			return err
		}
		d["FunctionVersion"] = t
	}
	if description := given["Description"]; description != nil {
		checked, err := pattern("description", nil, 256)(s, description)
		if err != nil {
			return err
		}
		d["Description"] = checked
	}
	routing := given["RoutingConfig"]
	if routing == nil {
		routing = d["RoutingConfig"] // the new version may not allow it
	}
	if routing != nil {
		if err := s.checkRouting(w, name, d, routing); err != nil {
			return err
		}
	}
	d["RevisionId"] = newRevision()
	return write(w, aliasKey(name, textOf(d, "Name")), d)
}

// checkRouting writes the weights of an alias: {"AdditionalVersionWeights": {"2": 0.1}}.
func (s *Server) checkRouting(r controlplane.Reader, name string, d document, value any) error {
	routing, err := objectOf("routingConfig", value)
	if err != nil {
		return err
	}
	delete(d, "RoutingConfig")
	given := routing["AdditionalVersionWeights"]
	if given == nil {
		return nil
	}
	weights, err := objectOf("routingConfig.additionalVersionWeights", given)
	if err != nil || len(weights) == 0 {
		return err
	}
	if len(weights) > 1 || d["FunctionVersion"] == latest {
		return invalid("An alias can have one additional version, and then neither of both can be $LATEST")
	}
	for version, value := range weights {
		weight, ok := value.(json.Number)
		n, err := weight.Float64()
		switch {
		case !ok || err != nil:
			return malformed("The weight of an additional version must be a number")
		case !(n >= 0 && n <= 1):
			return constraint(weight, "routingConfig.additionalVersionWeights", "have value between 0 and 1")
		case !versionNumber.MatchString(version):
			return constraint(version, "routingConfig.additionalVersionWeights", "satisfy regular expression pattern: [0-9]+")
		case version == d["FunctionVersion"]:
			return invalid("The additional version %s of the alias is its version already: name another one, or leave out RoutingConfig", version)
		}
		if _, _, err := s.configuration(r, name, version); err != nil {
			return err
		}
	}
	d["RoutingConfig"] = document{"AdditionalVersionWeights": weights}
	return nil
}

// alias returns the alias that a call names.
func (s *Server) alias(r controlplane.Reader, name, alias string) (document, error) {
	if _, err := s.record(r, name, ""); err != nil {
		return nil, err
	}
	var d document
	var err error
	if aliasName.MatchString(alias) {
		d, err = read(r, aliasKey(name, alias))
	}
	if err == nil && d == nil {
		err = notFound("Cannot find alias arn: %s", s.arnOf(name, echo(alias)))
	}
	return d, err
}

func (s *Server) getAlias(c *call) (answer reply, err error) {
	name, _, err := c.name()
	if err != nil {
		return reply{}, err
	}
	answer.status = http.StatusOK
	err = s.store.View(func(r controlplane.Reader) error {
		d, err := s.alias(r, name, c.params[1])
		answer.value = d
		return err
	})
	return answer, err
}

func (s *Server) updateAlias(c *call) (answer reply, err error) {
	name, _, err := c.name()
	if err != nil {
		return reply{}, err
	}
	body, err := c.body()
	if err != nil {
		return reply{}, err
	}
	answer.status = http.StatusOK
	err = s.change(name, func(w controlplane.Writer) error {
		d, err := s.alias(w, name, c.params[1])
		if err != nil {
			return err
		}
		if err := checkRevision(body["RevisionId"], d); err != nil {
			return err
		}
		answer.value = d
		return s.writeAlias(w, name, d, body)
	})
	return answer, err
}

func (s *Server) listAliases(c *call) (reply, error) {
	name, _, err := c.name()
	if err != nil {
		return reply{}, err
	}
	after, limit, err := c.page()
	if err != nil {
		return reply{}, err
	}
	list, value, version := []any{}, document{}, c.query.Get("FunctionVersion")
	err = s.store.View(func(r controlplane.Reader) error {
		if _, err := s.record(r, name, ""); err != nil {
			return err
		}
		names, aliases, err := children(r, aliasKey(name, ""), after, limit)
		if err != nil {
			return err
		}
		for _, d := range aliases {
			if version == "" || version == d["FunctionVersion"] {
				list = append(list, d)
			}
		}
		next(value, names, limit)
		return nil
	})
	value["Aliases"] = list
	return reply{status: http.StatusOK, value: value}, err
}

// deleteAlias removes an alias. One that is not there is removed already.
func (s *Server) deleteAlias(c *call) (reply, error) {
	name, _, err := c.name()
	if err != nil {
		return reply{}, err
	}
	alias := c.params[1]
	err = s.change(name, func(w controlplane.Writer) error {
		if _, err := s.record(w, name, ""); err != nil || !aliasName.MatchString(alias) {
			return err
		}
		if err := w.Delete(policyKey(name, alias)); err != nil {
			return err
		}
		return w.Delete(aliasKey(name, alias))
	})
	return reply{status: http.StatusNoContent}, err
}
