package api

import (
	"encoding/json"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"example.com/gateway/controlplane"
)

// This file has what is known of a function and has no effect on how it runs: who may call
// it, and tags. Reserved concurrency and code signing are here, too.

// mostPolicy is how many bytes a policy may have.
const mostPolicy = 20480

var (
	anAction   = regexp.MustCompile(`^(lambda:[*]|lambda:[a-zA-Z]+|[*])$`)
	aPrincipal = regexp.MustCompile(`^\S+$`)
	anAccount  = regexp.MustCompile(`^\d{12}$`)
)

// addPermission keeps a statement of the policy of a function. Nothing asks the policy:
// every API of this program may call every function.
func (s *Server) addPermission(c *call) (reply, error) {
	name, qualifier, err := c.name()
	if err != nil {
		return reply{}, err
	}
	body, err := c.body()
	if err != nil {
		return reply{}, err
	}
	if qualifier == latest {
		return reply{}, invalid("We currently do not support adding policies for $LATEST.")
	}
	statement, err := s.statement(name, qualifier, body)
	if err != nil {
		return reply{}, err
	}
	err = s.change(name, func(w controlplane.Writer) error {
		if _, _, err := s.configuration(w, name, qualifier); err != nil {
			return err
		}
		d, statements, err := policyOf(w, name, qualifier)
		if err != nil {
			return err
		}
		if err := checkRevision(body["RevisionId"], d); err != nil {
			return err
		}
		if slices.ContainsFunc(statements, hasID(textOf(statement, "Sid"))) {
			return conflict("The statement id (%s) provided already exists. Please provide a new statement id, or remove the existing statement.", statement["Sid"])
		}
		return writePolicy(w, name, qualifier, append(statements, statement))
	})
	if err != nil {
		return reply{}, err
	}
	text, err := encodeJSON(statement)
	return reply{status: http.StatusCreated, value: document{"Statement": string(text)}}, err
}

// statement makes the statement of a policy.
func (s *Server) statement(name, qualifier string, body document) (document, error) {
	for _, member := range []struct {
		name, key string
		form      *regexp.Regexp
	}{
		{"statementId", "StatementId", statementID},
		{"action", "Action", anAction},
		{"principal", "Principal", aPrincipal},
	} {
		t, err := optionalText(body, member.key)
		switch {
		case err != nil:
			return nil, err
		case !member.form.MatchString(t):
			return nil, constraint(t, member.name, "satisfy regular expression pattern: "+member.form.String())
		}
	}
	d := document{
		"Sid": body["StatementId"], "Effect": "Allow", "Action": body["Action"], "Resource": s.arnOf(name, qualifier),
		"Principal": principal(textOf(body, "Principal")),
	}
	condition, err := conditionOf(body)
	if len(condition) > 0 {
		d["Condition"] = condition
	}
	return d, err
}

// conditionOf makes the condition of a statement. One that is left out allows more than was
// asked for, so that a value of another kind is an error.
func conditionOf(body document) (document, error) {
	condition := document{}
	for _, member := range []struct{ name, operator, key string }{
		{"SourceAccount", "StringEquals", "AWS:SourceAccount"},
		{"EventSourceToken", "StringEquals", "lambda:EventSourceToken"},
		{"PrincipalOrgID", "StringEquals", "aws:PrincipalOrgID"},
		{"FunctionUrlAuthType", "StringEquals", "lambda:FunctionUrlAuthType"},
		{"SourceArn", "ArnLike", "AWS:SourceArn"},
	} {
		value, err := optionalText(body, member.name)
		if err != nil {
			return nil, err
		}
		if value == "" {
			if body[member.name] != nil {
				return nil, constraint(value, strings.ToLower(member.name[:1])+member.name[1:], "have length greater than or equal to 1")
			}
			continue
		}
		all, _ := condition[member.operator].(document)
		if all == nil {
			all = document{}
			condition[member.operator] = all
		}
		all[member.key] = value
	}
	byURL, err := flag(body, "InvokedViaFunctionUrl")
	if byURL {
		condition["Bool"] = document{"lambda:InvokedViaFunctionUrl": "true"}
	}
	return condition, err
}

// principal returns whom a statement names, as a policy writes it.
func principal(name string) any {
	switch {
	case name == "*":
		return name
	case anAccount.MatchString(name):
		return document{"AWS": "arn:aws:iam::" + name + ":root"}
	case strings.HasPrefix(name, "arn:"):
		return document{"AWS": name}
	}
	return document{"Service": name}
}

func hasID(id string) func(any) bool {
	return func(statement any) bool {
		d, _ := statement.(document)
		return textOf(d, "Sid") == id
	}
}

// policyOf returns the policy of a function, of a version or of an alias, and its
// statements.
func policyOf(r controlplane.Reader, name, qualifier string) (d document, statements []any, err error) {
	if d, err = read(r, policyKey(name, qualifier)); err != nil {
		return nil, nil, err
	}
	statements, _ = d["Statement"].([]any)
	return d, statements, nil
}

// writePolicy stores the policy with these statements.
func writePolicy(w controlplane.Writer, name, qualifier string, statements []any) error {
	if len(statements) == 0 {
		return w.Delete(policyKey(name, qualifier))
	}
	text, err := policyText(statements)
	if err != nil {
		return err
	}
	if len(text) > mostPolicy {
		return &apiError{http.StatusBadRequest, "PolicyLengthExceededException", "The final policy size (" + strconv.Itoa(len(text)) + ") is bigger than the limit (" + strconv.Itoa(mostPolicy) + ")."}
	}
	return write(w, policyKey(name, qualifier), document{"RevisionId": newRevision(), "Statement": statements})
}

func policyText(statements []any) (string, error) {
	text, err := encodeJSON(document{"Version": "2012-10-17", "Id": "default", "Statement": statements})
	return string(text), err
}

var errNoPolicy = notFound("The resource you requested does not exist.")

func (s *Server) getPolicy(c *call) (answer reply, err error) {
	name, qualifier, err := c.name()
	if err != nil {
		return reply{}, err
	}
	answer.status = http.StatusOK
	err = s.store.View(func(r controlplane.Reader) error {
		if _, _, err := s.configuration(r, name, qualifier); err != nil {
			return err
		}
		d, statements, err := policyOf(r, name, qualifier)
		if err != nil {
			return err
		}
		if len(statements) == 0 {
			return errNoPolicy
		}
		text, err := policyText(statements)
		answer.value = document{"Policy": text, "RevisionId": d["RevisionId"]}
		return err
	})
	return answer, err
}

func (s *Server) removePermission(c *call) (reply, error) {
	name, qualifier, err := c.name()
	if err != nil {
		return reply{}, err
	}
	id := c.params[1]
	err = s.change(name, func(w controlplane.Writer) error {
		if _, _, err := s.configuration(w, name, qualifier); err != nil {
			return err
		}
		d, statements, err := policyOf(w, name, qualifier)
		if err != nil {
			return err
		}
		n := slices.IndexFunc(statements, hasID(id))
		if n < 0 {
			return notFound("Statement %s is not found in resource policy.", echo(id))
		}
		if err := checkRevision(c.query.Get("RevisionId"), d); err != nil {
			return err
		}
		return writePolicy(w, name, qualifier, slices.Delete(statements, n, n+1))
	})
	return reply{status: http.StatusNoContent}, err
}

const mostTags = 50

// checkTags returns tags with those that are added.
func checkTags(tags document, add any) (document, error) {
	if tags == nil {
		tags = document{}
	}
	if add == nil {
		return tags, nil
	}
	added, err := objectOf("tags", add)
	if err != nil {
		return nil, err
	}
	for key, value := range added {
		t, err := text("tags", value)
		switch {
		case err != nil:
			return nil, err
		case key == "" || len([]rune(key)) > 128:
			return nil, invalid("The tag key must have 1 to 128 characters: %s", echo(key))
		case len([]rune(t)) > 256:
			return nil, invalid("The value of the tag %s must have at most 256 characters", key)
		case strings.HasPrefix(strings.ToLower(key), "aws:"):
			return nil, invalid("The tag key must not begin with aws: %s", key)
		}
		tags[key] = t
	}
	if len(tags) > mostTags {
		return nil, invalid("Number of tags exceeds resource tag limit.")
	}
	return tags, nil
}

func (s *Server) listTags(c *call) (answer reply, err error) {
	name, _, err := c.name()
	if err != nil {
		return reply{}, err
	}
	answer.status = http.StatusOK
	err = s.store.View(func(r controlplane.Reader) error {
		record, err := s.record(r, name, "")
		if err != nil {
			return err
		}
		tags, _ := record["Tags"].(document)
		if tags == nil {
			tags = document{}
		}
		answer.value = document{"Tags": tags}
		return nil
	})
	return answer, err
}

// changeRecord runs a change of the record of a function.
func (s *Server) changeRecord(c *call, f func(record document) error) error {
	name, qualifier, err := c.name()
	if err != nil {
		return err
	}
	if qualifier != "" {
		return invalid("The operation is for a function, not for its version or alias %s", qualifier)
	}
	return s.change(name, func(w controlplane.Writer) error {
		record, err := s.record(w, name, "")
		if err != nil {
			return err
		}
		if err := f(record); err != nil {
			return err
		}
		return write(w, functionKey(name), record)
	})
}

func (s *Server) tagResource(c *call) (reply, error) {
	body, err := c.body()
	if err != nil {
		return reply{}, err
	}
	return reply{status: http.StatusNoContent}, s.changeRecord(c, func(record document) (err error) {
		tags, _ := record["Tags"].(document)
		record["Tags"], err = checkTags(tags, body["Tags"])
		return err
	})
}

func (s *Server) untagResource(c *call) (reply, error) {
	return reply{status: http.StatusNoContent}, s.changeRecord(c, func(record document) error {
		tags, _ := record["Tags"].(document)
		for _, key := range c.query["tagKeys"] {
			delete(tags, key)
		}
		return nil
	})
}

// reserved is the member with the reserved concurrency.
const reserved = "ReservedConcurrentExecutions"

func (s *Server) putConcurrency(c *call) (reply, error) {
	body, err := c.body()
	if err != nil {
		return reply{}, err
	}
	if body[reserved] == nil {
		return reply{}, constraint(nil, "reservedConcurrentExecutions", "not be null")
	}
	n, err := whole("reservedConcurrentExecutions", body[reserved])
	if err == nil && n < 0 {
		err = constraint(n, "reservedConcurrentExecutions", "have value greater than or equal to 0")
	}
	if err != nil {
		return reply{}, err
	}
	value := json.Number(strconv.Itoa(n))
	return reply{status: http.StatusOK, value: document{reserved: value}}, s.changeRecord(c, func(record document) error {
		record[reserved] = value
		return nil
	})
}

func (s *Server) deleteConcurrency(c *call) (reply, error) {
	return reply{status: http.StatusNoContent}, s.changeRecord(c, func(record document) error {
		delete(record, reserved)
		return nil
	})
}

func (s *Server) getConcurrency(c *call) (reply, error) {
	value := document{}
	name, _, err := c.name()
	if err != nil {
		return reply{}, err
	}
	err = s.store.View(func(r controlplane.Reader) error {
		record, err := s.record(r, name, "")
		if n := record[reserved]; n != nil {
			value[reserved] = n
		}
		return err
	})
	return reply{status: http.StatusOK, value: value}, err
}

// getCodeSigning answers that a function has no code signing.
func (s *Server) getCodeSigning(c *call) (reply, error) {
	name, _, err := c.name()
	if err != nil {
		return reply{}, err
	}
	err = s.store.View(func(r controlplane.Reader) error {
		_, err := s.record(r, name, "")
		return err
	})
	return reply{status: http.StatusOK, value: document{}}, err
}
