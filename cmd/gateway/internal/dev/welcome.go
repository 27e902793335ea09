package dev

import (
	"cmp"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"example.com/gateway/controlplane"
	"example.com/gateway/definition"
)

// environment returns the variables that every function has before its own. A handler that
// makes a client of @connections, with https://{domainName}/{stage} or without an endpoint,
// reaches this server with them.
func (s *server) environment() []string {
	c := s.certificates
	return []string{
		"AWS_ACCESS_KEY_ID=" + s.keys.functions.id,
		"AWS_SECRET_ACCESS_KEY=" + s.keys.functions.secret,
		"AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI=http://" + s.address(),
		"AWS_ENDPOINT_URL_APIGATEWAYV2=http://" + s.address(),
		"AWS_ENDPOINT_URL_LAMBDA=http://" + s.address(),
		"NODE_EXTRA_CA_CERTS=" + c.functions,
		"AWS_CA_BUNDLE=" + c.bundle,
		"REQUESTS_CA_BUNDLE=" + c.bundle,
		"SSL_CERT_FILE=" + c.bundle,
	}
}

// welcome says what there is, and what to do with it.
func (s *server) welcome(took time.Duration) {
	var b strings.Builder
	for _, remark := range s.ports.remarks {
		fmt.Fprintf(&b, "%s\n", s.print.paint(yellow, remark))
	}
	stages, _ := s.plane.Stages("") // what the store cannot read was an error before
	s.describe(&b, stages)
	if s.now != nil {
		s.describeFunctions(&b)
		s.describeNotes(&b, s.now.Notes)
	}
	s.describeClients(&b)
	fmt.Fprintf(&b, "\nTo trust https://localhost:%d in other programs, add %s to their authorities.\n", s.ports.tlsPort, shortPath(s.certificates.authority))
	state := "state in memory"
	if s.o.State != "" {
		state = "state in " + shortPath(s.dir)
	}
	fmt.Fprintf(&b, "\n%s  http://%s, https://localhost:%d, %s\n\n",
		s.print.paint(bold, fmt.Sprintf("ready in %d ms", took.Milliseconds())), s.address(), s.ports.tlsPort, state)
	s.print.write(b.String())
}

// maxListed is how many stages are listed at the start.
const maxListed = 30

// describe lists the stages, and says how to connect to the first.
func (s *server) describe(b *strings.Builder, stages []controlplane.Stage) {
	if len(stages) == 0 {
		b.WriteString(s.nothing() + "\n")
		return
	}
	api := ""
	for n, st := range stages {
		if n == maxListed {
			fmt.Fprintf(b, "… and %d stages more\n", len(stages)-n)
			break
		}
		if st.APIID != api {
			api = st.APIID
			fmt.Fprintf(b, "%s  %s\n", s.print.paint(bold, visible(st.APIName)), s.print.paint(faint, st.APIID+"  "+strings.Join(st.RouteKeys, ", ")))
		}
		fmt.Fprintf(b, "  %-10s %s%s\n", st.Name, s.print.paint(cyan, st.URL), undeployed(st))
	}
	s.describeDomains(b)
	c := connectTo(stages[0])
	quoted := c.url
	if c.url != stages[0].URL { // a shell reads "?"
		quoted = "'" + c.url + "'"
	}
	fmt.Fprintf(b, "\nConnect:\n  gateway send%[1]s %[2]s '%[3]s'\n  npx wscat%[1]s -c %[2]s\n", c.options, quoted, exampleMessage(stages[0]))
	if c.options == "" {
		fmt.Fprintf(b, "  in the console of http://%s/: ws = new WebSocket(\"%s\"); ws.onmessage = e => console.log(e.data)\n", s.address(), c.url)
	}
}

// nothing says why there is no stage.
func (s *server) nothing() string {
	switch {
	case s.now == nil:
		return "There is no API yet: make one with an AWS SDK, the AWS CLI or Terraform, or name a definition, as in \"gateway dev template.yaml\"."
	case len(s.now.APIs) == 0:
		return shortPath(s.o.File) + " has no WebSocket API: write one, or make it with an AWS SDK, the AWS CLI or Terraform."
	}
	return shortPath(s.o.File) + " has a WebSocket API, but no stage, so nobody can connect: write an AWS::ApiGatewayV2::Stage, or make one with create-stage."
}

// describeDomains lists the custom domain names of the definition.
func (s *server) describeDomains(b *strings.Builder) {
	if s.now == nil {
		return
	}
	for _, d := range s.now.Domains {
		for _, m := range d.Mappings {
			key, _ := m.Fields["apiMappingKey"].(string)
			fmt.Fprintf(b, "  %s  ws://%s:%d/%s, once your hosts file has \"127.0.0.1 %s\"\n", s.print.paint(faint, "custom domain name"), visible(d.ID), s.ports.port, visible(key), visible(d.ID))
		}
	}
}

// connecting is what a client has to bring to connect to a stage.
type connecting struct{ url, options string }

// connectTo reads what $connect of a stage wants. The values are for the user to fill in.
func connectTo(st controlplane.Stage) connecting {
	c := connecting{url: st.URL}
	var query []string
	for _, source := range st.IdentitySource {
		source = visible(strings.ReplaceAll(source, "'", ""))
		if name, ok := strings.CutPrefix(source, "route.request.querystring."); ok {
			query = append(query, url.QueryEscape(name)+"=…")
		}
		if name, ok := strings.CutPrefix(source, "route.request.header."); ok && !strings.EqualFold(name, "x-api-key") {
			c.options += " -H '" + name + ": …'"
		}
	}
	if len(query) > 0 {
		c.url += "?" + strings.Join(query, "&")
	}
	if st.APIKeyRequired {
		c.options += " -H 'x-api-key: …'"
	}
	return c
}

func undeployed(st controlplane.Stage) string {
	if st.Deployed {
		return ""
	}
	return "  (no deployment yet: clients get 403)"
}

// exampleMessage is a message for a route with a key of its own, if there is one and its
// expression is the usual one: a path in the body.
func exampleMessage(st controlplane.Stage) string {
	plain := func(text string) bool { return text != "" && !strings.ContainsAny(text, "'\"\\$ {}[]") }
	n := slices.IndexFunc(st.RouteKeys, plain)
	path, ok := strings.CutPrefix(strings.Trim(st.RouteSelectionExpression, "${}"), "request.body.")
	if n < 0 || !ok || !plain(path) {
		return "hello"
	}
	message := `"` + st.RouteKeys[n] + `"`
	for _, member := range slices.Backward(strings.Split(path, ".")) {
		message = `{"` + member + `":` + message + `}`
	}
	return message
}

func (s *server) describeFunctions(b *strings.Builder) {
	if len(s.now.Functions) == 0 {
		return
	}
	b.WriteString("\nFunctions:\n")
	for _, f := range s.now.Functions {
		how := f.Runtime + " " + f.Handler
		if len(f.Command) > 0 {
			how = strings.Join(f.Command, " ")
		}
		fmt.Fprintf(b, "  %s  %s\n", s.print.paint(yellow, f.Name), s.print.paint(faint, strings.TrimSpace(how)+" in "+shortPath(f.Dir)))
	}
}

// describeNotes lists what the definition has that does not run here.
func (s *server) describeNotes(b *strings.Builder, notes []definition.Note) {
	if len(notes) == 0 {
		return
	}
	b.WriteString("\nNotes:\n")
	for _, n := range notes {
		n.File = shortPath(n.File)
		text := s.print.paint(faint, n.String())
		if n.Kind == definition.Warning {
			text = s.print.paint(yellow, "warning: "+n.String())
		}
		fmt.Fprintf(b, "  %s\n", text)
	}
}

// describeClients prints what SDKs, the CLI and Terraform need.
func (s *server) describeClients(b *strings.Builder) {
	secret := s.keys.user.secret
	if s.o.VerifySignatures && !s.keys.generated {
		secret = "$" + secretVariable
	}
	if s.o.VerifySignatures {
		b.WriteString("\nCalls have to be signed with this key pair.\n")
	}
	fmt.Fprintf(b, `
AWS SDKs and CLI:
  export AWS_ENDPOINT_URL_APIGATEWAYV2=http://%[1]s AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI=http://%[1]s
  export AWS_ENDPOINT_URL_LAMBDA=http://%[1]s
  export AWS_REGION=%[2]s AWS_DEFAULT_REGION=%[2]s AWS_ACCESS_KEY_ID=%[3]s AWS_SECRET_ACCESS_KEY=%[4]s
`, s.address(), s.region(), s.keys.user.id, secret)
	fmt.Fprintf(b, `
Terraform, in a file local_override.tf:
  # There is no IAM here: aws_iam_role goes to AWS, which refuses it. Give functions any ARN as role,
  # such as "arn:aws:iam::%[5]s:role/local": docs/clients.md shows it with a variable.
  provider "aws" {
    profile                     = null
    region                      = "%[2]s"
    access_key                  = "%[3]s"
    secret_key                  = "%[4]s"
    skip_credentials_validation = true
    skip_metadata_api_check     = true
    skip_requesting_account_id  = true
    endpoints {
      apigatewayv2 = "http://%[1]s"
      lambda       = "http://%[1]s"
    }
  }
`, s.address(), s.region(), s.keys.user.id, secret, cmp.Or(s.o.AccountID, "123456789012"))
}

// reloaded says what a reload has changed.
func (s *server) reloaded(before *definition.Definition) {
	s.print.note("reloaded %s", shortPath(s.o.File))
	old := map[string]bool{}
	for _, n := range before.Notes {
		old[n.Text] = true
	}
	var fresh []definition.Note
	for _, n := range s.now.Notes {
		if !old[n.Text] {
			fresh = append(fresh, n)
		}
	}
	var b strings.Builder
	s.describeNotes(&b, fresh)
	s.print.write(strings.TrimPrefix(b.String(), "\n"))
}
