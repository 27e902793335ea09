package api_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/gateway/lambda/api"
)

// A version never changes. $LATEST does.
func TestVersions(t *testing.T) {
	t.Parallel()
	c := newClient(t, api.Config{})
	first := c.create(document{"Publish": true})
	require.Equal(t, "1", first["Version"])
	require.Equal(t, chatARN+":1", first["FunctionArn"])
	again := c.must(201, "POST", chat+"/versions", document{"CodeSha256": first["CodeSha256"]})
	require.Equal(t, first, again, "nothing has changed")
	second := c.must(200, "PUT", chat+"/code", document{"ZipFile": code(t, "two"), "Publish": true})
	require.Equal(t, "2", second["Version"])
	c.must(200, "PUT", chat+"/configuration", document{"Timeout": 9})
	third := c.must(201, "POST", chat+"/versions", document{"Description": "the third"})
	require.Equal(t, "3", third["Version"])
	require.Equal(t, "the third", third["Description"])
	c.must(200, "PUT", chat+"/code", document{"ZipFile": code(t, "four")})

	for name, want := range map[string]answer{
		"chat": {Code: "four", Version: "$LATEST", ARN: chatARN}, "chat:$LATEST": {Code: "four", Version: "$LATEST", ARN: chatARN},
		"chat:1": {Code: "one", Version: "1", ARN: chatARN + ":1"}, "chat:2": {Code: "two", Version: "2", ARN: chatARN + ":2"}, "chat:3": {Code: "two", Version: "3", ARN: chatARN + ":3"},
	} {
		got := c.invoke(name, event{})
		got.PID = 0
		require.Equal(t, want, got, name)
	}
	list := c.must(200, "GET", chat+"/versions", nil)["Versions"].([]any)
	require.Len(t, list, 4)
	require.Equal(t, "$LATEST", list[0].(document)["Version"])
	require.Equal(t, chatARN+":$LATEST", list[0].(document)["FunctionArn"])
	require.Equal(t, first, list[1])

	const value = "InvalidParameterValueException"
	c.refused(400, value, "is different from current CodeSHA256 in $LATEST", "POST", chat+"/versions", document{"CodeSha256": "x"})
	c.refused(400, "SerializationException", "codeSha256", "POST", chat+"/versions", document{"CodeSha256": 5})
	c.refused(400, "SerializationException", "dryRun", "PUT", chat+"/code", document{"ZipFile": code(t, "five"), "DryRun": "yes"})
	c.refused(400, "SerializationException", "publish", "PUT", chat+"/code", document{"ZipFile": code(t, "five"), "Publish": 1})
	c.refused(400, "SerializationException", "publish", "POST", functions, definition(t, document{"FunctionName": "new", "Publish": "true"}))
	c.refused(400, value, "a published version cannot change", "PUT", chat+":1/configuration", document{"Timeout": 1})
	c.refused(400, value, "a published version cannot change", "PUT", chat+":1/code", document{"ZipFile": code(t, "five")})
	c.refused(400, value, "$LATEST version cannot be deleted", "DELETE", chat+"?Qualifier=$LATEST", nil)
	c.refused(404, "ResourceNotFoundException", "Function not found: "+chatARN+":9", "GET", chat+":9", nil)
	c.must(204, "DELETE", chat+"?Qualifier=2", nil)
	c.refused(404, "ResourceNotFoundException", chatARN+":2", "POST", chat+":2/invocations", nil)
	c.must(204, "DELETE", chat+"?Qualifier=2", nil)
	c.must(200, "PUT", chat+"/configuration", document{"Timeout": 10})
	require.Equal(t, "4", c.must(201, "POST", chat+"/versions", nil)["Version"], "a number is not used again")
}

func TestAliases(t *testing.T) {
	t.Parallel()
	c := newClient(t, api.Config{})
	c.create(document{"Publish": true})
	c.must(200, "PUT", chat+"/code", document{"ZipFile": code(t, "two"), "Publish": true})
	made := c.must(201, "POST", chat+"/aliases", document{"Name": "live", "FunctionVersion": "1", "Description": "d"})
	require.Equal(t, document{"AliasArn": chatARN + ":live", "Name": "live", "FunctionVersion": "1", "Description": "d", "RevisionId": made["RevisionId"]}, made)
	require.Equal(t, made, c.must(200, "GET", chat+"/aliases/live", nil))
	require.Equal(t, chatARN+":live", c.must(200, "GET", chat+":live", nil)["Configuration"].(document)["FunctionArn"])
	require.Equal(t, "one", c.invoke("chat:live", event{}).Code)
	before := c.invoke("chat:1", event{})
	c.refused(409, "ResourceConflictException", "Alias already exists", "POST", chat+"/aliases", document{"Name": "live", "FunctionVersion": "1"})
	c.refused(409, "ResourceConflictException", "in use by the alias live", "DELETE", chat+":1", nil)
	changed := c.must(200, "PUT", chat+"/aliases/live", document{"FunctionVersion": "2", "RevisionId": made["RevisionId"]})
	require.Equal(t, "d", changed["Description"], "what is not given stays")
	require.Equal(t, "two", c.invoke("chat:live", event{}).Code)
	require.Equal(t, before.PID, c.invoke("chat:1", event{}).PID, "an alias does not restart a version")
	c.refused(412, "PreconditionFailedException", "", "PUT", chat+"/aliases/live", document{"RevisionId": made["RevisionId"]})

	c.must(200, "PUT", chat+"/aliases/live", document{"RoutingConfig": document{"AdditionalVersionWeights": document{"1": 1.0}}})
	require.Equal(t, "one", c.invoke("chat:live", event{}).Code, "all events go to the other version")
	c.refused(400, "InvalidParameterValueException", "is its version already", "PUT", chat+"/aliases/live", document{"FunctionVersion": "1"})
	c.refused(409, "ResourceConflictException", "in use", "DELETE", chat+":1", nil)
	c.refused(400, "InvalidParameterValueException", "$LATEST", "PUT", chat+"/aliases/live", document{"FunctionVersion": "$LATEST"})
	c.must(200, "PUT", chat+"/aliases/live", document{"RoutingConfig": document{}})
	require.Equal(t, "two", c.invoke("chat:live", event{}).Code)

	c.must(201, "POST", chat+"/aliases", document{"Name": "dev", "FunctionVersion": "$LATEST"})
	require.Len(t, c.must(200, "GET", chat+"/aliases", nil)["Aliases"], 2)
	require.Len(t, c.must(200, "GET", chat+"/aliases?FunctionVersion=2", nil)["Aliases"], 1)
	for _, tt := range []struct {
		body          document
		status        int
		name, message string
	}{
		{document{"Name": "1", "FunctionVersion": "1"}, 400, "ValidationException", "'name'"},
		{document{"Name": "a/b", "FunctionVersion": "1"}, 400, "ValidationException", "'name'"},
		{document{"Name": "x"}, 400, "ValidationException", "'functionVersion'"},
		{document{"Name": "x", "FunctionVersion": "live"}, 400, "ValidationException", "'functionVersion'"},
		{document{"Name": "x", "FunctionVersion": "7"}, 404, "ResourceNotFoundException", chatARN + ":7"},
		{document{"Name": "x", "FunctionVersion": "1", "RoutingConfig": document{"AdditionalVersionWeights": document{"2": 1.1}}}, 400, "ValidationException", "between 0 and 1"},
		{document{"Name": "x", "FunctionVersion": "1", "RoutingConfig": document{"AdditionalVersionWeights": document{"7": 0.1}}}, 404, "ResourceNotFoundException", chatARN + ":7"},
		{document{"Name": "x", "FunctionVersion": "$LATEST", "RoutingConfig": document{"AdditionalVersionWeights": document{"1": 0.1}}}, 400, "InvalidParameterValueException", "$LATEST"},
		{document{"Name": "x", "FunctionVersion": "1", "RoutingConfig": document{"AdditionalVersionWeights": document{"2": "x"}}}, 400, "SerializationException", "number"},
		{document{"Name": "x", "FunctionVersion": "1", "RoutingConfig": document{"AdditionalVersionWeights": "2"}}, 400, "SerializationException", "additionalVersionWeights"},
		{document{"Name": "x", "FunctionVersion": "1", "RoutingConfig": document{"AdditionalVersionWeights": document{"1": 0.1}}}, 400, "InvalidParameterValueException", "is its version already"},
	} {
		c.refused(tt.status, tt.name, tt.message, "POST", chat+"/aliases", tt.body)
	}
	c.must(204, "DELETE", chat+"/aliases/live", nil)
	c.must(204, "DELETE", chat+"/aliases/live", nil)
	c.refused(404, "ResourceNotFoundException", "Cannot find alias arn: "+chatARN+":live", "GET", chat+"/aliases/live", nil)
	c.refused(404, "ResourceNotFoundException", "Function not found", "POST", chat+":live/invocations", nil)
	c.refused(400, "InvalidParameterValueException", "Deletion of aliases", "DELETE", chat+":dev", nil)
}
