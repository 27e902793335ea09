package config

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"os/exec"
	"slices"
	"strings"
	"time"

	"example.com/gateway"
	"example.com/gateway/lambda"
	"example.com/gateway/lambda/process"
)

// Process runs a function as a process of this machine.
type Process struct {
	Dir         string              `yaml:"dir"`
	Handler     string              `yaml:"handler"`
	Runtime     string              `yaml:"runtime"`
	Command     []string            `yaml:"command"`
	Env         map[string]Variable `yaml:"env"`
	PassEnv     []string            `yaml:"passEnv"`
	Timeout     time.Duration       `yaml:"timeout"`
	Memory      int                 `yaml:"memory"`
	Concurrency int                 `yaml:"concurrency"`
	Transform   *Transform          `yaml:"transform"`
}

// Variable is a variable of a function's environment: its text, or where its secret is.
type Variable struct {
	Text string
	Secret
}

// functions are what integrations and authorizers call by the name of an integration.
type functions struct {
	remote map[string]kept[Lambda, *lambda.Function]
	local  map[string]kept[Process, *process.Function]
}

// names are the names of all functions.
func (f functions) names() []string {
	names := slices.AppendSeq(slices.Collect(maps.Keys(f.remote)), maps.Keys(f.local))
	slices.Sort(names)
	return names
}

// process makes the integration of a function that runs as a process. It returns nil after
// a report.
func (r *reader) process(b *Builder, made functions, name string, p Process) gateway.Integration {
	at := under("integrations", name)
	switch {
	case p.Dir == "":
		r.report(at+".process", "dir is missing: write the folder with the function's code")
		return nil
	case p.Runtime == "" && len(p.Command) == 0:
		r.report(at+".process", "runtime is missing: write one, such as nodejs22.x, python3.12 or provided.al2023, or a command")
		return nil
	}
	p.Env = r.withIdentity(p)
	k, err := again(b.functions.local, name, p, func() (*process.Function, error) {
		c := process.Config{
			Name: name, Dir: r.within(p.Dir), Handler: p.Handler, Runtime: p.Runtime, Command: p.Command, PassEnv: p.PassEnv,
			Timeout: p.Timeout, MemoryMB: p.Memory, Concurrency: p.Concurrency, Logger: b.Logger,
		}
		for _, variable := range slices.Sorted(maps.Keys(p.Env)) {
			v := p.Env[variable]
			c.Env = append(c.Env, variable+"="+cmp.Or(v.value, v.Text))
		}
		return process.New(c)
	})
	if errors.Is(err, exec.ErrNotFound) && r.options.WithoutSecrets { // it is missing here, but not where it is served
		return &gateway.MockIntegration{}
	}
	if err != nil {
		text := strings.TrimPrefix(err.Error(), process.ErrConfig.Error()+": ")
		r.report(at+".process", "%s", strings.TrimPrefix(text, fmt.Sprintf("function %q: ", name)))
		return nil
	}
	made.local[name] = k
	if p.Transform != nil {
		return &gateway.CustomIntegration{Transform: p.Transform.transform(), Backend: lambda.NewBackend(k.thing), SelectByErrorMessage: true}
	}
	return lambda.NewIntegration(k.thing)
}

// identityVariables are those of which each says whose calls of AWS a function makes.
func identityVariables() []string {
	return []string{
		"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE",
		"AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
	}
}

// withIdentity returns the variables of a function, with a key pair that says nothing unless
// the configuration has another one: without any, no SDK sends a call. The region is the
// one that signatures are for.
func (r *reader) withIdentity(p Process) map[string]Variable {
	env := maps.Clone(p.Env)
	if env == nil {
		env = map[string]Variable{}
	}
	given := func(name string) bool {
		_, set := env[name]
		return set || slices.Contains(p.PassEnv, name)
	}
	if r.Management != nil && r.Management.Region != "" && !given("AWS_REGION") {
		env["AWS_REGION"] = Variable{Text: r.Management.Region}
		if !given("AWS_DEFAULT_REGION") {
			env["AWS_DEFAULT_REGION"] = env["AWS_REGION"]
		}
	}
	if !slices.ContainsFunc(identityVariables(), given) {
		env["AWS_ACCESS_KEY_ID"], env["AWS_SECRET_ACCESS_KEY"] = Variable{Text: "test"}, Variable{Text: "test"}
	}
	return env
}

// Removed returns the processes of an earlier state of b that b does not use any more.
func (b *Builder) Removed(earlier *Builder) (removed []*process.Function) {
	for name, k := range earlier.functions.local {
		if b.functions.local[name].thing != k.thing {
			removed = append(removed, k.thing)
		}
	}
	return removed
}

// Close ends all processes of functions.
func (b *Builder) Close() error {
	var err error
	for _, k := range b.functions.local {
		err = errors.Join(err, k.thing.Close())
	}
	return err
}
