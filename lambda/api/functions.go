package api

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"time"

	"example.com/gateway/controlplane"
)

// The store has a record for each function:
//
//	{
//		"Configuration": {…},                // of $LATEST, as in answers
//		"Tags": {…},
//		"LastVersion": 3,                    // the greatest version that was published
//		"ReservedConcurrentExecutions": 5    // if it is set
//	}
//
// Versions are configurations below it, and there are aliases and policies.

// change runs a change of a function in one Update of the store, and lets the runner know.
func (s *Server) change(name string, f func(controlplane.Writer) error) error {
	aside, err := s.changeAndSettle(name, f)
	s.remove(aside)
	return err
}

func (s *Server) changeAndSettle(name string, f func(controlplane.Writer) error) (aside []string, err error) {
	s.changes.Lock()
	defer s.changes.Unlock()
	if s.runner.isClosed() {
		return nil, errClosed
	}
	var now *function
	err = s.store.Update(func(w controlplane.Writer) (err error) {
		if err = f(w); err == nil {
			now, err = readFunction(w, name)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return s.settle(name, now), nil
}

// record returns what the store has of a function.
func (s *Server) record(r controlplane.Reader, name, qualifier string) (document, error) {
	d, err := read(r, functionKey(name))
	if err == nil && d == nil {
		err = notFound("Function not found: %s", s.arnOf(name, qualifier))
		if _, found := s.other(name); found {
			err = elsewhere(name)
		}
	}
	return d, err
}

// configuration returns the record of a function and the configuration that a qualifier
// names. They are the caller's own.
func (s *Server) configuration(r controlplane.Reader, name, qualifier string) (record, d document, err error) {
	if record, err = s.record(r, name, qualifier); err != nil {
		return nil, nil, err
	}
	version := qualifier
	if qualifier != "" && qualifier != latest && !versionNumber.MatchString(qualifier) {
		alias, err := read(r, aliasKey(name, qualifier))
		if err != nil {
			return nil, nil, err
		}
		version = textOf(alias, "FunctionVersion")
	}
	switch {
	case qualifier == "" || version == latest:
		d, _ = record["Configuration"].(document)
	case version != "":
		d, err = read(r, versionKey(name, version))
	}
	if err == nil && d == nil {
		err = notFound("Function not found: %s", s.arnOf(name, qualifier))
	}
	if err != nil {
		return nil, nil, err
	}
	d["FunctionArn"] = s.arnOf(name, qualifier)
	return record, d, nil
}

// stamp notes that a configuration has changed.
func stamp(d document) {
	d["LastModified"] = time.Now().UTC().Format("2006-01-02T15:04:05.000+0000")
	d["RevisionId"] = newRevision()
}

func newRevision() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// checkRevision compares the revision that a caller has seen with the present one.
func checkRevision(given any, d document) error {
	if given == nil || given == "" || given == d["RevisionId"] {
		return nil
	}
	return &apiError{http.StatusPreconditionFailed, "PreconditionFailedException", "The Revision Id provided does not match the latest Revision Id. Call the GetFunction/GetAlias API to retrieve the latest Revision Id"}
}

func (s *Server) createFunction(c *call) (reply, error) {
	body, err := c.body()
	if err != nil {
		return reply{}, err
	}
	name, qualifier, err := parseName(textOf(body, "FunctionName"), "")
	if err != nil {
		return reply{}, err
	}
	if qualifier != "" {
		return reply{}, invalid("The name of a new function must not have a qualifier: %s", qualifier)
	}
	if _, found := s.other(name); found {
		return reply{}, elsewhere(name)
	}
	d := document{"FunctionName": name, "FunctionArn": s.arnOf(name, ""), "Version": latest, "State": "Active", "LastUpdateStatus": "Successful"}
	if err := s.configure(d, body, true); err != nil {
		return reply{}, err
	}
	switch {
	case textOf(d, "Role") == "":
		return reply{}, constraint(nil, "role", "not be null")
	case textOf(d, "Runtime") == "" || textOf(d, "Handler") == "":
		return reply{}, invalid("Runtime and Handler are mandatory parameters for functions created with deployment packages.")
	}
	tags, err := checkTags(nil, body["Tags"])
	if err != nil {
		return reply{}, err
	}
	source, ok := body["Code"].(document)
	if !ok {
		return reply{}, constraint(nil, "code", "not be null")
	}
	publish, err := flag(body, "Publish")
	if err != nil {
		return reply{}, err
	}
	hash, err := s.upload(c, source, d)
	if err != nil {
		return reply{}, err
	}
	defer s.unpin(hash)
	stamp(d)
	err = s.change(name, func(w controlplane.Writer) error {
		if there, err := w.Get(functionKey(name)); err != nil || there != nil {
			if err == nil {
				err = conflict("Function already exist: %s", name)
			}
			return err
		}
		if err := s.checkRoom(); err != nil {
			return err
		}
		record := document{"Configuration": d, "Tags": tags}
		if publish {
			if d, err = s.publish(w, name, record, nil); err != nil {
				return err
			}
		}
		return write(w, functionKey(name), record)
	})
	return reply{status: http.StatusCreated, value: d}, err
}

// upload keeps the code that a call has, and writes its size and its hash to a
// configuration. The caller has to unpin the code.
func (s *Server) upload(c *call, source, d document) (hash string, err error) {
	zipped, err := zipOf(source)
	if err != nil {
		return "", err
	}
	c.data = nil
	delete(source, "ZipFile") // so that they do not stay in memory
	if len(zipped) > mostZipped {
		return "", tooLarge(mostCode, "UpdateFunctionCode")
	}
	sum := sha256.Sum256(zipped)
	hash = hex.EncodeToString(sum[:])
	s.code.pin(hash)
	if err := s.code.add(hash, zipped); err != nil {
		s.unpin(hash)
		return "", err
	}
	d["CodeSize"] = json.Number(strconv.Itoa(len(zipped)))
	d["CodeSha256"] = base64.StdEncoding.EncodeToString(sum[:])
	return hash, nil
}

// zipOf returns the zip file of a call.
func zipOf(source document) ([]byte, error) {
	switch {
	case source["ImageUri"] != nil:
		return nil, unsupported("Functions in images", "Give the code as a zip file, or run the image yourself and give its URL to the gateway.")
	case source["S3Bucket"] != nil || source["S3Key"] != nil:
		return nil, unsupported("Code in S3", "Give the zip file itself: filename in Terraform, ZipFile in SDKs, --zip-file fileb://… in the AWS CLI.")
	case source["ZipFile"] == nil:
		return nil, invalid("Please provide a source for function code.")
	}
	t, err := text("zipFile", source["ZipFile"])
	if err != nil {
		return nil, err
	}
	zipped, err := base64.StdEncoding.DecodeString(t)
	if err != nil {
		return nil, malformed("The value of zipFile must be base64")
	}
	return zipped, nil
}

func (s *Server) getFunction(c *call) (answer reply, err error) {
	name, qualifier, err := c.name()
	if err != nil {
		return reply{}, err
	}
	answer.status = http.StatusOK
	if d, found, err := s.otherConfiguration(name, qualifier); found {
		answer.value = document{"Configuration": d, "Code": document{}}
		return answer, err
	}
	err = s.store.View(func(r controlplane.Reader) error {
		record, d, err := s.configuration(r, name, qualifier)
		if err != nil {
			return err
		}
		value := document{"Configuration": d, "Code": document{"RepositoryType": "S3", "Location": s.location(c.Request, d)}}
		if tags, _ := record["Tags"].(document); len(tags) > 0 {
			value["Tags"] = tags
		}
		if n := record[reserved]; n != nil {
			value["Concurrency"] = document{reserved: n}
		}
		answer.value = value
		return nil
	})
	return answer, err
}

func (s *Server) getConfiguration(c *call) (answer reply, err error) {
	name, qualifier, err := c.name()
	if err != nil {
		return reply{}, err
	}
	answer.status = http.StatusOK
	if d, found, err := s.otherConfiguration(name, qualifier); found {
		answer.value = d
		return answer, err
	}
	err = s.store.View(func(r controlplane.Reader) (err error) {
		_, d, err := s.configuration(r, name, qualifier)
		answer.value = d
		return err
	})
	return answer, err
}

// changeLatest runs a change of the configuration of $LATEST, which a call names. It is
// answered with what f returns.
func (s *Server) changeLatest(name, qualifier string, revision any, f func(w controlplane.Writer, record, d document) (document, error)) (answer reply, err error) {
	if qualifier != "" && qualifier != latest {
		return reply{}, invalid("The operation cannot be performed on the qualifier %s: a published version cannot change", qualifier)
	}
	answer.status = http.StatusOK
	err = s.change(name, func(w controlplane.Writer) error {
		record, d, err := s.configuration(w, name, "")
		if err != nil {
			return err
		}
		if err := checkRevision(revision, d); err != nil {
			return err
		}
		if answer.value, err = f(w, record, d); err != nil {
			return err
		}
		return write(w, functionKey(name), record)
	})
	return answer, err
}

func (s *Server) updateConfiguration(c *call) (reply, error) {
	name, qualifier, err := c.name()
	if err != nil {
		return reply{}, err
	}
	body, err := c.body()
	if err != nil {
		return reply{}, err
	}
	return s.changeLatest(name, qualifier, body["RevisionId"], func(_ controlplane.Writer, _, d document) (document, error) {
		stamp(d)
		return d, s.configure(d, body, false)
	})
}

func (s *Server) updateCode(c *call) (reply, error) {
	name, qualifier, err := c.name()
	if err != nil {
		return reply{}, err
	}
	body, err := c.body()
	if err != nil {
		return reply{}, err
	}
	given := document{}
	if a := body["Architectures"]; a != nil {
		if given["Architectures"], err = checkArchitectures(s, a); err != nil {
			return reply{}, err
		}
	}
	publish, err := flag(body, "Publish")
	if err != nil {
		return reply{}, err
	}
	dry, err := flag(body, "DryRun")
	if err != nil {
		return reply{}, err
	}
	hash, err := s.upload(c, body, given)
	if err != nil {
		return reply{}, err
	}
	defer s.unpin(hash)
	if dry {
		return s.dryUpdate(name, body["RevisionId"], given)
	}
	return s.changeLatest(name, qualifier, body["RevisionId"], func(w controlplane.Writer, record, d document) (document, error) {
		maps.Copy(d, given)
		stamp(d)
		if !publish {
			return d, nil
		}
		return s.publish(w, name, record, nil)
	})
}

// dryUpdate answers with what UpdateFunctionCode would make.
func (s *Server) dryUpdate(name string, revision any, given document) (answer reply, err error) {
	answer.status = http.StatusOK
	err = s.store.View(func(r controlplane.Reader) error {
		_, d, err := s.configuration(r, name, "")
		if err != nil {
			return err
		}
		maps.Copy(d, given)
		answer.value = d
		return checkRevision(revision, d)
	})
	return answer, err
}

func (s *Server) listFunctions(c *call) (answer reply, err error) {
	after, limit, err := c.page()
	if err != nil {
		return reply{}, err
	}
	list, value := []any{}, document{}
	err = s.store.View(func(r controlplane.Reader) (err error) {
		if c.query.Get("FunctionVersion") == "ALL" {
			list, err = s.listAll(r, value, after, limit)
			return err
		}
		names, page, err := s.configurations(r, after, limit)
		list = append(list, page...)
		next(value, names, limit)
		return err
	})
	value["Functions"] = list
	return reply{status: http.StatusOK, value: value}, err
}

// listAll returns a page of functions, each with its versions behind it. Its markers are
// {function}:{version}, of which the version may be "".
func (s *Server) listAll(r controlplane.Reader, value document, after string, limit int) (list []any, err error) {
	name, version, within := strings.Cut(after, ":")
	for list = []any{}; ; within = false {
		if !within {
			names, page, err := s.configurations(r, name, 1)
			if err != nil || len(names) == 0 {
				return list, err
			}
			name, version = names[0], ""
			list = append(list, page[0])
		}
		if len(list) < limit {
			names, versions, err := children(r, versionsKey(name), version, limit-len(list))
			if err != nil {
				return nil, err
			}
			for n, d := range versions {
				list, version = append(list, d), names[n]
			}
		}
		if len(list) == limit {
			next(value, []string{name + ":" + version}, 1)
			return list, nil
		}
	}
}

// page returns after which name a page begins, and how many documents it has.
func (c *call) page() (after string, limit int, err error) {
	const most = 50
	if marker := c.query.Get("Marker"); marker != "" {
		b, err := base64.RawURLEncoding.DecodeString(marker)
		if err != nil || len(b) == 0 || strings.Contains(string(b), "/") {
			return "", 0, invalid("Invalid marker: %s", echo(marker))
		}
		after = string(b)
	}
	if given := c.query.Get("MaxItems"); given != "" {
		n, err := strconv.Atoi(given)
		if err != nil || n < 1 || n > 10000 {
			return "", 0, constraint(given, "maxItems", "have value between 1 and 10000")
		}
		return after, min(n, most), nil
	}
	return after, most, nil
}

// next writes the marker of the next page, if there may be one.
func next(value document, names []string, limit int) {
	if len(names) == limit {
		value["NextMarker"] = base64.RawURLEncoding.EncodeToString([]byte(names[limit-1]))
	}
}

func (s *Server) deleteFunction(c *call) (reply, error) {
	name, qualifier, err := c.name()
	if err != nil {
		return reply{}, err
	}
	switch {
	case qualifier == latest:
		return reply{}, invalid("$LATEST version cannot be deleted without deleting the function.")
	case qualifier != "" && !versionNumber.MatchString(qualifier):
		return reply{}, invalid("Deletion of aliases is not currently supported.")
	}
	err = s.change(name, func(w controlplane.Writer) error {
		if _, err := s.record(w, name, qualifier); err != nil {
			return err
		}
		if qualifier != "" {
			return s.deleteVersion(w, name, qualifier)
		}
		return w.Delete(functionKey(name))
	})
	return reply{status: http.StatusNoContent}, err
}
