package definition

import (
	"path/filepath"
	"slices"
	"strings"
)

// serverless turns a serverless.yml into a template, as the Serverless Framework does. The
// logical IDs are those of the framework, because environments refer to them.
type serverless struct {
	*variables
	path           string
	service        string
	resources      *node // under construction
	template       map[string]*node
	events         map[string]bool
	webSockets     []webSocketEvent
	functionByName map[string]string
}

type webSocketEvent struct {
	function string // its key in functions
	at       position
	route    string
	event    *node
}

// newServerless reads a serverless.yml.
func newServerless(all *stacks, opts Options, path string, root *node) *template {
	v := &variables{
		report: all.report, opts: &opts, root: root, dir: filepath.Dir(path),
		files: map[string]*node{}, resolved: map[*node]*node{}, failed: map[*node]*problem{},
	}
	s := &serverless{
		variables: v, path: path, resources: &node{kind: mapKind, at: root.at}, template: map[string]*node{},
		events: map[string]bool{}, functionByName: map[string]string{},
	}
	s.readSurroundings()
	s.readFunctions()
	s.makeAPI()
	s.readResources()
	s.noteIgnored()
	s.resources.weigh()
	sections := []any{"Resources", s.resources}
	for _, name := range sortedKeys(s.template) {
		sections = append(sections, name, s.template[name])
	}
	t := newTemplate(all, *v.opts, path, mapNode(root.at, sections...), nil)
	t.lambdaDefaults = lambdaDefaults{timeout: 6, memory: 1024}
	s.implyResources(t)
	return t
}

// at resolves the value of a path of keys. It returns nil if there is none.
func (s *serverless) at(path ...string) *node {
	value, p := s.walk(s.root, strings.Join(path, "."))
	if p != nil {
		s.fail("", p)
	}
	return value
}

// textAt returns the text at a path of keys, or the other text.
func (s *serverless) textAt(otherwise string, path ...string) string {
	n := s.at(path...)
	if text, ok := n.scalar(); ok {
		return text
	}
	if !n.absent() {
		s.failf(n.at, "", "%s has to be a text, but is %s", strings.Join(path, "."), n.kind)
	}
	return otherwise
}

func (s *serverless) readSurroundings() {
	if s.opts.Stage == "" {
		s.opts.Stage = s.opts.Options["stage"]
	}
	stage := s.opts.Stage
	if stage == "" {
		stage = s.textAt("dev", "provider", "stage")
	}
	s.stage = stage
	if s.root.get("useDotenv").str() == "true" || isVersion4(s.root.get("frameworkVersion").str()) {
		s.dotenv = s.opts.readDotenv(s.dir, stage)
	}
	clear(s.resolved) // what was resolved without the stage
	clear(s.failed)
	if s.opts.Region == "" {
		if s.opts.Region = s.opts.Options["region"]; s.opts.Region == "" {
			s.opts.Region = s.textAt("us-east-1", "provider", "region")
		}
	}
	if s.root.get("service").isMap() { // as in files for early versions
		s.service = s.textAt("service", "service", "name")
	} else {
		s.service = s.textAt("service", "service")
	}
	s.opts.setStack(s.textAt(s.service+"-"+stage, "provider", "stackName"))
	s.params, s.opts.Parameters = s.opts.Parameters, nil // not parameters of the template
}

// isVersion4 reports whether a version of the framework is 4 or later, which reads .env files
// unasked.
func isVersion4(version string) bool {
	digit := strings.IndexAny(version, "0123456789")
	return digit >= 0 && version[digit] >= '4'
}

// entries returns the entries of a section that is a map, or a list of maps.
func (s *serverless) entries(name string, section *node) *node {
	if section.absent() || section.kind == mapKind {
		return section
	}
	all := &node{kind: mapKind, at: section.at}
	if section.kind != listKind {
		s.failf(section.at, "", "%s has to be a map, or a list of maps, but is %s", name, section.kind)
	}
	for _, item := range section.items {
		if !item.isMap() {
			s.failf(item.at, "", "%s has to be a list of maps, but one is %s", name, item.kind)
			continue
		}
		for i, key := range item.keys {
			value := item.items[i]
			if before := all.get(key); before.isMap() && value.isMap() {
				value = s.merged(before, value)
			}
			all.set(key, item.keyAt[i], value)
		}
	}
	all.weigh()
	return all
}

// logicalName returns a name as a part of a logical ID, as the framework does.
func logicalName(name string) string {
	name = strings.NewReplacer("-", "Dash", "_", "Underscore").Replace(name)
	if name == "" {
		return name
	}
	return strings.ToUpper(name[:1]) + name[1:]
}

func functionID(name string) string { return logicalName(name) + "LambdaFunction" }

func (s *serverless) readFunctions() {
	functions := s.at("functions")
	if functions.absent() {
		return
	}
	functions = s.entries("functions", functions)
	for i, name := range functions.keys {
		body := functions.items[i]
		if !body.isMap() {
			s.failf(functions.keyAt[i], name, "the function has to be a map, but is %s", body.kind)
			continue
		}
		s.readFunction(name, functions.keyAt[i], body)
	}
}

func (s *serverless) readFunction(name string, at position, body *node) {
	props := &node{kind: mapKind, at: at}
	fullName := body.get("name")
	if fullName == nil {
		fullName = textNode(at, s.service+"-"+s.stage+"-"+name)
	}
	props.set("FunctionName", fullName.at, fullName)
	for _, setting := range [][2]string{{"runtime", "Runtime"}, {"timeout", "Timeout"}, {"memorySize", "MemorySize"}, {"layers", "Layers"}} {
		value, place := body.get(setting[0]), body.lineOf(setting[0])
		if value.absent() {
			if value = s.at("provider", setting[0]); value != nil {
				place = value.at
			}
		}
		if !value.absent() {
			props.set(setting[1], place, value)
		}
	}
	if image := body.get("image"); image != nil {
		props.set("Code", body.lineOf("image"), mapNode(image.at, "ImageUri", textNode(image.at, "image")))
	} else {
		if handler := body.get("handler"); handler != nil {
			props.set("Handler", body.lineOf("handler"), handler)
		}
		props.set("Code", at, s.package_(at, body))
	}
	if props.get("Runtime") == nil && body.get("image") == nil {
		props.set("Runtime", at, textNode(at, "nodejs20.x")) // the framework's own default
	}
	if env := s.environmentOf(body); env != nil {
		props.set("Environment", env.at, mapNode(env.at, "Variables", env))
	}
	props.weigh()
	s.functionByName[name] = functionID(name)
	s.resources.set(functionID(name), at, mapNode(at, "Type", textNode(at, typeFunction), "Properties", props,
		"Metadata", mapNode(at, commandKey, s.at("custom", "gateway", "command", name))))
	s.readEvents(name, body.get("events"))
}

// package_ returns where the code of a function is: an archive, or the folder of the file.
func (s *serverless) package_(at position, body *node) *node { //nolint:revive // package is a keyword
	if artifact := body.get("package", "artifact"); artifact != nil {
		return artifact
	}
	if artifact := s.at("package", "artifact"); artifact != nil {
		return artifact
	}
	return textNode(at, ".")
}

// environmentOf returns the variables of the provider and of the function, which win.
func (s *serverless) environmentOf(body *node) *node {
	common, own := s.at("provider", "environment"), body.get("environment")
	switch {
	case common.absent() && own.absent():
		return nil
	case common.absent():
		return own
	case own.absent():
		return common
	}
	if !common.isMap() || !own.isMap() || !s.mayMerge(common, own) {
		return own
	}
	m := &node{kind: mapKind, at: own.at}
	for _, from := range []*node{common, own} {
		for i, key := range from.keys {
			m.set(key, from.keyAt[i], from.items[i])
		}
	}
	m.weigh()
	return m
}

func (s *serverless) add(logicalID, typ string, at position, props *node) {
	s.resources.set(logicalID, at, mapNode(at, "Type", textNode(at, typ), "Properties", props))
}

func (s *serverless) functionNames() []string {
	functions := s.at("functions")
	if functions.absent() {
		return nil
	}
	return s.entries("functions", functions).keys
}

// readResources takes the template that the file has under "resources".
func (s *serverless) readResources() {
	resources := s.at("resources")
	if resources.absent() {
		return
	}
	resources = s.entries("resources", resources)
	for i, section := range resources.keys {
		value := resources.items[i]
		switch section {
		case "Resources":
			if value.absent() {
				continue
			}
			all := s.entries("resources.Resources", value)
			for j, logicalID := range all.keys {
				s.takeResource(logicalID, all.keyAt[j], all.items[j])
			}
		case "Conditions", "Mappings", "Outputs", "Parameters":
			if !value.absent() {
				s.template[section] = s.entries("resources."+section, value)
			}
		}
	}
	s.extend(resources.get("extensions"))
}

// extend merges properties into resources that the framework makes.
func (s *serverless) extend(extensions *node) {
	if extensions.absent() {
		return
	}
	extensions = s.entries("resources.extensions", extensions)
	for i, logicalID := range extensions.keys {
		if s.resources.get(logicalID) == nil {
			s.notef(Ignored, extensions.keyAt[i], "", "resources.extensions extends %s, which is not made here%s", logicalID, s.didYouMean(logicalID, s.resources.names))
			continue
		}
		s.takeResource(logicalID, extensions.keyAt[i], extensions.items[i])
	}
}

// takeResource adds a resource of the file, or merges it into one that the framework makes.
func (s *serverless) takeResource(logicalID string, at position, body *node) {
	if before := s.resources.get(logicalID); before.isMap() && body.isMap() {
		body = s.merged(before, body)
	}
	s.resources.set(logicalID, at, body)
}

// noteIgnored tells what of the file has no effect here.
func (s *serverless) noteIgnored() {
	if plugins := s.at("plugins"); !plugins.absent() {
		list := plugins
		if plugins.isMap() {
			list = plugins.get("modules")
		}
		var names []string
		if list != nil {
			for _, item := range list.items {
				names = append(names, item.str())
			}
		}
		if len(names) > 0 {
			s.notef(Ignored, plugins.at, "", "plugins are not run here: %s. If one compiles the code, give the path of its output with package.artifact", listed(names))
		}
	}
	known := []string{
		"service", "frameworkVersion", "provider", "functions", "custom", "resources", "plugins", "package", "useDotenv", "params", "stages", "layers",
		"configValidationMode", "deprecationNotificationMode", "variablesResolutionMode", "disabledDeprecations", "org", "app", "console",
	}
	for i, key := range s.root.keys {
		if !slices.Contains(known, key) {
			s.notef(Ignored, s.root.keyAt[i], "", "%s is ignored%s", key, didYouMean(key, known))
		}
	}
}

// implyResources adds what the framework makes, because the file may refer to it.
func (s *serverless) implyResources(t *template) {
	made := &resource{at: s.root.at, body: mapNode(s.root.at), active: true}
	t.imply("ServerlessDeploymentBucket", "AWS::S3::Bucket", made, nil)
	t.imply("IamRoleLambdaExecution", "AWS::IAM::Role", made, nil)
	if s.events["http"] {
		t.imply("ApiGatewayRestApi", "AWS::ApiGateway::RestApi", made, nil)
	}
	if s.events["httpApi"] {
		t.imply("HttpApi", "AWS::Serverless::HttpApi", made, nil)
	}
	for _, name := range sortedKeys(s.functionByName) {
		t.imply(logicalName(name)+"LogGroup", "AWS::Logs::LogGroup", made, nil)
	}
	t.imply("WebsocketsLogGroup", "AWS::Logs::LogGroup", made, nil)
	if layers := s.at("layers"); !layers.absent() {
		all := s.entries("layers", layers)
		for i, name := range all.keys {
			t.imply(logicalName(name)+"LambdaLayer", typeLayer, made, mapNode(all.keyAt[i], "Content", all.items[i].get("path")))
		}
	}
}
