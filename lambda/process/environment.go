package process

import (
	"cmp"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// inherited are the variables that every function gets from this program.
func inherited() []string { return []string{"PATH", "HOME", "LANG", "TMPDIR"} }

// environment returns the variables of a process.
func environment(c Config, api string, now time.Time) []string {
	var env []string
	for _, name := range append(inherited(), c.PassEnv...) {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	region := "us-east-1"
	if parts := strings.Split(c.ARN, ":"); len(parts) > 3 {
		region = cmp.Or(parts[3], region)
	}
	env = append(
		env,
		"TZ=:UTC",
		"AWS_REGION="+region,
		"AWS_DEFAULT_REGION="+region,
		"AWS_EXECUTION_ENV=AWS_Lambda_"+cmp.Or(c.Runtime, "provided"),
		"AWS_LAMBDA_FUNCTION_NAME="+c.Name,
		versionVariable+versionOf(c.Env),
		"AWS_LAMBDA_FUNCTION_MEMORY_SIZE="+strconv.Itoa(c.MemoryMB),
		"AWS_LAMBDA_INITIALIZATION_TYPE=on-demand",
		"AWS_LAMBDA_LOG_GROUP_NAME=/aws/lambda/"+c.Name,
		fmt.Sprintf("AWS_LAMBDA_LOG_STREAM_NAME=%s/[%s]%s", now.UTC().Format("2006/01/02"), versionOf(c.Env), strings.ReplaceAll(newUUID(), "-", "")),
		"LAMBDA_TASK_ROOT="+c.Dir,
		"_HANDLER="+cmp.Or(c.Handler, "bootstrap"),
	)
	env = append(env, c.Env...)
	return append(env, "AWS_LAMBDA_RUNTIME_API="+api)
}

const versionVariable = "AWS_LAMBDA_FUNCTION_VERSION="

// versionOf returns the version that the variables of a function say, or $LATEST. The last one
// counts, as for the function itself.
func versionOf(env []string) string {
	for _, v := range slices.Backward(env) {
		if version, ok := strings.CutPrefix(v, versionVariable); ok {
			return version
		}
	}
	return "$LATEST"
}
