package nearest

import "regexp"

// The names of Lambda's runtimes for Node.js and Python, and what people write instead. A
// name without a version is not Lambda's, but leaves no doubt.
const (
	rightRuntime   = `^(nodejs(\d+\.x|4\.3(-edge)?|6\.10|8\.10)?|python(\d(\.\d+)?)?)$`
	writtenRuntime = `^(?i)(node|python)(?:js)?[-_ ]?(\d{1,2})\.?(\d{1,2})?(?:\.x)?$`
)

// Runtime returns the name of the runtime of Lambda that a wrong name was meant to be:
// nodejs20.x for nodejs20, python3.11 for python311. It returns "" for a name that is right,
// and for one that is nothing of Node.js or Python.
func Runtime(name string) string {
	if len(name) > maxBytes || regexp.MustCompile(rightRuntime).MatchString(name) {
		return ""
	}
	parts := regexp.MustCompile(writtenRuntime).FindStringSubmatch(name)
	if parts == nil {
		return ""
	}
	kind, major, minor := parts[1], parts[2], parts[3]
	if kind != "python" && kind != "Python" {
		return "nodejs" + major + ".x"
	}
	if minor == "" && len(major) == 2 { // python39, and python311 as 31 and 1
		major, minor = major[:1], major[1:]
	} else if len(major) == 2 {
		major, minor = major[:1], major[1:]+minor
	}
	if minor == "" {
		return "python" + major
	}
	return "python" + major + "." + minor
}
