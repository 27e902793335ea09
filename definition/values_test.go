package definition_test

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/gateway/definition"
)

func TestReadValues(t *testing.T) {
	t.Parallel()
	want := map[string]string{"Stage": "prod", "Names": "a,b", "Size": "5", "Open": "true"}
	for name, text := range map[string]string{
		"map.yaml":     "Stage: prod\nNames: [a, b]\nSize: 5\nOpen: true\n",
		"map.json":     `{"Stage": "prod", "Names": ["a", "b"], "Size": 5, "Open": true}`,
		"section.json": `{"Parameters": {"Stage": "prod", "Names": "a,b", "Size": "5", "Open": "true"}}`,
		"list.json": `[{"ParameterKey": "Stage", "ParameterValue": "prod"}, {"ParameterKey": "Names", "ParameterValue": "a,b"},
			{"ParameterKey": "Size", "ParameterValue": "5"}, {"ParameterKey": "Open", "ParameterValue": "true"}]`,
		"text.toml": "version = 0.1\n[default.deploy.parameters]\nstack_name = \"chat\"\nparameter_overrides = \"Stage=\\\"prod\\\" Names=a,b Size='5' Open=true\"\n" +
			"[other.deploy.parameters]\nparameter_overrides = \"Stage=other\"\n",
		"list.toml": "[default.global.parameters]\nparameter_overrides = [\n  \"Stage=dev\",\n  \"Names=a,b\",\n]\n[default.deploy.parameters]\nparameter_overrides = ['Stage=prod', 'Size=5', 'Open=true']\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := definition.ReadValues(filepath.Join(files(t, map[string]string{name: text}), name))
			require.NoError(t, err)
			require.Equal(t, want, got)
		})
	}
}

func TestReadValues_refused(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"a: {b: c}":             "values.yaml:1: the value of a has to be a text, a number, a boolean or a list of these, but is a map",
		"a text":                "values.yaml:1: a file of values has to be a map of names and values",
		"- {ParameterKey: a}\n": "values.yaml:1: each entry of a list of values needs ParameterKey and ParameterValue",
		"a: [":                  "values.yaml:1: this is not YAML",
	} {
		_, err := definition.ReadValues(filepath.Join(files(t, map[string]string{"values.yaml": text}), "values.yaml"))
		require.ErrorContains(t, err, want)
	}
	_, err := definition.ReadValues(filepath.Join(t.TempDir(), "nowhere.yaml"))
	require.ErrorContains(t, err, "no such file")
}
