package api

import (
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// This file has the members of a function's configuration: what values they take, and what
// they are if nobody gives them.

// field is a member of a configuration.
type field struct {
	name string
	// check returns the value to store, or an error. Its value is not null. A result of
	// nil removes the member.
	check func(s *Server, value any) (any, error)
	// standard is the value of a new function that is not given one. nil: none.
	standard any
	// onCreate says that UpdateFunctionConfiguration does not take it.
	onCreate bool
}

// fields are the members of CreateFunction and UpdateFunctionConfiguration that are in the
// answers. The constraints are those of the SDK model.
func fields() []field {
	return []field{
		{name: "Runtime", check: checkRuntime},
		{name: "Role", check: pattern("role", roleARN, 0)},
		{name: "Handler", check: pattern("handler", regexp.MustCompile(`^\S+$`), 128)},
		{name: "Description", check: pattern("description", nil, 256), standard: ""},
		{name: "Timeout", check: number("timeout", 1, 900), standard: json.Number("3")},
		{name: "MemorySize", check: number("memorySize", 128, 32768), standard: json.Number("128")},
		{name: "Environment", check: checkEnvironment},
		{name: "PackageType", check: only("packageType", "Zip", "Functions in images", "Give the code as a zip file, or run the image yourself and give its URL to the gateway."), standard: "Zip", onCreate: true},
		{name: "Architectures", check: checkArchitectures, standard: []any{"x86_64"}, onCreate: true},
		{name: "TracingConfig", check: object("tracingConfig", "Mode", "PassThrough", "Active"), standard: document{"Mode": "PassThrough"}},
		{name: "EphemeralStorage", check: checkStorage, standard: document{"Size": json.Number("512")}},
		{name: "SnapStart", check: checkSnapStart, standard: document{"ApplyOn": "None", "OptimizationStatus": "Off"}},
		{name: "LoggingConfig", check: checkLogging},
		{name: "VpcConfig", check: anObject("vpcConfig", "SubnetIds", "SecurityGroupIds", "Ipv6AllowedForDualStack")},
		{name: "DeadLetterConfig", check: anObject("deadLetterConfig", "TargetArn")},
		{name: "KMSKeyArn", check: pattern("kMSKeyArn", nil, 2048)},
		{name: "Layers", check: none("Layers", "Put the files of the layer into the zip file of the function.")},
		{name: "FileSystemConfigs", check: none("File systems", "Give the function a path of this machine in a variable of its environment.")},
		{name: "ImageConfig", check: none("Functions in images", "Give the code as a zip file.")},
		{name: "CodeSigningConfigArn", check: none("Code signing", "Leave it out: all code is accepted."), onCreate: true},
		{name: "DurableConfig", check: none("Durable functions", "Leave it out.")},
		{name: "CapacityProviderConfig", check: none("Capacity providers", "Leave it out.")},
		{name: "TenancyConfig", check: none("Tenant isolation", "Leave it out."), onCreate: true},
	}
}

var (
	roleARN     = regexp.MustCompile(`^arn:(aws[a-zA-Z-]*)?:iam::\d{12}:role/?[a-zA-Z_0-9+=,.@\-_/]+$`)
	runtimeName = regexp.MustCompile(`^(nodejs\d*(\.\d+)?(\.x)?|python\d\.\d+|java\d+(\.al2)?|dotnet(core)?\d+(\.\d+)?|ruby\d\.\d|go1\.x|provided(\.al\d+)?)$`)
	logGroup    = regexp.MustCompile(`^[\.\-_/#A-Za-z0-9]+$`)
	variable    = regexp.MustCompile(`^[a-zA-Z][a-zA-Z0-9_]+$`)
)

// configure writes what a caller gives to the members of a configuration. A new one gets
// the standard values, too.
func (s *Server) configure(d, given document, isNew bool) error {
	for _, f := range fields() {
		value, there := given[f.name]
		switch {
		case f.onCreate && !isNew:
			continue
		case !there && isNew && f.standard != nil:
			d[f.name] = f.standard
			continue
		case !there:
			continue
		}
		checked, err := f.check(s, value)
		if err != nil {
			return err
		}
		if checked == nil {
			delete(d, f.name)
		} else {
			d[f.name] = checked
		}
	}
	logging, _ := d["LoggingConfig"].(document)
	if logging == nil {
		logging = document{"LogFormat": "Text"}
	}
	if textOf(logging, "LogGroup") == "" {
		logging["LogGroup"] = "/aws/lambda/" + textOf(d, "FunctionName")
	}
	if logging["LogFormat"] == "JSON" {
		for _, level := range []string{"ApplicationLogLevel", "SystemLogLevel"} {
			if logging[level] == nil {
				logging[level] = "INFO"
			}
		}
	}
	d["LoggingConfig"] = logging
	return nil
}

// text returns a value that has to be text.
func text(member string, value any) (string, error) {
	t, ok := value.(string)
	if !ok {
		return "", malformed("The value of %s must be a string", member)
	}
	return t, nil
}

// optionalText returns a text of what a caller has given, or "" if there is none.
func optionalText(given document, member string) (string, error) {
	if given[member] == nil {
		return "", nil
	}
	return text(strings.ToLower(member[:1])+member[1:], given[member])
}

// flag returns whether a caller has asked for something.
func flag(given document, member string) (bool, error) {
	value, ok := given[member].(bool)
	if !ok && given[member] != nil {
		return false, malformed("The value of %s must be true or false", strings.ToLower(member[:1])+member[1:])
	}
	return value, nil
}

// pattern is the check of a text. most is its greatest length; 0: any.
func pattern(member string, form *regexp.Regexp, most int) func(*Server, any) (any, error) {
	return func(_ *Server, value any) (any, error) {
		t, err := text(member, value)
		switch {
		case err != nil:
			return nil, err
		case most > 0 && len([]rune(t)) > most:
			return nil, constraint(t, member, "have length less than or equal to "+strconv.Itoa(most))
		case strings.ContainsRune(t, 0): // no variable of an environment can have it
			return nil, constraint(t, member, "not have a null character")
		case form != nil && !form.MatchString(t):
			return nil, constraint(t, member, "satisfy regular expression pattern: "+form.String())
		}
		return t, nil
	}
}

// whole returns a value that has to be a whole number.
func whole(member string, value any) (int, error) {
	n, ok := value.(json.Number)
	if !ok {
		return 0, malformed("The value of %s must be a number", member)
	}
	whole, err := strconv.Atoi(n.String())
	if err != nil {
		return 0, malformed("The value of %s must be a whole number", member)
	}
	return whole, nil
}

func number(member string, least, most int) func(*Server, any) (any, error) {
	return func(_ *Server, value any) (any, error) {
		n, err := whole(member, value)
		switch {
		case err != nil:
			return nil, err
		case n < least:
			return nil, constraint(n, member, "have value greater than or equal to "+strconv.Itoa(least))
		case n > most:
			return nil, constraint(n, member, "have value less than or equal to "+strconv.Itoa(most))
		}
		return json.Number(strconv.Itoa(n)), nil
	}
}

// oneOf checks a text that has to be one of a set.
func oneOf(member string, value any, set ...string) error {
	t, err := text(member, value)
	if err == nil && !slices.Contains(set, t) {
		err = constraint(t, member, "satisfy enum value set: ["+strings.Join(set, ", ")+"]")
	}
	return err
}

// only is the check of a text for which this server has one value only.
func only(member, value, what, hint string) func(*Server, any) (any, error) {
	return func(_ *Server, given any) (any, error) {
		t, err := text(member, given)
		if err == nil && t != value {
			err = unsupported(what, hint)
		}
		return t, err
	}
}

// none is the check of a member that this server does not have: it may be empty.
func none(what, hint string) func(*Server, any) (any, error) {
	return func(_ *Server, value any) (any, error) {
		switch v := value.(type) {
		case string:
			if v == "" {
				return nil, nil
			}
		case []any:
			if len(v) == 0 {
				return nil, nil
			}
		case document:
			if len(v) == 0 {
				return nil, nil
			}
		}
		return nil, unsupported(what, hint)
	}
}

// object is the check of an object with one member, which has to be the standard value or one
// of the others. Without it, it is the standard value. An empty object is none.
func object(member, inner, standard string, others ...string) func(*Server, any) (any, error) {
	return func(_ *Server, value any) (any, error) {
		d, err := objectOf(member, value)
		if err != nil || len(d) == 0 {
			return nil, err
		}
		given, there := d[inner]
		if !there {
			given = standard
		}
		return document{inner: given}, oneOf(member+"."+strings.ToLower(inner[:1])+inner[1:], given, append([]string{standard}, others...)...)
	}
}

// checkLogging checks how a function logs. Only the name of the group has an effect: the
// function sees it.
func checkLogging(s *Server, value any) (any, error) {
	d, err := objectOf("loggingConfig", value)
	if err != nil || len(d) == 0 {
		return nil, err
	}
	kept := document{"LogFormat": "Text"}
	for _, member := range []struct {
		name, path string
		set        []string
	}{
		{"LogFormat", "loggingConfig.logFormat", []string{"JSON", "Text"}},
		{"ApplicationLogLevel", "loggingConfig.applicationLogLevel", []string{"TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"}},
		{"SystemLogLevel", "loggingConfig.systemLogLevel", []string{"DEBUG", "INFO", "WARN"}},
	} {
		if given := d[member.name]; given != nil {
			if err := oneOf(member.path, given, member.set...); err != nil {
				return nil, err
			}
			kept[member.name] = given
		}
	}
	if group := d["LogGroup"]; group != nil {
		kept["LogGroup"], err = pattern("loggingConfig.logGroup", logGroup, 512)(s, group)
	}
	return kept, err
}

// anObject is the check of an object that is kept and not used. Members that the service does
// not know are dropped, as there. An empty object is none.
func anObject(member string, members ...string) func(*Server, any) (any, error) {
	return func(s *Server, value any) (any, error) {
		d, err := objectOf(member, value)
		if err != nil || len(d) == 0 {
			return nil, err
		}
		const most = 4096
		maps.DeleteFunc(d, func(name string, _ any) bool { return !slices.Contains(members, name) })
		if text, err := encodeJSON(d); err != nil || len(text) > most {
			return nil, invalid("The value of %s must have at most %d bytes", member, most)
		}
		s.log.Warn("a member of a function's configuration is kept, but has no effect here", "member", member)
		return d, nil
	}
}

func objectOf(member string, value any) (document, error) {
	d, ok := value.(document)
	if !ok {
		return nil, malformed("The value of %s must be an object", member)
	}
	return d, nil
}

func checkRuntime(s *Server, value any) (any, error) {
	t, err := text("runtime", value)
	if err != nil {
		return nil, err
	}
	if !runtimeName.MatchString(t) {
		return nil, invalid("Value %s at 'runtime' failed to satisfy constraint: Member must satisfy enum value set: [nodejs20.x, nodejs22.x, python3.12, python3.13, provided.al2023, …] or be a valid ARN", echo(t))
	}
	for _, prefix := range []string{"java", "dotnet", "ruby"} {
		if strings.HasPrefix(t, prefix) {
			s.log.Warn("a function of this runtime can be made, but does not run here: there are bootstraps for nodejs*, python*, provided.* and go1.x", "runtime", t)
		}
	}
	return t, nil
}

// checkEnvironment checks {"Variables": {…}}.
func checkEnvironment(_ *Server, value any) (any, error) {
	d, err := objectOf("environment", value)
	if err != nil || d["Variables"] == nil {
		return nil, err
	}
	variables, err := objectOf("environment.variables", d["Variables"])
	if err != nil || len(variables) == 0 {
		return nil, err
	}
	size, reserved := 0, []string(nil)
	for name, value := range variables {
		t, err := text("environment.variables", value)
		switch {
		case err != nil:
			return nil, err
		case !variable.MatchString(name):
			return nil, constraint("{"+name+"}", "environment.variables", "satisfy constraint: [Member must satisfy regular expression pattern: [a-zA-Z]([a-zA-Z0-9_])+]")
		case strings.ContainsRune(t, 0):
			return nil, invalid("The value of the environment variable %s has a null character in it", echo(name))
		case isReserved(name):
			reserved = append(reserved, name)
		}
		size += len(name) + len(t)
	}
	const most = 4096
	switch {
	case len(reserved) > 0:
		slices.Sort(reserved)
		return nil, invalid("Lambda was unable to configure your environment variables because the environment variables you have provided contains reserved keys that are currently not supported for modification. Reserved keys used in this request: %s", strings.Join(reserved, ", "))
	case size > most:
		return nil, invalid("Lambda was unable to configure your environment variables because the environment variables you have provided exceeded the 4KB limit: they have %d bytes", size)
	}
	return document{"Variables": variables}, nil
}

// isReserved reports whether Lambda sets a variable itself. (Lambda: "Working with Lambda
// environment variables".)
func isReserved(name string) bool {
	switch name {
	case "_HANDLER", "_X_AMZN_TRACE_ID", "AWS_DEFAULT_REGION", "AWS_REGION", "AWS_EXECUTION_ENV",
		"AWS_LAMBDA_FUNCTION_NAME", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "AWS_LAMBDA_FUNCTION_VERSION",
		"AWS_LAMBDA_INITIALIZATION_TYPE", "AWS_LAMBDA_LOG_GROUP_NAME", "AWS_LAMBDA_LOG_STREAM_NAME",
		"AWS_ACCESS_KEY", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN",
		"AWS_LAMBDA_RUNTIME_API", "LAMBDA_TASK_ROOT", "LAMBDA_RUNTIME_DIR":
		return true
	}
	return false
}

func checkArchitectures(_ *Server, value any) (any, error) {
	list, ok := value.([]any)
	if !ok || len(list) != 1 {
		return nil, constraint(value, "architectures", "have length equal to 1")
	}
	return list, oneOf("architectures", list[0], "x86_64", "arm64")
}

func checkStorage(s *Server, value any) (any, error) {
	d, err := objectOf("ephemeralStorage", value)
	if err != nil || d["Size"] == nil {
		return nil, err
	}
	size, err := number("ephemeralStorage.size", 512, 10240)(s, d["Size"])
	return document{"Size": size}, err
}

func checkSnapStart(s *Server, value any) (any, error) {
	d, err := object("snapStart", "ApplyOn", "None", "PublishedVersions")(s, value)
	if d, ok := d.(document); ok && err == nil {
		return document{"ApplyOn": d["ApplyOn"], "OptimizationStatus": "Off"}, nil
	}
	return nil, err
}

func textOf(d document, member string) string {
	t, _ := d[member].(string)
	return t
}

// numberOf returns a number of a document that has been checked.
func numberOf(d document, member string) int {
	n, _ := d[member].(json.Number)
	whole, _ := n.Int64()
	return int(whole)
}
