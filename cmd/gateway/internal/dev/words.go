package dev

import "strings"

// words has the advice that the packages give to Go programs, and what a user of this program can
// do instead. TestWords_known fails when a package words it anew.
func words() []string {
	return []string{
		"pass WithRouteResponse() to Handle or HandleFunc, or set Route.RouteResponse; or return no body",
		"give the route a RouteResponseSelectionExpression of $default and an AWS::ApiGatewayV2::RouteResponse (in a serverless.yml: routeResponseSelectionExpression: $default); or return no body",
		"to greet the client, post from Observer.ConnectionOpened",
		"to greet the client, answer its first message",
		"pass WithAnswerCommands to New",
		"start gateway dev with --answer-commands",
		"pass WithManagementExtensions to New",
		"start gateway dev with --management-extensions",
		"pass WithBinaryMessages to New",
		"start gateway dev with --binary-messages",
		": if its pages may connect, pass WithOriginPatterns with this origin to New",
		"", // fixFor names the flag
		": install it, or set Command",
		": install it",
		": set Command to a program that speaks the Lambda runtime API",
		": choose one of these",
		"add its base URL to Config.VPCLinks",
		"this program has no VPC links, so give the integration a URL that this machine reaches",
		"Config.Logger gets the log",
		"the lines of this program tell what happens",
	}
}

// userWords puts what a user of this program can do in the place of what a Go program can do.
func userWords(text string) string { return strings.NewReplacer(words()...).Replace(text) }
