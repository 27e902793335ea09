package api

import (
	"net/http"
	"net/url"
	"strings"
)

const (
	mostBody  = 1 << 20  // bytes of a body
	mostCode  = 70167211 // bytes of a body with a zip file of 50 MB, as base64
	mostEvent = 6 << 20  // bytes of an event
)

// operation is one of the Lambda API.
type operation struct {
	method, path string // {} is a parameter: one segment, which may have escaped slashes
	name         string
	limit        int64 // bytes of the body
	run          func(*Server, *call) (reply, error)
}

// operations are those that this server answers. They have the order of the API reference.
func operations() []operation {
	return []operation{
		{"POST", "2015-03-31/functions", "CreateFunction", mostCode, (*Server).createFunction},
		{"GET", "2015-03-31/functions", "ListFunctions", mostBody, (*Server).listFunctions},
		{"GET", "2015-03-31/functions/{}", "GetFunction", mostBody, (*Server).getFunction},
		{"DELETE", "2015-03-31/functions/{}", "DeleteFunction", mostBody, (*Server).deleteFunction},
		{"PUT", "2015-03-31/functions/{}/code", "UpdateFunctionCode", mostCode, (*Server).updateCode},
		{"GET", "2015-03-31/functions/{}/configuration", "GetFunctionConfiguration", mostBody, (*Server).getConfiguration},
		{"PUT", "2015-03-31/functions/{}/configuration", "UpdateFunctionConfiguration", mostBody, (*Server).updateConfiguration},
		{"POST", "2015-03-31/functions/{}/invocations", "InvokeFunction", mostEvent, (*Server).invoke},
		{"POST", "2015-03-31/functions/{}/versions", "PublishVersion", mostBody, (*Server).publishVersion},
		{"GET", "2015-03-31/functions/{}/versions", "ListVersionsByFunction", mostBody, (*Server).listVersions},
		{"POST", "2015-03-31/functions/{}/aliases", "CreateAlias", mostBody, (*Server).createAlias},
		{"GET", "2015-03-31/functions/{}/aliases", "ListAliases", mostBody, (*Server).listAliases},
		{"GET", "2015-03-31/functions/{}/aliases/{}", "GetAlias", mostBody, (*Server).getAlias},
		{"PUT", "2015-03-31/functions/{}/aliases/{}", "UpdateAlias", mostBody, (*Server).updateAlias},
		{"DELETE", "2015-03-31/functions/{}/aliases/{}", "DeleteAlias", mostBody, (*Server).deleteAlias},
		{"POST", "2015-03-31/functions/{}/policy", "AddPermission", mostBody, (*Server).addPermission},
		{"GET", "2015-03-31/functions/{}/policy", "GetPolicy", mostBody, (*Server).getPolicy},
		{"DELETE", "2015-03-31/functions/{}/policy/{}", "RemovePermission", mostBody, (*Server).removePermission},
		{"GET", "2017-03-31/tags/{}", "ListTags", mostBody, (*Server).listTags},
		{"POST", "2017-03-31/tags/{}", "TagResource", mostBody, (*Server).tagResource},
		{"DELETE", "2017-03-31/tags/{}", "UntagResource", mostBody, (*Server).untagResource},
		{"PUT", "2017-10-31/functions/{}/concurrency", "PutFunctionConcurrency", mostBody, (*Server).putConcurrency},
		{"DELETE", "2017-10-31/functions/{}/concurrency", "DeleteFunctionConcurrency", mostBody, (*Server).deleteConcurrency},
		{"GET", "2019-09-30/functions/{}/concurrency", "GetFunctionConcurrency", mostBody, (*Server).getConcurrency},
		{"GET", "2020-06-30/functions/{}/code-signing-config", "GetFunctionCodeSigningConfig", mostBody, (*Server).getCodeSigning},
	}
}

// absent are the parts of the Lambda API that this server does not have: the segment of
// the path that names each, what it is, and what to do without it.
func absent() []struct{ segment, what, hint string } {
	return []struct{ segment, what, hint string }{
		{"layers", "Layers", "Put the files of the layer into the zip file of the function."},
		{"event-source-mappings", "Event source mappings", "Send events to the function with Invoke."},
		{"event-invoke-config", "The configuration of asynchronous invocation", "Leave it out: an event that fails is not sent again."},
		{"url", "Function URLs", "Call the function with Invoke, or through an API."},
		{"urls", "Function URLs", "Call the function with Invoke, or through an API."},
		{"provisioned-concurrency", "Provisioned concurrency", "Leave it out: a process that has started waits five minutes for the next event."},
		{"code-signing-configs", "Code signing", "Leave it out: all code is accepted."},
		{"code-signing-config", "Code signing", "Leave it out: all code is accepted."},
		{"response-streaming-invocations", "An answer as a stream", "Call the function with Invoke."},
		{"invoke-async", "InvokeAsync", "Call Invoke with the invocation type Event."},
		{"runtime-management-config", "The management of runtimes", "Leave it out: the interpreter on the PATH runs the function."},
		{"recursion-config", "The detection of recursive loops", "Leave it out."},
		{"function-scaling-config", "The scaling of functions", "Leave it out."},
		{"capacity-providers", "Capacity providers", "Leave them out."},
		{"durable-executions", "Durable executions", "Leave them out."},
		{"account-settings", "Account settings", "Leave them out."},
	}
}

// find returns the operation of a request and the parameters in its path.
func (s *Server) find(method string, u *url.URL) (*operation, []string, error) {
	path := strings.Split(strings.Trim(u.EscapedPath(), "/"), "/")
	if method == http.MethodHead {
		method = http.MethodGet
	}
	for n := range s.operations {
		o := &s.operations[n]
		if o.method != method {
			continue
		}
		params, ok, err := match(o.path, path)
		if ok || err != nil {
			return o, params, err
		}
	}
	return nil, nil, s.noOperation(path)
}

// match compares a path with the one of an operation.
func match(pattern string, path []string) (params []string, ok bool, err error) {
	want := strings.Split(pattern, "/")
	if want[len(want)-1] == "{}" && len(path) > len(want) && want[1] == "tags" {
		path = append(path[:len(want)-1:len(want)-1], strings.Join(path[len(want)-1:], "/")) // an ARN that is not escaped
	}
	if len(path) != len(want) {
		return nil, false, nil
	}
	for n, segment := range want {
		if segment != "{}" {
			if segment != path[n] {
				return nil, false, nil
			}
			continue
		}
		text, err := url.PathUnescape(path[n])
		if err != nil {
			return nil, false, invalid("The path cannot be unescaped: %s", echo(path[n]))
		}
		params = append(params, text)
	}
	return params, true, nil
}

// noOperation is the error of a path that is none of the operations.
func (s *Server) noOperation(path []string) error {
	for _, a := range absent() {
		if len(path) > 1 && (path[1] == a.segment || len(path) > 3 && path[3] == a.segment) {
			return unsupported(a.what, a.hint)
		}
	}
	return &apiError{http.StatusNotFound, "UnknownOperationException", "The Lambda API has no operation with this method and path, or this server does not know it"}
}
