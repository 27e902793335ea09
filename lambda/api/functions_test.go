package api_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/gateway/lambda/api"
)

// A function from its creation to its end.
func TestFunctions(t *testing.T) {
	t.Parallel()
	c := newClient(t, api.Config{})
	zip := code(t, "one")
	raw, err := base64.StdEncoding.DecodeString(zip)
	require.NoError(t, err)
	sum := sha256.Sum256(raw)
	made := c.create(document{"Tags": document{"team": "x"}, "Environment": document{"Variables": document{"TABLE": "local"}}})
	require.Regexp(t, `^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+0000$`, made["LastModified"])
	require.Regexp(t, `^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`, made["RevisionId"])
	want := document{
		"FunctionName": "chat", "FunctionArn": chatARN, "Runtime": "provided.al2023", "Role": role, "Handler": "x", "Description": "",
		"CodeSize": float64(len(raw)), "CodeSha256": base64.StdEncoding.EncodeToString(sum[:]), "Timeout": 30.0, "MemorySize": 128.0,
		"Version": "$LATEST", "State": "Active", "LastUpdateStatus": "Successful", "PackageType": "Zip", "Architectures": []any{"x86_64"},
		"TracingConfig": document{"Mode": "PassThrough"}, "EphemeralStorage": document{"Size": 512.0},
		"SnapStart": document{"ApplyOn": "None", "OptimizationStatus": "Off"}, "Environment": document{"Variables": document{"TABLE": "local"}},
		"LoggingConfig": document{"LogFormat": "Text", "LogGroup": "/aws/lambda/chat"},
		"LastModified":  made["LastModified"], "RevisionId": made["RevisionId"],
	}
	require.Equal(t, want, made)
	got := c.must(200, "GET", chat, nil)
	require.Equal(t, want, got["Configuration"])
	require.Equal(t, document{"team": "x"}, got["Tags"])
	require.Equal(t, want, c.must(200, "GET", chat+"/configuration", nil))
	require.Equal(t, []any{want}, c.must(200, "GET", functions+"/", nil)["Functions"])
	require.Equal(t, string(raw), c.download(got["Code"].(document)["Location"].(string)))

	changed := c.must(200, "PUT", chat+"/configuration", document{"MemorySize": 256, "Environment": document{"Variables": document{}}, "Description": "a <chat>", "LoggingConfig": document{"LogFormat": "JSON"}})
	require.NotEqual(t, made["RevisionId"], changed["RevisionId"])
	require.NotContains(t, changed, "Environment")
	require.Equal(t, []any{256.0, 30.0}, []any{changed["MemorySize"], changed["Timeout"]}, "what is not given stays")
	require.Equal(t, document{"LogFormat": "JSON", "LogGroup": "/aws/lambda/chat", "ApplicationLogLevel": "INFO", "SystemLogLevel": "INFO"}, changed["LoggingConfig"])

	updated := c.must(200, "PUT", chat+"/code", document{"ZipFile": code(t, "two"), "Architectures": []any{"arm64"}})
	require.NotEqual(t, made["CodeSha256"], updated["CodeSha256"])
	require.Equal(t, []any{"arm64"}, updated["Architectures"])
	require.Equal(t, "two", c.invoke("chat", event{}).Code)
	would := c.must(200, "PUT", chat+"/code", document{"ZipFile": zip, "DryRun": true})
	require.Equal(t, made["CodeSha256"], would["CodeSha256"])
	require.Equal(t, "two", c.invoke("chat", event{}).Code)

	c.must(204, "DELETE", chat, nil)
	c.refused(404, "ResourceNotFoundException", "Function not found: "+chatARN, "GET", chat, nil)
	require.Empty(t, c.must(200, "GET", functions, nil)["Functions"])
}

func (c *client) download(location string) string {
	c.tb.Helper()
	u, err := url.Parse(location)
	require.NoError(c.tb, err)
	require.True(c.tb, api.Owns(c.request("GET", u.RequestURI(), nil)))
	for _, change := range []string{"signature=", "expires=9"} {
		c.refused(403, "AccessDeniedException", "call GetFunction again", "GET", strings.Replace(u.RequestURI(), change[:len(change)-1], change, 1), nil)
	}
	a := c.do("GET", u.RequestURI(), nil)
	require.Equal(c.tb, 200, a.status)
	require.Equal(c.tb, "application/zip", a.header.Get("Content-Type"))
	part := c.request("GET", u.RequestURI(), nil)
	part.Header.Set("Range", "bytes=0-1")
	require.Equal(c.tb, "PK", c.send(part).text, "it comes from the file")
	return a.text
}

// What the service refuses, and what this server does not have, is a clear error. Nothing
// is made.
func TestFunctions_Refused(t *testing.T) {
	t.Parallel()
	c := newClient(t, api.Config{})
	const value, validation, serialization = "InvalidParameterValueException", "ValidationException", "SerializationException"
	for name, tt := range map[string]struct {
		body          any
		name, message string
	}{
		"no JSON":             {`{`, serialization, "one JSON object"},
		"two values":          {`{}{}`, serialization, "one JSON object"},
		"no name":             {document{"FunctionName": nil}, validation, "'functionName'"},
		"a bad name":          {document{"FunctionName": "a/b"}, validation, "Value 'a/b' at 'functionName'"},
		"a dot":               {document{"FunctionName": ".."}, validation, "'functionName'"},
		"a long name":         {document{"FunctionName": strings.Repeat("a", 65)}, validation, "'functionName'"},
		"a qualifier":         {document{"FunctionName": "chat:live"}, value, "must not have a qualifier"},
		"no role":             {document{"Role": nil}, validation, "Value null at 'role' failed to satisfy constraint: Member must not be null"},
		"a bad role":          {document{"Role": "admin"}, validation, "'role'"},
		"no runtime":          {document{"Runtime": nil}, value, "Runtime and Handler are mandatory"},
		"no handler":          {document{"Handler": nil}, value, "Runtime and Handler are mandatory"},
		"an unknown runtime":  {document{"Runtime": "cobol"}, value, "Value cobol at 'runtime'"},
		"a runtime of 1":      {document{"Runtime": 1}, serialization, "runtime"},
		"a handler":           {document{"Handler": "a b"}, validation, "'handler'"},
		"timeout 0":           {document{"Timeout": 0}, validation, "Value '0' at 'timeout' failed to satisfy constraint: Member must have value greater than or equal to 1"},
		"timeout 901":         {document{"Timeout": 901}, validation, "less than or equal to 900"},
		"timeout 1.5":         {document{"Timeout": 1.5}, serialization, "whole number"},
		"timeout text":        {document{"Timeout": "3"}, serialization, "number"},
		"memory":              {document{"MemorySize": 64}, validation, "'memorySize'"},
		"a long description":  {document{"Description": strings.Repeat("a", 257)}, validation, "'description'"},
		"a reserved variable": {document{"Environment": document{"Variables": document{"AWS_REGION": "x", "AWS_SESSION_TOKEN": "y"}}}, value, "Reserved keys used in this request: AWS_REGION, AWS_SESSION_TOKEN"},
		"a variable's name":   {document{"Environment": document{"Variables": document{"A-B": "x"}}}, validation, "environment.variables"},
		"5 KB of variables":   {document{"Environment": document{"Variables": document{"AB": strings.Repeat("x", 5000)}}}, value, "exceeded the 4KB limit"},
		"a variable of 1":     {document{"Environment": document{"Variables": document{"AB": 1}}}, serialization, "environment.variables"},
		"no code":             {document{"Code": nil}, validation, "'code'"},
		"empty code":          {document{"Code": document{}}, value, "Please provide a source for function code"},
		"code in S3":          {document{"Code": document{"S3Bucket": "b", "S3Key": "k"}}, value, "Give the zip file itself: filename in Terraform"},
		"an image":            {document{"Code": document{"ImageUri": "x"}, "PackageType": "Image"}, value, "Not supported here: functions in images. Give the code"},
		"no base64":           {document{"Code": document{"ZipFile": "*"}}, serialization, "base64"},
		"no zip":              {document{"Code": document{"ZipFile": "AAAA"}}, value, "Could not unzip uploaded file"},
		"layers":              {document{"Layers": []any{"arn:aws:lambda:us-east-1:1:layer:x:1"}}, value, "Put the files of the layer into the zip file"},
		"file systems":        {document{"FileSystemConfigs": []any{document{}}}, value, "file systems"},
		"code signing":        {document{"CodeSigningConfigArn": "arn:aws:lambda:us-east-1:1:code-signing-config:csc-1"}, value, "code signing"},
		"architectures":       {document{"Architectures": []any{"mips"}}, validation, "[x86_64, arm64]"},
		"no architecture":     {document{"Architectures": []any{}}, validation, "Value '[]' at 'architectures'"},
		"two architectures":   {document{"Architectures": []any{"arm64", "x86_64"}}, validation, `Value '["arm64","x86_64"]' at 'architectures'`},
		"a null in a name":    {document{"Handler": "a\x00b"}, validation, "'handler'"},
		"a log group":         {document{"LoggingConfig": document{"LogGroup": "a b"}}, validation, "'loggingConfig.logGroup'"},
		"a null in a group":   {document{"LoggingConfig": document{"LogGroup": "a\x00b"}}, validation, "'loggingConfig.logGroup'"},
		"a log level":         {document{"LoggingConfig": document{"ApplicationLogLevel": "LOUD"}}, validation, "'loggingConfig.applicationLogLevel'"},
		"a large VpcConfig":   {document{"VpcConfig": document{"SubnetIds": []any{strings.Repeat("x", 5000)}}}, value, "at most 4096 bytes"},
		"storage":             {document{"EphemeralStorage": document{"Size": 1}}, validation, "ephemeralStorage.size"},
		"tracing":             {document{"TracingConfig": document{"Mode": "x"}}, validation, "tracingConfig.mode"},
		"tags of aws":         {document{"Tags": document{"aws:x": "y"}}, value, "must not begin with aws:"},
		"a long tag":          {document{"Tags": document{"x": strings.Repeat("y", 257)}}, value, "at most 256"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := &client{t, c.server}
			body := tt.body
			if d, ok := body.(document); ok {
				body = definition(t, d)
			}
			c.refused(400, tt.name, tt.message, "POST", functions, body)
			require.Empty(t, c.must(200, "GET", functions, nil)["Functions"])
		})
	}
	t.Run("too long", func(t *testing.T) {
		t.Parallel()
		c := &client{t, c.server}
		c.refused(413, "RequestTooLargeException", "Request must be smaller than 70167211 bytes for the CreateFunction operation", "POST", functions, strings.Repeat(" ", 70167212))
		c.refused(413, "RequestTooLargeException", "1048576 bytes", "PUT", chat+"/configuration", strings.Repeat(" ", 1<<20+1))
	})
}

// Calls for what is not there.
func TestFunctions_Missing(t *testing.T) {
	t.Parallel()
	c := newClient(t, api.Config{})
	const missing = "ResourceNotFoundException"
	for _, call := range []string{
		"GET " + chat, "GET " + chat + "/configuration", "DELETE " + chat, "GET " + chat + "/versions", "GET " + chat + "/aliases", "GET " + chat + "/aliases/live",
		"GET " + chat + "/policy", "DELETE " + chat + "/policy/x", "GET /2019-09-30/functions/chat/concurrency", "GET /2020-06-30/functions/chat/code-signing-config",
		"GET /2017-03-31/tags/" + url.PathEscape(chatARN), "POST " + chat + "/invocations", "PUT " + chat + "/configuration", "POST " + chat + "/versions",
	} {
		method, path, _ := strings.Cut(call, " ")
		c.refused(404, missing, "Function not found: "+chatARN, method, path, nil)
	}
	c.refused(404, "UnknownOperationException", "no operation", "PATCH", chat, nil)
	c.refused(404, "UnknownOperationException", "no operation", "GET", "/2015-03-31/other", nil)
	c.refused(400, "InvalidParameterValueException", "Put the files of the layer into the zip file", "GET", "/2018-10-31/layers", nil)
	c.refused(400, "InvalidParameterValueException", "Send events to the function with Invoke", "POST", "/2015-03-31/event-source-mappings/", document{})
	c.refused(400, "InvalidParameterValueException", "function URLs", "POST", "/2021-10-31/functions/chat/url", document{})
	c.refused(400, "InvalidParameterValueException", "query", "GET", functions+"?%zz", nil)
}

// A name is taken in all its forms, in the path, too.
func TestFunctions_Names(t *testing.T) {
	t.Parallel()
	c := newClient(t, api.Config{Region: "eu-west-1", AccountID: "210987654321"})
	c.create(document{"FunctionName": "arn:aws:lambda:eu-west-1:210987654321:function:chat", "Publish": true})
	for name, arn := range map[string]string{
		"chat": "chat", "chat:1": "chat:1", "chat:$LATEST": "chat:$LATEST", "210987654321:function:chat": "chat", "function:chat": "chat", "function:chat:1": "chat:1", "eu-west-1:210987654321:function:chat": "chat",
		"arn:aws:lambda:eu-west-1:210987654321:function:chat:1": "chat:1",
	} {
		for _, escaped := range []string{name, url.PathEscape(name), strings.ReplaceAll(name, ":", "%3A")} {
			got := c.must(200, "GET", functions+"/"+escaped+"/configuration", nil)
			require.Equal(t, "arn:aws:lambda:eu-west-1:210987654321:function:"+arn, got["FunctionArn"], escaped)
		}
	}
	c.refused(400, "InvalidParameterValueException", "does not match", "GET", chat+":1?Qualifier=2", nil)
	c.refused(400, "ValidationException", "'qualifier'", "GET", chat+"?Qualifier=a%20b", nil)
	c.refused(400, "ValidationException", "'functionName'", "GET", functions+"/..%2F..%2Fetc", nil)
	c.refused(409, "ResourceConflictException", "Function already exist: chat", "POST", functions, definition(t, nil))
}

// A change that was made in between is not overwritten.
func TestFunctions_Revision(t *testing.T) {
	t.Parallel()
	c := newClient(t, api.Config{})
	first := c.create(nil)["RevisionId"]
	second := c.must(200, "PUT", chat+"/configuration", document{"Timeout": 5, "RevisionId": first})["RevisionId"]
	for _, call := range []struct {
		method, path string
		body         document
	}{
		{"PUT", chat + "/configuration", document{"Timeout": 6, "RevisionId": first}},
		{"PUT", chat + "/code", document{"ZipFile": code(t, "two"), "RevisionId": first}},
		{"PUT", chat + "/code", document{"ZipFile": code(t, "two"), "RevisionId": first, "DryRun": true}},
		{"POST", chat + "/versions", document{"RevisionId": first}},
	} {
		c.refused(412, "PreconditionFailedException", "does not match the latest Revision Id", call.method, call.path, call.body)
	}
	require.Equal(t, second, c.must(200, "GET", chat+"/configuration", nil)["RevisionId"])
}

// A page has as many functions or versions as it was asked for, whatever they are.
func TestFunctions_PagesOfVersions(t *testing.T) {
	t.Parallel()
	c := newClient(t, api.Config{})
	var all []string
	for _, name := range []string{"a", "b", "c"} {
		c.create(document{"FunctionName": name})
		all = append(all, name+" $LATEST")
		for n := range 3 {
			c.must(200, "PUT", functions+"/"+name+"/configuration", document{"Timeout": n + 5})
			c.must(201, "POST", functions+"/"+name+"/versions", nil)
			all = append(all, fmt.Sprint(name, " ", n+1))
		}
	}
	for path, want := range map[string][]string{functions + "?FunctionVersion=ALL": all, functions + "/b/versions?": all[4:8]} {
		for limit := range 14 {
			var got []string
			for marker, more := "", true; more; {
				page := c.must(200, "GET", fmt.Sprintf("%s&MaxItems=%d&Marker=%s", path, limit+1, url.QueryEscape(marker)), nil)
				marker, more = page["NextMarker"].(string)
				list, _ := page["Functions"].([]any)
				if list == nil {
					list = page["Versions"].([]any)
				}
				require.LessOrEqual(t, len(list), limit+1, path)
				for _, d := range list {
					got = append(got, fmt.Sprint(d.(document)["FunctionName"], " ", d.(document)["Version"]))
				}
			}
			require.Equal(t, want, got, "%s %d", path, limit+1)
		}
	}
}

// What the service does not know is not kept.
func TestFunctions_UnknownMembers(t *testing.T) {
	t.Parallel()
	c := newClient(t, api.Config{})
	made := c.create(document{
		"TracingConfig": document{"Mode": "Active", "Other": "x"}, "LoggingConfig": document{"LogGroup": "/mine", "Other": "x"},
		"VpcConfig": document{"SubnetIds": []any{"subnet-1"}, "Other": "x"}, "DeadLetterConfig": document{"Other": "x"},
	})
	require.Equal(t, document{"Mode": "Active"}, made["TracingConfig"])
	require.Equal(t, document{"LogFormat": "Text", "LogGroup": "/mine"}, made["LoggingConfig"])
	require.Equal(t, document{"SubnetIds": []any{"subnet-1"}}, made["VpcConfig"])
}

// Lists come in pages.
func TestFunctions_Pages(t *testing.T) {
	t.Parallel()
	c := newClient(t, api.Config{})
	var want []string
	for n := range 7 {
		name := fmt.Sprintf("f-%d", n)
		want = append(want, name)
		c.create(document{"FunctionName": name, "Publish": true})
	}
	var got []string
	for marker, pages := "", 0; ; pages++ {
		page := c.must(200, "GET", functions+"?MaxItems=3&Marker="+url.QueryEscape(marker), nil)
		for _, f := range page["Functions"].([]any) {
			got = append(got, f.(document)["FunctionName"].(string))
		}
		var more bool
		if marker, more = page["NextMarker"].(string); !more {
			require.Equal(t, 2, pages)
			break
		}
	}
	require.Equal(t, want, got)
	require.Len(t, c.must(200, "GET", functions+"?FunctionVersion=ALL", nil)["Functions"], 14)
	for _, query := range []string{"MaxItems=0", "MaxItems=x"} {
		c.refused(400, "ValidationException", "maxItems", "GET", functions+"?"+query, nil)
	}
	c.refused(400, "InvalidParameterValueException", "Invalid marker", "GET", functions+"?Marker=%2F", nil)
}

// Who may call a function is kept. Nothing asks it.
func TestPermissions(t *testing.T) {
	t.Parallel()
	c := newClient(t, api.Config{})
	c.create(document{"Publish": true})
	c.must(201, "POST", chat+"/aliases", document{"Name": "live", "FunctionVersion": "1"})
	c.refused(404, "ResourceNotFoundException", "The resource you requested does not exist.", "GET", chat+"/policy", nil)
	permission := document{"StatementId": "api", "Action": "lambda:InvokeFunction", "Principal": "apigateway.amazonaws.com", "SourceArn": "arn:aws:execute-api:us-east-1:123456789012:a/*", "SourceAccount": "123456789012"}
	added := c.must(201, "POST", chat+"/policy", permission)
	want := document{
		"Sid": "api", "Effect": "Allow", "Action": "lambda:InvokeFunction", "Resource": chatARN, "Principal": document{"Service": "apigateway.amazonaws.com"},
		"Condition": document{"ArnLike": document{"AWS:SourceArn": permission["SourceArn"]}, "StringEquals": document{"AWS:SourceAccount": "123456789012"}},
	}
	requireJSON(t, want, added["Statement"])
	got := c.must(200, "GET", chat+"/policy", nil)
	requireJSON(t, document{"Version": "2012-10-17", "Id": "default", "Statement": []any{want}}, got["Policy"])
	c.refused(409, "ResourceConflictException", "The statement id (api) provided already exists", "POST", chat+"/policy", permission)
	c.refused(412, "PreconditionFailedException", "", "DELETE", chat+"/policy/api?RevisionId=x", nil)
	c.refused(404, "ResourceNotFoundException", "Statement x is not found", "DELETE", chat+"/policy/x", nil)
	for principal, as := range map[string]any{"*": "*", "123456789012": document{"AWS": "arn:aws:iam::123456789012:root"}, role: document{"AWS": role}} {
		added := c.must(201, "POST", chat+"/policy?Qualifier=live", document{"StatementId": "s", "Action": "*", "Principal": principal})
		requireJSON(t, document{"Sid": "s", "Effect": "Allow", "Action": "*", "Principal": as, "Resource": chatARN + ":live"}, added["Statement"])
		c.must(204, "DELETE", chat+"/policy/s?Qualifier=live", nil)
	}
	c.refused(400, "InvalidParameterValueException", "$LATEST", "POST", chat+":$LATEST/policy", permission)
	for member, value := range map[string]any{
		"SourceArn": 5, "SourceAccount": []any{"1"}, "EventSourceToken": true, "PrincipalOrgID": document{}, "FunctionUrlAuthType": 1,
		"InvokedViaFunctionUrl": "true", "StatementId": 1, "Action": 2, "Principal": document{"Service": "x"},
	} {
		refused := document{"StatementId": "typed", "Action": "*", "Principal": "*"}
		refused[member] = value
		c.refused(400, "SerializationException", strings.ToLower(member[:1])+member[1:], "POST", chat+"/policy", refused)
		refused[member] = ""
		if member != "InvokedViaFunctionUrl" {
			c.refused(400, "ValidationException", strings.ToLower(member[:1])+member[1:], "POST", chat+"/policy", refused)
		}
	}
	require.NotContains(t, c.must(200, "GET", chat+"/policy", nil)["Policy"], "typed")
	byURL := c.must(201, "POST", chat+"/policy", document{"StatementId": "url", "Action": "*", "Principal": "*", "InvokedViaFunctionUrl": true, "SourceAccount": "1"})
	require.Contains(t, byURL["Statement"], `"Condition":{"Bool":{"lambda:InvokedViaFunctionUrl":"true"},"StringEquals":{"AWS:SourceAccount":"1"}}`)
	c.must(204, "DELETE", chat+"/policy/url", nil)
	for member, value := range map[string]string{"StatementId": "a b", "Action": "s3:Get", "Principal": ""} {
		bad := document{"StatementId": "x", "Action": "*", "Principal": "*"}
		bad[member] = value
		c.refused(400, "ValidationException", strings.ToLower(member[:1])+member[1:], "POST", chat+"/policy", bad)
	}
	c.refused(400, "PolicyLengthExceededException", "20480", "POST", chat+"/policy", document{"StatementId": "long", "Action": "*", "Principal": "*", "SourceArn": strings.Repeat("x", 20480)})
	c.must(204, "DELETE", chat+"/policy/api", nil)
	c.refused(404, "ResourceNotFoundException", "The resource you requested does not exist.", "GET", chat+"/policy", nil)
}

func requireJSON(t *testing.T, want document, text any) {
	t.Helper()
	var got document
	require.NoError(t, json.Unmarshal([]byte(text.(string)), &got))
	require.Equal(t, want, got)
}

func TestTags(t *testing.T) {
	t.Parallel()
	c := newClient(t, api.Config{})
	c.create(nil)
	tags := "/2017-03-31/tags/" + url.PathEscape(chatARN)
	require.Equal(t, document{}, c.must(200, "GET", tags, nil)["Tags"])
	c.must(204, "POST", tags, document{"Tags": document{"a": "1", "b": "2", "c": ""}})
	c.must(204, "DELETE", tags+"?tagKeys=a&tagKeys=c&tagKeys=none", nil)
	require.Equal(t, document{"b": "2"}, c.must(200, "GET", "/2017-03-31/tags/"+chatARN, nil)["Tags"])
	many := document{}
	for n := range 50 {
		many[fmt.Sprint(n)] = "x"
	}
	c.refused(400, "InvalidParameterValueException", "Number of tags", "POST", tags, document{"Tags": many})
	c.refused(400, "InvalidParameterValueException", "not for its version", "POST", tags+"%3A1", document{"Tags": document{"a": "1"}})
}

func TestConcurrency(t *testing.T) {
	t.Parallel()
	c := newClient(t, api.Config{})
	c.create(nil)
	const get, put = "/2019-09-30/functions/chat/concurrency", "/2017-10-31/functions/chat/concurrency"
	require.Equal(t, document{}, c.must(200, "GET", get, nil))
	c.refused(400, "ValidationException", "not be null", "PUT", put, document{})
	c.refused(400, "ValidationException", "greater than or equal to 0", "PUT", put, document{"ReservedConcurrentExecutions": -1})
	require.Equal(t, document{"ReservedConcurrentExecutions": 0.0}, c.must(200, "PUT", put, document{"ReservedConcurrentExecutions": 0}))
	require.Equal(t, document{"ReservedConcurrentExecutions": 0.0}, c.must(200, "GET", get, nil))
	require.Equal(t, document{"ReservedConcurrentExecutions": 0.0}, c.must(200, "GET", chat, nil)["Concurrency"])
	c.refused(429, "TooManyRequestsException", "Rate Exceeded", "POST", chat+"/invocations", nil)
	c.must(204, "DELETE", put, nil)
	require.Equal(t, "one", c.invoke("chat", event{}).Code)
}

// There is no code signing.
func TestCodeSigning(t *testing.T) {
	t.Parallel()
	c := newClient(t, api.Config{})
	c.create(nil)
	require.Equal(t, document{}, c.must(200, "GET", "/2020-06-30/functions/chat/code-signing-config", nil))
}

// What New gets wrong is told by New, without the value of a variable.
func TestNew_Misuse(t *testing.T) {
	t.Parallel()
	for want, config := range map[string]api.Config{
		"Config.Concurrency -1 is negative":                            {Concurrency: -1},
		"Config.CodeBytes -1 is negative":                              {CodeBytes: -1},
		"Config.Dir is set without Config.Store":                       {Dir: t.TempDir()},
		`Config.Region "us east" is no name of a region`:               {Region: "us east"},
		`Config.AccountID "12345" does not have 12 digits`:             {AccountID: "12345"},
		`Config.Env has a variable that is not NAME=value: "NOEQUALS"`: {Env: []string{"A=b", "NOEQUALS"}},
		`Config.Env has a variable that is not NAME=value: "A"`:        {Env: []string{"A=s3cret\x00"}},
		`Config.Overrides has a variable that is not NAME=value: ""`:   {Overrides: []string{"=s3cret"}},
	} {
		_, err := api.New(config)
		require.ErrorContains(t, err, want)
		require.NotContains(t, err.Error(), "s3cret")
	}
}
