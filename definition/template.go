package definition

import (
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// template is a CloudFormation template under evaluation. The templates of SAM and of the
// Serverless Framework are turned into one first.
type template struct {
	*stacks
	opts     Options
	dir      string // of the file
	root     *node
	caller   *caller // nil for the template of the file
	level    int     // how deep the stack is nested
	children map[string]*nestedStack
	outputs  map[string]*node // their values, once they are known

	resources  map[string]*resource
	byType     map[string][]*resource // the active ones, once they are asked for
	order      []string
	parameters map[string]*parameter
	aliases    map[string]string // "MyApi.Stage" of SAM: the logical ID
	conditions map[string]conditionState
	names      map[string]*node // the value of Ref by logical ID
	naming     map[string]bool  // the Refs whose evaluation has begun

	lambdaDefaults lambdaDefaults
}

// lambdaDefaults are the settings of a function that the file does not give.
type lambdaDefaults struct {
	timeout, memory int
}

// resource is one entry of Resources.
type resource struct {
	logicalID, typ string
	at             position
	body, props    *node
	apiID          string // once it is asked for
	active         bool   // its condition holds
	implied        bool   // made by SAM or the Serverless Framework
}

type parameter struct {
	value  *node
	secret bool
}

// newTemplate checks the sections of a template and finds its resources.
func newTemplate(s *stacks, opts Options, path string, root *node, by *caller) *template {
	t := &template{
		stacks: s, opts: opts, dir: filepath.Dir(path), root: root, caller: by, children: map[string]*nestedStack{}, outputs: map[string]*node{},
		resources: map[string]*resource{}, parameters: map[string]*parameter{},
		aliases: map[string]string{}, conditions: map[string]conditionState{}, names: map[string]*node{}, naming: map[string]bool{},
		lambdaDefaults: lambdaDefaults{timeout: 3, memory: 128},
	}
	if by != nil {
		t.level = by.t.level + 1
	}
	t.checkSections()
	t.readParameters()
	t.repeat()
	t.readResources()
	return t
}

func (t *template) readResources() {
	section := t.root.get("Resources")
	if section == nil {
		return // an empty stack of CDK
	}
	if !section.isMap() {
		t.failf(t.root.lineOf("Resources"), "", "Resources has to be a map of logical IDs")
		return
	}
	for i, logicalID := range section.keys {
		if strings.HasPrefix(logicalID, forEach) && len(t.problems) > 0 {
			continue // repeat has failed, and says why
		}
		if strings.HasPrefix(logicalID, "Fn::") {
			t.fail("", unsupported(section.keyAt[i], logicalID))
			continue
		}
		t.addResource(logicalID, section.keyAt[i], section.items[i])
	}
}

// addResource takes one entry of Resources.
func (t *template) addResource(logicalID string, at position, body *node) {
	typ, ok := body.get("Type").scalar()
	if !ok {
		t.failf(at, logicalID, "the resource has no Type")
		return
	}
	if !t.mayAdd(at) {
		return
	}
	if before := t.resources[logicalID]; before != nil {
		t.failf(at, logicalID, "there is another resource with this logical ID in line %d: give one of them another name", before.at.line)
		return
	}
	t.checkResource(logicalID, typ, body)
	r := &resource{logicalID: logicalID, typ: typ, at: at, body: body, props: body.get("Properties"), active: true}
	if r.props.absent() {
		r.props = mapNode(at)
	}
	if r.props.kind != mapKind {
		t.failf(r.props.at, logicalID, "Properties has to be a map")
		r.props = mapNode(at)
	}
	if name, ok := body.get("Condition").scalar(); ok {
		holds, p := t.condition(body.get("Condition").at, name)
		if p != nil {
			t.fail(logicalID, p)
		}
		r.active = holds && p == nil
	}
	t.resources[logicalID] = r
	t.order, t.byType = append(t.order, logicalID), nil
}

// maxResources is how many resources the templates of a definition may have. CloudFormation
// allows 500 in each.
const maxResources = 10_000

// mayAdd counts a resource, because resources are compared with each other. It reports whether
// that is still little enough.
func (s *stacks) mayAdd(at position) bool {
	if s.count++; s.count == maxResources+1 {
		s.failf(at, "", "the templates have more than %d resources: CloudFormation allows 500 in each", maxResources)
	}
	return s.count <= maxResources
}

// checkSections tells of sections that no template has.
func (t *template) checkSections() {
	known := []string{
		"AWSTemplateFormatVersion", "Conditions", "Description", "Globals", "Hooks", "Mappings", "Metadata", "Outputs", "Parameters", "Resources",
		"Rules", "Transform",
	}
	for i, key := range t.root.keys {
		if !slices.Contains(known, key) {
			t.notef(Ignored, t.root.keyAt[i], "", "a template has no section %q%s", key, didYouMean(key, known))
		}
	}
}

// checkResource refuses misspelled types of API Gateway and SAM, and misspelled attributes of
// what runs here.
func (t *template) checkResource(logicalID, typ string, body *node) {
	if types := knownTypes(typ); types != nil && !slices.Contains(types, typ) {
		t.failf(body.get("Type").at, logicalID, "there is no type %s%s", typ, didYouMean(typ, types))
		return
	}
	if schemaOf(typ) == nil && typ != typeFunction && typ != samFunction && typ != samWebSocket {
		return
	}
	known := []string{
		"Condition", "Connectors", "CreationPolicy", "DeletionPolicy", "DependsOn", "Description", "IgnoreGlobals", "Metadata", "Properties", "Type",
		"UpdatePolicy", "UpdateReplacePolicy",
	}
	for i, key := range body.keys {
		if !slices.Contains(known, key) {
			t.failf(body.keyAt[i], logicalID, "a resource has no attribute %q%s", key, didYouMean(key, known))
		}
	}
}

// knownTypes returns all types of the service of a type, if that service is one of those
// that make WebSocket APIs.
func knownTypes(typ string) []string {
	switch {
	case strings.HasPrefix(typ, "AWS::ApiGatewayV2::"):
		return []string{
			typeAPI, typeRoute, typeResponse, typeIntegration, typeIntResponse, typeAuthorizer, typeModel, typeDeployment, typeStage, typeDomain,
			typeMapping, "AWS::ApiGatewayV2::ApiGatewayManagedOverrides", "AWS::ApiGatewayV2::HttpApi", "AWS::ApiGatewayV2::RoutingRule",
			"AWS::ApiGatewayV2::VpcLink",
		}
	case strings.HasPrefix(typ, "AWS::Serverless::"):
		return []string{
			samFunction, samWebSocket, samApplication, "AWS::Serverless::Api", "AWS::Serverless::CapacityProvider", "AWS::Serverless::Connector",
			"AWS::Serverless::GraphQLApi", "AWS::Serverless::HttpApi", "AWS::Serverless::LayerVersion", "AWS::Serverless::SimpleTable",
			"AWS::Serverless::StateMachine",
		}
	default:
		return nil
	}
}

// imply adds a resource that SAM or the Serverless Framework would make, unless the file
// has one of this name.
func (t *template) imply(logicalID, typ string, of *resource, props *node) {
	if t.resources[logicalID] != nil {
		return
	}
	if props == nil {
		props = mapNode(of.at)
	}
	body := of.body
	t.resources[logicalID] = &resource{logicalID: logicalID, typ: typ, at: of.at, body: body, props: props, active: of.active, implied: true}
	t.order, t.byType = append(t.order, logicalID), nil
}

func (t *template) readParameters() {
	section := t.root.get("Parameters")
	var known []string
	if section.isMap() {
		known = section.keys
		for i, name := range section.keys {
			t.readParameter(name, section.keyAt[i], section.items[i])
		}
	}
	for _, name := range sortedKeys(t.opts.Parameters) {
		if !slices.Contains(known, name) {
			at, logicalID := position{t.root.at.file, 0}, ""
			if t.caller != nil {
				at, logicalID = t.caller.r.props.lineOf("Parameters"), t.caller.r.logicalID
			}
			t.failf(at, logicalID, "the template has no parameter %q, which was given a value%s", name, didYouMean(name, known))
		}
	}
}

func (t *template) readParameter(name string, at position, body *node) {
	typ := body.get("Type").str()
	p := &parameter{secret: body.get("NoEcho").str() == "true"}
	t.parameters[name] = p
	text, given := t.opts.Parameters[name]
	value := body.get("Default")
	switch {
	case given:
		value = textNode(at, text)
	case value == nil:
		t.fail(name, t.caller.missing(name, at))
		value = textNode(at, "")
	case strings.HasPrefix(typ, "AWS::SSM::Parameter::Value<") && !strings.HasPrefix(name, "BootstrapVersion"):
		t.notef(Warning, at, name, "the value is in the Parameter Store, which is not here: the name %q is used. Give the parameter a value", value.str())
	}
	text, ok := value.scalar()
	if !ok {
		t.failf(value.at, name, "the default of a parameter has to be a text or a number")
		return
	}
	if text != "" || given || body.get("Default") != nil {
		if problem := checkParameter(at, body, typ, text, p.secret); problem != nil {
			t.fail(name, problem)
		}
	}
	p.value = textNode(value.at, text)
	if typ == "CommaDelimitedList" || strings.HasPrefix(typ, "List<") || strings.HasPrefix(typ, "AWS::SSM::Parameter::Value<List") {
		if problem := t.spend(at, len(text)*8); problem != nil {
			t.fail(name, problem)
			return
		}
		list := &node{kind: listKind, at: value.at}
		for part := range strings.SplitSeq(text, ",") {
			list.items = append(list.items, textNode(value.at, strings.TrimSpace(part)))
		}
		list.weigh()
		p.value = list
	}
}

// checkParameter checks a value against the constraints of its parameter. A value that is
// secret is not part of the error.
func checkParameter(at position, body *node, typ, text string, secret bool) *problem {
	shown := strconv.Quote(text)
	if secret {
		shown = "its secret value"
	}
	if hint := body.get("ConstraintDescription").str(); hint != "" {
		shown += " (" + hint + ")"
	}
	if allowed := body.get("AllowedValues"); allowed != nil && allowed.kind == listKind {
		var texts []string
		for _, item := range allowed.items {
			texts = append(texts, item.str())
		}
		if !slices.Contains(texts, text) {
			return problemAt(at, "the parameter may not be %s: allowed are %s", shown, listed(texts))
		}
	}
	if pattern, ok := body.get("AllowedPattern").scalar(); ok {
		// Java's syntax has more than Go's: a pattern that Go does not know is not checked.
		if re, err := regexp.Compile(`^(?:` + pattern + `)$`); err == nil && !re.MatchString(text) {
			return problemAt(at, "the parameter may not be %s: it has to match %s", shown, pattern)
		}
	}
	number := float64(utf8.RuneCountInString(text))
	least, most, what := "MinLength", "MaxLength", "characters"
	if typ == "Number" {
		v, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return problemAt(at, "the parameter may not be %s: it has to be a number", shown)
		}
		number, least, most, what = v, "MinValue", "MaxValue", "as value"
	}
	if limit, err := strconv.ParseFloat(body.get(least).str(), 64); err == nil && number < limit {
		return problemAt(at, "the parameter may not be %s: it needs at least %s %s", shown, body.get(least).str(), what)
	}
	if limit, err := strconv.ParseFloat(body.get(most).str(), 64); err == nil && number > limit {
		return problemAt(at, "the parameter may not be %s: it may have at most %s %s", shown, body.get(most).str(), what)
	}
	return nil
}

// property evaluates one property of a resource. It returns nil if the property is absent.
func (t *template) property(r *resource, path ...string) (*node, *problem) {
	n := r.props
	for _, key := range path {
		if name, argument := n.intrinsic(); name == "Fn::If" {
			branch, p := t.branch(n.at, argument)
			if p != nil {
				return nil, p
			}
			n = branch
		}
		n = n.get(key)
	}
	if n.absent() {
		return nil, nil //nolint:nilnil // absent, and nothing is wrong
	}
	value, p := t.eval(n)
	if p != nil || value.absent() {
		return nil, p
	}
	return value, nil
}

// textProperty evaluates a property that is a text, and records a problem if it cannot.
func (t *template) textProperty(r *resource, path ...string) (string, bool) {
	value, p := t.property(r, path...)
	if p != nil {
		t.fail(r.logicalID, p)
		return "", false
	}
	if value == nil {
		return "", true
	}
	text, ok := value.scalar()
	if !ok {
		t.failf(value.at, r.logicalID, "%s has to be a text, but is %s", strings.Join(path, "."), value.kind)
	}
	return text, ok
}

// ofType returns the active resources of a type, in the order of the file.
func (t *template) ofType(typ string) []*resource {
	if t.byType == nil {
		t.byType = map[string][]*resource{}
		for _, logicalID := range t.order {
			if r := t.resources[logicalID]; r.active {
				t.byType[r.typ] = append(t.byType[r.typ], r)
			}
		}
	}
	return t.byType[typ]
}

// alias returns the logical ID that a name stands for.
func (t *template) alias(name string) string {
	if logicalID, ok := t.aliases[name]; ok {
		return logicalID
	}
	return name
}

func (t *template) path(rel string) string {
	if filepath.IsAbs(rel) {
		return filepath.Clean(rel)
	}
	return filepath.Join(t.dir, filepath.FromSlash(rel))
}

// asset returns the path of an asset of CDK. Those of a stage lie in the folder above it.
func (t *template) asset(rel string) string {
	path := t.path(rel)
	if exists(path) {
		return path
	}
	t.opts.onFile(path)
	if above := t.path(filepath.Join("..", rel)); exists(above) {
		return above
	}
	return path
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
