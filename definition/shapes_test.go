package definition_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/gateway/definition"
)

var update = flag.Bool("update", false, "write the golden files anew")

// The files in testdata/shapes are our own, in the shapes of public projects that were read
// for it. What these needed, beside Ref, Fn::Sub, Fn::Join and Fn::GetAtt:
//
//   - sam-chat: aws-samples/simple-websockets-chat-app: Join over several lines, parameters with
//     patterns, Fn::Sub with the text in the next line, tables, policies and permissions
//   - sam-globals: aws-samples/serverless-patterns, apigw-websocket-api-lambda: Globals, Fn::Sub with
//     variables behind a tag in its own line, AWS::StackName, parameters that are numbers
//   - sam-queue: aws-samples/serverless-patterns, apigw-websocket-api-sqs-lambda: AutoDeploy, an AWS
//     integration with templates, names of queues, roles, event source mappings
//   - sam-template-authorizer: aws-samples/serverless-patterns, apigw-websocket-mapping-template-authorizer:
//     an authorizer, templates as a block of text, SimpleTable, an output with a name that does not
//     exist. (The original also has the text "Ref! WebsocketApi" for an ApiId, which is an error.)
//   - sam-websocketapi: aws/serverless-application-model, integration/resources/templates/combination:
//     WebSocketApi with Globals, Auth and Domain, InlineCode
//   - cdk, cdk-mock: aws/aws-cdk, framework-integ snapshots integ.lambda and integ.mock: assets, Rules,
//     conditions of CDKMetadata, BootstrapVersion, MOCK with an empty URI, route responses
//   - conditions: "Wormhole WebSocket API Gateway", whose repository the search did not tell: conditions,
//     Fn::Sub with variables, JSON; Fn::If and mappings are added
//   - serverless-authorizer: dherault/serverless-offline, tests/integration/websocket-authorizer, and
//     serverless/examples, aws-node-websockets-authorizers: authorizers by name, route responses
//   - serverless-resources: theo-dean/serverless-websocket-example: the API's ID in environments,
//     events of other types, resources
//   - sam-nested: aws-samples/aws-sam-nested-stack-sample: applications with a Location, their parameters and
//     outputs; Fn::ForEach is added
//   - cdk-stacks: excerpts of what the tests of aws/aws-cdk expect: several stacks of one app with exports and
//     imports, the template of a nested stack as an asset
//   - serverless-files: RafalWilinski/serverless-websockets-chat and if1live/serverless-websocket-demo: a service
//     with a name, resources and functions in files; allenheltondev/serverless-websockets: layers; and the
//     guides of serverless/serverless: stages, parameters, resolvers, tags, logs, extensions
//   - sls-package: the output of the package command of serverless/serverless: code in an archive beside it
//   - serverless-secure: damoresa/aws-secure-websockets: variables with several sources, functions of
//     CloudFormation around variables, a user pool, names of functions, outputs
func shapes() []string {
	return []string{
		"sam-chat.yaml", "sam-globals.yml", "sam-queue.yaml", "sam-template-authorizer.yaml", "sam-websocketapi.yaml",
		"cdk", "cdk-mock", "conditions.json", "serverless-authorizer", "serverless-resources", "serverless-secure",
		"sam-nested", "cdk-stacks", "serverless-files", "sls-package/.serverless",
	}
}

// Each shape gives the calls, functions and notes of its golden file.
func TestShapes(t *testing.T) {
	t.Parallel()
	for _, name := range shapes() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, err := filepath.Abs("testdata/shapes")
			require.NoError(t, err)
			work := t.TempDir()
			d, err := definition.Load(filepath.Join(dir, name), definition.Options{WorkDir: work})
			require.NoError(t, err)
			var b bytes.Buffer
			e := json.NewEncoder(&b)
			e.SetEscapeHTML(false)
			e.SetIndent("", "  ")
			require.NoError(t, e.Encode(map[string]any{"calls": d.Calls(), "functions": d.Functions, "notes": d.Notes}))
			got := strings.NewReplacer(dir, "DIR", work, "WORK").Replace(b.String())
			golden := filepath.Join("testdata", "shapes", "golden", strings.TrimSuffix(strings.TrimSuffix(name, "/.serverless"), filepath.Ext(filepath.Base(name)))+".json")
			if *update {
				require.NoError(t, os.WriteFile(golden, []byte(got), 0o600))
			}
			want, err := os.ReadFile(golden)
			require.NoError(t, err)
			require.Equal(t, string(want), got, "go test ./definition -update writes it anew")
		})
	}
}
