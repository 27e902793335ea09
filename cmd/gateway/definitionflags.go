package main

import (
	"fmt"
	"maps"
	"strings"

	"github.com/spf13/pflag"

	"example.com/gateway/cmd/gateway/internal/dev"
	"example.com/gateway/definition"
)

// definitionFlags are flags that say how to read a definition.
type definitionFlags struct{ parameters, values, imports, options []string }

func (d *definitionFlags) add(flags *pflag.FlagSet, o *dev.Options) {
	flags.StringArrayVar(&d.parameters, "parameter", nil, "a parameter of FILE, as `Name=value`, or @ and a file of them; may be repeated")
	flags.StringVar(&o.Definition.Stage, "stage", "", "the `stage` of a serverless.yml")
	flags.StringArrayVar(&d.options, "option", nil, "a value for ${opt:name} of a serverless.yml, as `name=value`; may be repeated")
	flags.StringVar(&o.Definition.StackName, "stack-name", "", "the `name` of the stack, AWS::StackName")
	flags.StringArrayVar(&d.values, "value", nil, "a value that is kept elsewhere, as `ssm:/path=value`, or @ and a file of them; may be repeated")
	flags.StringArrayVar(&d.imports, "import", nil, "a value for Fn::ImportValue, as `Export=value`, or @ and a file of them; may be repeated")
	flags.StringVar(&o.Region, "region", "", "the `region` (default: that of FILE, or us-east-1)")
	flags.StringVar(&o.AccountID, "account-id", "", "the `account` in ARNs (default: 123456789012)")
	flags.BoolVar(&o.Strict, "strict", false, "refuse what AWS refuses, although published examples have it")
	flags.BoolVar(&o.NoQuotas, "no-quotas", false, "lift the quotas of routes, stages and other resources")
}

// read sets the options that are pairs.
func (d *definitionFlags) read(o *dev.Options) (err error) {
	for _, list := range []struct {
		flag string
		from []string
		to   *map[string]string
	}{
		{"parameter", d.parameters, &o.Definition.Parameters},
		{"value", d.values, &o.Definition.Values},
		{"import", d.imports, &o.Definition.Imports},
		{"option", d.options, &o.Definition.Options},
	} {
		if *list.to, err = valuesOf(list.flag, list.from); err != nil {
			return err
		}
	}
	return nil
}

// valuesOf reads NAME=value, and @FILE, which stands for the values in a file. Those that are
// written out win.
func valuesOf(flag string, list []string) (map[string]string, error) {
	all := map[string]string{}
	var written []string
	for _, text := range list {
		path, isFile := strings.CutPrefix(text, "@")
		if !isFile {
			written = append(written, text)
			continue
		}
		values, err := definition.ReadValues(path)
		if err != nil {
			return nil, fmt.Errorf("--%s: %w", flag, err)
		}
		maps.Copy(all, values)
	}
	m, err := pairs(flag, written)
	maps.Copy(all, m)
	return all, err
}

// pairs reads NAME=value. The last "=" of a name that has one itself cannot be told: the
// first counts.
func pairs(flag string, list []string) (map[string]string, error) {
	m := make(map[string]string, len(list))
	for _, text := range list {
		name, value, ok := strings.Cut(text, "=")
		if !ok || name == "" {
			return nil, fmt.Errorf("--%s: %q has no value: write it as NAME=value", flag, name)
		}
		m[name] = value
	}
	return m, nil
}
