package server

import (
	"log/slog"
	"regexp"
	"strings"
)

// words has the advice that the packages give to Go programs, and what the author of a
// configuration can do instead. TestWords_known fails when a package words it anew.
func words() []string {
	return []string{
		"pass WithRouteResponse() to Handle or HandleFunc, or set Route.RouteResponse; or return no body",
		"write routeResponse: true below the route; or return no body",
		"post from Observer.ConnectionOpened, or pass WithAnswerCommands to New and answer",
		"write answerCommands: true and answer",
		"pass WithAnswerCommands to New",
		"write answerCommands: true",
		"pass WithManagementExtensions to New",
		"write extensions: true below management",
		"pass WithBinaryMessages to New",
		"write binaryMessages: true",
		"pass WithOriginPatterns with this origin to New",
		"add this origin to origins",
		"; the log never has the value that selects the route: see it with Request.SelectionValue in Observer.MessageRejected",
		"",
		"WithDefaultThrottle or Deployment.DefaultThrottle",
		"throttle",
		", and mount ManagementHandler there, too: http.ServeMux redirects such a call otherwise, and many clients do not follow",
		"",
		": see HTTPIntegration",
		": see requestParameters",
	}
}

// quota finds the name of a quota as Go programs write it.
var quota = regexp.MustCompile(`\bQuotas\.[A-Z]\w*`)

// userWords puts the keys of a configuration in the place of what a Go program can do.
func userWords(text string) string {
	return quota.ReplaceAllStringFunc(strings.NewReplacer(words()...).Replace(text), func(name string) string {
		name = strings.TrimPrefix(name, "Quotas.")
		switch name {
		case "URLBytes":
			return "quotas.urlBytes"
		case "ConnectionsPerSourceIP":
			return "quotas.connectionsPerSourceIp"
		}
		return "quotas." + strings.ToLower(name[:1]) + name[1:]
	})
}

// inUserWords is a ReplaceAttr of [slog.HandlerOptions].
func inUserWords(_ []string, a slog.Attr) slog.Attr {
	switch a.Key {
	case "fix", "error":
		a.Value = slog.StringValue(userWords(a.Value.Resolve().String()))
	}
	return a
}
