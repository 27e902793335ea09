//go:build linux || darwin

package process_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway/lambda/process"
)

// At the level debug the log has Lambda's lines about each event.
func TestFunction_Reports(t *testing.T) {
	t.Parallel()
	f := start(t, process.Config{Runtime: "python", Handler: "app.handler", Timeout: 1200 * time.Millisecond, MemoryMB: 256}, files{"app.py": `
import os, time
def handler(event, context):
    print("half a line", end="")
    if event == "hang":
        time.sleep(60)
    if event == "exit":
        os._exit(3)
    return context.aws_request_id
`})
	var first, second string
	decode(t, f.call(t, `""`), &first)
	decode(t, f.call(t, `""`), &second)
	require.Equal(t, "Sandbox.Timedout", f.raises(t, `"hang"`).Type)
	require.Equal(t, "Runtime.ExitError", f.raises(t, `"exit"`).Type)
	require.NoError(t, f.Close())
	log := f.log.String()
	const report = `level=DEBUG msg="function report" function=chat request_id=`
	const used = `(\\tMax Memory Used: \d+ MB)?`
	require.Regexp(t, report+first+` line="START RequestId: `+first+` Version: \$LATEST"\n`+
		`.* request_id=`+first+` line="half a line"\n`+
		`.*`+report+first+` line="END RequestId: `+first+`"\n`+
		`.*`+report+first+` line="REPORT RequestId: `+first+`\\tDuration: \d+\.\d\d ms\\tBilled Duration: \d+ ms\\tMemory Size: 256 MB`+used+`\\tInit Duration: \d+\.\d\d ms"\n`, log)
	require.Regexp(t, `line="REPORT RequestId: `+second+`\\tDuration: \d+\.\d\d ms\\tBilled Duration: \d+ ms\\tMemory Size: 256 MB`+used+`"\n`, log, "it did not start again")
	require.Regexp(t, `line="\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z [0-9a-f-]{36} Task timed out after 1\.20 seconds"`, log)
	require.Regexp(t, `\\tDuration: 1200\.00 ms\\tBilled Duration: 1200 ms\\tMemory Size: 256 MB\\tStatus: timeout"`, log)
	require.Regexp(t, `\\tStatus: error\\tError Type: Runtime\.ExitError"`, log)
}

// The version is the one that the environment says.
func TestFunction_ReportsVersion(t *testing.T) {
	t.Parallel()
	f := start(t, process.Config{Runtime: "python", Handler: "app.handler", Env: []string{"AWS_LAMBDA_FUNCTION_VERSION=7"}}, files{"app.py": `
import os
def handler(event, context):
    return [context.function_version, os.environ["AWS_LAMBDA_LOG_STREAM_NAME"]]
`})
	require.Regexp(t, `^\["7", ?"[0-9/]{10}/\[7\][0-9a-f]{32}"\]$`, f.call(t, `{}`))
	require.NoError(t, f.Close())
	require.Regexp(t, `line="START RequestId: [0-9a-f-]+ Version: 7"`, f.log.String())
}
