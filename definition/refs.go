package definition

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
)

const (
	typeAPI         = "AWS::ApiGatewayV2::Api"
	typeRoute       = "AWS::ApiGatewayV2::Route"
	typeResponse    = "AWS::ApiGatewayV2::RouteResponse"
	typeIntegration = "AWS::ApiGatewayV2::Integration"
	typeIntResponse = "AWS::ApiGatewayV2::IntegrationResponse"
	typeAuthorizer  = "AWS::ApiGatewayV2::Authorizer"
	typeModel       = "AWS::ApiGatewayV2::Model"
	typeDeployment  = "AWS::ApiGatewayV2::Deployment"
	typeStage       = "AWS::ApiGatewayV2::Stage"
	typeDomain      = "AWS::ApiGatewayV2::DomainName"
	typeMapping     = "AWS::ApiGatewayV2::ApiMapping"
	typeFunction    = "AWS::Lambda::Function"
)

// stableID makes an ID of so many characters, a–z and 0–9, that is always the same for the
// same parts.
func stableID(length int, parts ...string) string {
	const alphabet = "abcdefghijklmnopqrstuvwxyz0123456789"
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	id := make([]byte, length)
	for i := range id {
		id[i] = alphabet[int(sum[i])%len(alphabet)]
	}
	return string(id)
}

// id returns the ID of a resource of API Gateway.
func (t *template) id(r *resource) string {
	if r.typ == typeAPI {
		if r.apiID == "" {
			r.apiID = stableID(10, t.opts.StackName, r.logicalID)
		}
		return r.apiID
	}
	return stableID(7, t.opts.StackName, r.logicalID)
}

func (t *template) callRef(at position, n *node) (*node, *problem) {
	name, ok := n.scalar()
	if !ok || name == "" {
		return nil, problemAt(at, "Ref needs the name of a parameter or a resource, but has %s", n.kind)
	}
	return t.ref(at, name)
}

func (t *template) callGetAtt(at position, n *node) (*node, *problem) {
	if text, ok := n.scalar(); ok {
		logicalID, attribute, _ := strings.Cut(text, ".")
		return t.getAtt(at, logicalID, attribute)
	}
	args, p := argumentsOf(at, "Fn::GetAtt", "[logical ID, attribute]", n, 2, 2)
	if p != nil {
		return nil, p
	}
	logicalID, ok := args[0].scalar()
	if !ok {
		return nil, problemAt(at, "Fn::GetAtt is written [logical ID, attribute]")
	}
	attribute, p := t.textOf("Fn::GetAtt", args[1])
	if p != nil {
		return nil, p
	}
	return t.getAtt(at, logicalID, attribute)
}

// ref returns the value of a pseudo parameter, a parameter or a resource.
func (t *template) ref(at position, name string) (*node, *problem) {
	if value := t.pseudo(at, name); value != nil {
		return value, nil
	}
	if p := t.parameters[name]; p != nil && p.value != nil {
		return p.value, nil
	}
	r, p := t.find(at, name)
	if p != nil {
		return nil, p
	}
	if value := t.names[r.logicalID]; value != nil {
		return value, nil
	}
	if t.naming[r.logicalID] {
		return nil, problemAt(at, "the name of %s depends on itself", r.logicalID)
	}
	t.naming[r.logicalID] = true
	defer delete(t.naming, r.logicalID)
	value, p := t.physicalName(r)
	if p != nil {
		return nil, p
	}
	t.names[r.logicalID] = textNode(r.at, value)
	return t.names[r.logicalID], nil
}

// find returns the resource of a logical ID, which has to exist.
func (t *template) find(at position, name string) (*resource, *problem) {
	r := t.resources[t.alias(name)]
	if r == nil {
		return nil, problemAt(at, "the template has no parameter and no resource %q%s", name, t.didYouMean(name, t.known))
	}
	if !r.active {
		return nil, problemAt(at, "%s does not exist, because its condition %q is false: refer to it only within Fn::If with the same condition",
			name, r.body.get("Condition").str())
	}
	return r, nil
}

// known returns everything that a Ref may name.
func (t *template) known() []string {
	return slices.Concat(t.order, sortedKeys(t.parameters), pseudoNames())
}

func pseudoNames() []string {
	return []string{
		"AWS::AccountId", "AWS::NoValue", "AWS::NotificationARNs", "AWS::Partition", "AWS::Region", "AWS::StackId", "AWS::StackName", "AWS::URLSuffix",
	}
}

func (t *template) pseudo(at position, name string) *node {
	switch name {
	case "AWS::AccountId":
		return textNode(at, t.opts.AccountID)
	case "AWS::Region":
		return textNode(at, t.opts.Region)
	case "AWS::Partition":
		return textNode(at, "aws")
	case "AWS::URLSuffix":
		return textNode(at, awsSuffix)
	case "AWS::StackName":
		return textNode(at, t.opts.StackName)
	case "AWS::StackId":
		return textNode(at, t.arn("cloudformation", "stack/"+t.opts.StackName+"/"+stableID(8, t.opts.StackName)))
	case "AWS::NotificationARNs":
		return listNode(at)
	case "AWS::NoValue":
		return &node{kind: noValueKind, at: at, size: 1}
	default:
		return nil
	}
}

func (t *template) arn(service, rest string) string {
	return fmt.Sprintf("arn:aws:%s:%s:%s:%s", service, t.opts.Region, t.opts.AccountID, rest)
}

// physicalName returns the value of Ref for a resource.
func (t *template) physicalName(r *resource) (string, *problem) {
	switch r.typ {
	case typeStage:
		return t.requiredName(r, "StageName")
	case typeDomain:
		return t.requiredName(r, "DomainName")
	case typeFunction:
		return t.functionName(r)
	}
	if strings.HasPrefix(r.typ, "AWS::ApiGatewayV2::") {
		return t.id(r), nil
	}
	return t.otherName(r)
}

func (t *template) requiredName(r *resource, key string) (string, *problem) {
	value, p := t.property(r, key)
	if p != nil {
		return "", p
	}
	text, ok := value.scalar()
	if !ok {
		return "", &problem{at: r.at, logicalID: r.logicalID, text: key + " is missing: it has to be a text"}
	}
	return text, nil
}

// functionName returns the name of a function. A name that CloudFormation would make ends in
// random characters, this one does not.
func (t *template) functionName(r *resource) (string, *problem) {
	value, p := t.property(r, "FunctionName")
	if p != nil {
		return "", p
	}
	if text, ok := value.scalar(); ok {
		return text, nil
	}
	return t.defaultName(r, 64), nil
}

func (t *template) defaultName(r *resource, most int) string {
	name := t.opts.StackName + "-" + r.logicalID
	if len(name) > most {
		name = name[:most-9] + "-" + stableID(8, name)
	}
	return name
}

func (t *template) functionARN(r *resource) (string, *problem) {
	name, p := t.ref(r.at, r.logicalID)
	if p != nil {
		return "", p
	}
	if strings.HasPrefix(name.text, "arn:") {
		return name.text, nil
	}
	return t.arn("lambda", "function:"+name.text), nil
}

// getAtt returns an attribute of a resource.
func (t *template) getAtt(at position, logicalID, attribute string) (*node, *problem) {
	if alias := t.alias(logicalID + "." + attribute); alias != logicalID+"."+attribute {
		return t.ref(at, alias)
	}
	r, p := t.find(at, logicalID)
	if p != nil {
		return nil, p
	}
	if attribute == "" {
		return nil, problemAt(at, "Fn::GetAtt needs an attribute of %s, as in %s.Arn", logicalID, logicalID)
	}
	if name, ok := strings.CutPrefix(attribute, "Outputs."); ok && (r.typ == typeStack || r.typ == samApplication) {
		return t.output(at, r, name)
	}
	text, p := t.attribute(at, r, attribute)
	if p != nil {
		return nil, p
	}
	return textNode(at, text), nil
}

func (t *template) attribute(at position, r *resource, attribute string) (string, *problem) {
	if r.typ == typeFunction {
		switch attribute {
		case "Arn":
			return t.functionARN(r)
		case "Version":
			return "$LATEST", nil
		}
		return "", unknownAttribute(at, r, attribute, "Arn", "Version")
	}
	if !strings.HasPrefix(r.typ, "AWS::ApiGatewayV2::") {
		return t.otherAttribute(r, attribute)
	}
	short := strings.TrimPrefix(r.typ, "AWS::ApiGatewayV2::")
	switch {
	case r.typ == typeAPI && attribute == "ApiEndpoint":
		return fmt.Sprintf("wss://%s.execute-api.%s.%s", t.id(r), t.opts.Region, awsSuffix), nil
	case attribute == short+"Id", attribute == "Id" && r.typ != typeStage, strings.EqualFold(attribute, short+"Id"):
		return t.id(r), nil
	case r.typ == typeDomain && attribute == "RegionalDomainName":
		return "d-" + t.id(r) + ".execute-api." + t.opts.Region + "." + awsSuffix, nil
	case r.typ == typeDomain && attribute == "RegionalHostedZoneId":
		return strings.ToUpper(stableID(14, r.logicalID)), nil
	case r.typ == typeDomain && attribute == "DomainNameArn":
		name, p := t.ref(at, r.logicalID)
		return "arn:aws:apigateway:" + t.opts.Region + "::/domainnames/" + name.str(), p
	}
	if r.typ == typeAPI {
		return "", unknownAttribute(at, r, attribute, "ApiEndpoint", "ApiId")
	}
	return "", unknownAttribute(at, r, attribute, short+"Id")
}

func unknownAttribute(at position, r *resource, attribute string, known ...string) *problem {
	return problemAt(at, "%s (%s) has no attribute %q: it has %s", r.logicalID, r.typ, attribute, strings.Join(known, " and "))
}
