//go:build unix

package e2e

import (
	"archive/zip"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/gateway/controlplane"
	"example.com/gateway/internal/testutil"
	"example.com/gateway/internal/wsconn"
)

// terraform is a Terraform configuration in a folder of its own.
type terraform struct {
	t       *testing.T
	program string
	dir     string
	vars    []string // options
	env     []string
}

// providerFolder returns the folder in which the AWS provider lies, as in Terraform's own
// mirrors of files, or "".
func providerFolder(t *testing.T) string {
	t.Helper()
	home, err := os.UserHomeDir()
	require.NoError(t, err)
	for _, folder := range []string{
		os.Getenv("GATEWAY_TERRAFORM_MIRROR"), filepath.Join(home, ".terraform.d", "plugins"),
		"/usr/local/share/terraform/plugins", "/usr/share/terraform/plugins",
	} {
		found, err := filepath.Glob(filepath.Join(folder, "*", "hashicorp", "aws"))
		require.NoError(t, err)
		if folder != "" && len(found) > 0 {
			return folder
		}
	}
	return ""
}

// newTerraform copies the files of a folder, and initializes Terraform there. It skips the
// test if Terraform or its AWS provider is not on this machine: neither can be installed
// from the places that CI uses, so CI does not need them.
func newTerraform(t *testing.T, from string, vars ...string) *terraform {
	t.Helper()
	program, err := exec.LookPath("terraform")
	if err != nil {
		t.Skip("terraform is not on this machine")
	}
	mirror := providerFolder(t)
	if mirror == "" {
		t.Skip("the AWS provider of Terraform is not on this machine: set GATEWAY_TERRAFORM_MIRROR to a folder that terraform providers mirror has made")
	}
	tf := &terraform{t: t, program: program, dir: t.TempDir(), vars: vars}
	require.NoError(t, os.CopyFS(tf.dir, os.DirFS(from)))
	config := filepath.Join(t.TempDir(), "terraformrc")
	require.NoError(t, os.WriteFile(config, []byte(`provider_installation { filesystem_mirror { path = "`+mirror+`" } }`), 0o600))
	tf.env = append(keyEnvironment(t), "TF_CLI_CONFIG_FILE="+config, "TF_IN_AUTOMATION=1", "CHECKPOINT_DISABLE=1", "TF_CLI_ARGS=-no-color")
	tf.run("init", "-input=false")
	return tf
}

// edit replaces a text in a file.
func (tf *terraform) edit(file, before, after string) {
	tf.t.Helper()
	path := filepath.Join(tf.dir, file)
	content, err := os.ReadFile(path)
	require.NoError(tf.t, err)
	require.Contains(tf.t, string(content), before)
	require.NoError(tf.t, os.WriteFile(path, []byte(strings.ReplaceAll(string(content), before, after)), 0o600))
}

// zip puts the files of a folder into a zip file.
func (tf *terraform) zip(folder, name string) {
	tf.t.Helper()
	file, err := os.Create(filepath.Join(tf.dir, name))
	require.NoError(tf.t, err)
	defer file.Close()
	w := zip.NewWriter(file)
	require.NoError(tf.t, w.AddFS(os.DirFS(filepath.Join(tf.dir, folder))))
	require.NoError(tf.t, w.Close())
}

// try runs Terraform and returns its exit status.
func (tf *terraform) try(args ...string) (status int, output string) {
	tf.t.Helper()
	cmd := exec.CommandContext(tf.t.Context(), tf.program, args...)
	cmd.Dir, cmd.Env = tf.dir, tf.env
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		require.NoError(tf.t, err)
	}
	return cmd.ProcessState.ExitCode(), string(out)
}

func (tf *terraform) run(args ...string) string {
	tf.t.Helper()
	status, output := tf.try(args...)
	require.Zero(tf.t, status, "terraform %s:\n%s", strings.Join(args, " "), output)
	return output
}

// plan tells whether there is something to change.
func (tf *terraform) plan(more ...string) (changes bool, output string) {
	tf.t.Helper()
	status, output := tf.try(slices.Concat([]string{"plan", "-input=false", "-detailed-exitcode"}, tf.vars, more)...)
	require.Contains(tf.t, []int{0, 2}, status, output)
	return status == 2, output
}

// apply applies the configuration, after which there is nothing to change.
func (tf *terraform) apply(more ...string) {
	tf.t.Helper()
	tf.run(slices.Concat([]string{"apply", "-input=false", "-auto-approve"}, tf.vars, more)...)
	changes, output := tf.plan(more...)
	require.False(tf.t, changes, "a second plan is not empty:\n%s", output)
}

func (tf *terraform) output(name string) (value string) {
	tf.t.Helper()
	require.NoError(tf.t, json.Unmarshal([]byte(tf.run("output", "-json", name)), &value))
	return value
}

// importAll makes Terraform forget all resources, which stay, and import them again. What
// is not imported is the deployment, whose triggers only Terraform knows.
func (tf *terraform) importAll(more ...string) (imported int) {
	tf.t.Helper()
	var state struct {
		Values struct {
			RootModule struct {
				Resources []struct {
					Address, Type, Mode string
					Values              arguments
				}
			} `json:"root_module"`
		}
	}
	require.NoError(tf.t, json.Unmarshal([]byte(tf.run("show", "-json")), &state))
	forget := []string{"state", "rm"}
	var blocks strings.Builder
	for _, resource := range state.Values.RootModule.Resources {
		if resource.Mode != "managed" || resource.Type == "aws_apigatewayv2_deployment" {
			continue
		}
		forget = append(forget, resource.Address)
		fmt.Fprintf(&blocks, "import {\n  to = %s\n  id = %q\n}\n", resource.Address, importID(resource.Type, resource.Values))
	}
	require.NoError(tf.t, os.WriteFile(filepath.Join(tf.dir, "imports.tf"), []byte(blocks.String()), 0o600))
	tf.run(forget...)
	imported = len(forget) - 2
	require.Contains(tf.t, tf.run(slices.Concat([]string{"apply", "-input=false", "-auto-approve"}, tf.vars, more)...),
		fmt.Sprintf("Resources: %d imported, 0 added, 0 changed, 0 destroyed", imported))
	return imported
}

// importID is what the documentation of the provider says an import has to name.
func importID(kind string, values arguments) string {
	id := fmt.Sprint(values["id"])
	switch kind {
	case "aws_apigatewayv2_api", "aws_apigatewayv2_domain_name":
		return id
	case "aws_apigatewayv2_api_mapping":
		return fmt.Sprintf("%s/%s", id, values["domain_name"])
	case "aws_apigatewayv2_route_response":
		return fmt.Sprintf("%s/%s/%s", values["api_id"], values["route_id"], id)
	case "aws_apigatewayv2_integration_response":
		return fmt.Sprintf("%s/%s/%s", values["api_id"], values["integration_id"], id)
	}
	return fmt.Sprintf("%s/%s", values["api_id"], id)
}

// Terraform makes all that a WebSocket API can have, finds nothing to change then, changes
// each resource, finds nothing to change again, mends what somebody else has changed, imports,
// and destroys. A client that is connected stays, and follows.
func TestTerraform(t *testing.T) {
	testutil.NeedsLong(t)
	outside(t)
	server := startControlPlane(t, controlplane.Config{Functions: controlFunctions()})
	tf := newTerraform(t, "testdata/terraform", "-var", "endpoint="+server.url)
	tf.apply()
	l := &life{t: t, server: server, api: tf.output("api_id"), called: map[string]bool{}}
	require.Equal(t, "ws"+strings.TrimPrefix(server.url, "http")+"/"+l.api+"/prod", tf.output("address"))
	ws := l.dial("/"+l.api+"/prod", "")
	require.Equal(t, ws.id+" red hello", ws.say("hello"))
	require.Equal(t, "mock", ws.say(toMock))
	require.Contains(t, ws.say(`{"action":"send"}`), "Invalid request body")
	require.Equal(t, "mock", l.dial("/v1", "chat.example.com").say(toMock))

	changed := []string{"-var", "changed=true"}
	changes, _ := tf.plan(changed...)
	require.True(t, changes)
	tf.apply(changed...)
	require.Equal(t, ws.id+" blue "+toMock, ws.say(toMock), "the open connection follows")
	require.Equal(t, "changed", ws.say(`{"action":"mock2"}`))
	require.Equal(t, "changed", l.dial("/v2", "chat.example.com").say(`{"action":"mock2"}`))

	l.call = startControlDriver(t, exec.CommandContext(t.Context(), buildAWSClient(t, "./controlplane")))
	l.in("DeleteRoute", arguments{"RouteId": tf.output("send")})
	l.in("UpdateStage", arguments{"StageName": "prod", "StageVariables": arguments{"color": "green", "stray": "1"}})
	require.Equal(t, ws.id+" green hello", ws.say("hello"))
	changes, output := tf.plan(changed...)
	require.True(t, changes)
	require.Contains(t, output, "Plan: 2 to add, 1 to change, 0 to destroy", "a route and its response; the stage")
	tf.apply(changed...)
	require.Equal(t, ws.id+" blue hello", ws.say("hello"))

	require.Equal(t, 20, tf.importAll(changed...))

	tf.run(slices.Concat([]string{"destroy", "-input=false", "-auto-approve"}, tf.vars, changed)...)
	_, _, err := ws.Read(t.Context())
	code, _, _ := wsconn.ReceivedClose(err)
	require.Equal(t, 1001, code)
}
