package definition

import (
	"slices"
	"strings"
)

const (
	samFunction  = "AWS::Serverless::Function"
	samWebSocket = "AWS::Serverless::WebSocketApi"
)

// expandSAM replaces the resources of SAM that have a part in WebSocket APIs, as its
// transform does. Source: the repository aws/serverless-application-model.
func (t *template) expandSAM() {
	t.checkTransform()
	t.checkGlobals()
	for _, logicalID := range slices.Clone(t.order) {
		r := t.resources[logicalID]
		switch r.typ {
		case samFunction:
			t.expandFunction(r)
		case samWebSocket:
			t.expandWebSocket(r)
		case "AWS::Serverless::Api", "AWS::Serverless::HttpApi", "AWS::Serverless::StateMachine":
			t.imply(logicalID+"Role", "AWS::IAM::Role", r, nil)
			t.imply(logicalID+"Stage", "AWS::ApiGateway::Stage", r, nil)
			t.aliases[logicalID+".Stage"] = logicalID + "Stage"
		}
	}
}

func (t *template) checkTransform() {
	n := t.root.get("Transform")
	items := []*node{n}
	if n != nil && n.kind == listKind {
		items = n.items
	}
	for _, item := range items {
		name := item.str()
		if item.absent() || strings.HasPrefix(name, "AWS::Serverless-") || name == "AWS::LanguageExtensions" {
			continue
		}
		t.notef(Warning, item.at, "", "the transform %s runs only on AWS: what it makes is missing here", name)
	}
}

func (t *template) checkGlobals() {
	globals := t.root.get("Globals")
	if globals == nil {
		return
	}
	known := []string{"Function", "WebSocketApi", "Api", "HttpApi", "SimpleTable", "StateMachine", "LayerVersion", "CapacityProvider", "GraphQLApi"}
	for i, key := range globals.keys {
		if !slices.Contains(known, key) {
			t.failf(globals.keyAt[i], "", "Globals has no section %q%s", key, didYouMean(key, known))
		}
	}
}

// withGlobals returns the properties of a resource, with those of Globals for what it does
// not say itself: maps are merged, and lists are put one after the other.
func (t *template) withGlobals(r *resource, section string) *node {
	globals := t.root.get("Globals", section)
	if globals.absent() {
		return r.props
	}
	return t.merged(globals, r.props)
}

// maxMerged is how many values the merging of maps and lists may copy in all.
const maxMerged = 1 << 20

// mayMerge counts what a merge copies, so that a small file cannot make endless copies. It
// reports whether that is still little enough.
func (r *report) mayMerge(global, local *node) bool {
	if r.copied > maxMerged {
		return false // it has been told
	}
	if r.copied += len(global.items) + len(local.items); r.copied > maxMerged {
		r.failf(local.at, "", "the merging of maps and lists copies more than %d values: write what is common to many once", maxMerged)
	}
	return r.copied <= maxMerged
}

// merged returns what two values are together: of maps the keys of both, of lists one after
// the other, and of anything else the local one.
func (r *report) merged(global, local *node) *node {
	if name, _ := local.intrinsic(); name != "" {
		return local
	}
	if name, _ := global.intrinsic(); name != "" || global.kind != local.kind {
		return local
	}
	if !r.mayMerge(global, local) {
		return local
	}
	switch local.kind {
	case listKind:
		return listNode(local.at, slices.Concat(global.items, local.items)...)
	case mapKind:
		m := &node{kind: mapKind, at: local.at}
		for i, key := range global.keys {
			m.set(key, global.keyAt[i], global.items[i])
		}
		for i, key := range local.keys {
			value := local.items[i]
			if before := global.get(key); before != nil {
				value = r.merged(before, value)
			}
			m.set(key, local.keyAt[i], value)
		}
		m.weigh()
		return m
	default:
		return local
	}
}

// functionProperties returns the properties of a function of SAM.
func functionProperties() []string {
	return []string{
		"Architectures", "AssumeRolePolicyDocument", "AutoPublishAlias", "AutoPublishAliasAllProperties", "AutoPublishCodeSha256",
		"CapacityProviderConfig", "CodeSigningConfigArn", "CodeUri", "DeadLetterQueue", "DeploymentPreference", "Description", "DurableConfig",
		"Environment", "EphemeralStorage", "EventInvokeConfig", "Events", "FileSystemConfigs", "FunctionName", "FunctionScalingConfig",
		"FunctionUrlConfig", "Handler", "ImageConfig", "ImageUri", "InlineCode", "KmsKeyArn", "Layers", "LoggingConfig", "MemorySize",
		"PackageType", "PermissionsBoundary", "Policies", "PropagateTags", "ProvisionedConcurrencyConfig", "PublishToLatestPublished",
		"RecursiveLoop", "ReservedConcurrentExecutions", "Role", "RolePath", "Runtime", "RuntimeManagementConfig", "SnapStart",
		"SourceKMSKeyArn", "Tags", "TenancyConfig", "Timeout", "Tracing", "VersionDeletionPolicy", "VersionDescription", "VpcConfig",
	}
}

func (t *template) expandFunction(r *resource) {
	all := t.withGlobals(r, "Function")
	for i, key := range all.keys {
		if known := functionProperties(); !slices.Contains(known, key) {
			t.failf(all.keyAt[i], r.logicalID, "%s has no property %q%s", r.typ, key, didYouMean(key, known))
		}
	}
	r.typ = typeFunction
	props := &node{kind: mapKind, at: r.props.at}
	for i, key := range all.keys {
		if all.items[i].absent() {
			continue
		}
		at, value := all.keyAt[i], all.items[i]
		switch key {
		case "CodeUri":
			props.set("Code", at, codeURI(value))
		case "InlineCode":
			props.set("Code", at, mapNode(at, "ZipFile", value))
		case "ImageUri":
			props.set("Code", at, mapNode(at, "ImageUri", value))
		case "Description", "Environment", "FunctionName", "Handler", "Layers", "MemorySize", "PackageType", "Runtime", "Timeout":
			props.set(key, at, value)
		}
	}
	if inline := all.get("InlineCode"); !inline.absent() {
		props.set("Code", all.lineOf("InlineCode"), mapNode(inline.at, "ZipFile", inline)) // it wins over CodeUri
	}
	props.weigh()
	r.props = props
	t.noteEvents(r, all.get("Events"))
	t.imply(r.logicalID+"Role", "AWS::IAM::Role", r, nil)
	if alias, ok := all.get("AutoPublishAlias").scalar(); ok {
		t.imply(r.logicalID+"Version", "AWS::Lambda::Version", r, mapNode(r.at, "FunctionName", refNode(r.at, r.logicalID)))
		t.imply(r.logicalID+"Alias"+alias, "AWS::Lambda::Alias", r,
			mapNode(r.at, "FunctionName", refNode(r.at, r.logicalID), "Name", textNode(r.at, alias)))
		t.aliases[r.logicalID+".Version"] = r.logicalID + "Version"
		t.aliases[r.logicalID+".Alias"] = r.logicalID + "Alias" + alias
	}
}

// codeURI returns the Code of a function for a CodeUri of SAM: a path, or a place in S3.
func codeURI(n *node) *node {
	if key := n.get("Key"); key != nil {
		return mapNode(n.at, "S3Key", key)
	}
	return n
}

// noteEvents tells once for each type of event that it does not run here.
func (t *template) noteEvents(r *resource, events *node) {
	if events == nil || events.kind != mapKind {
		return
	}
	for i, name := range events.keys {
		typ := events.items[i].get("Type").str()
		switch typ {
		case "WebSocket", "WebSocketApi", "Websocket":
			t.failf(events.keyAt[i], r.logicalID, "SAM has no event %s (%s): name the function in Routes of an %s", typ, name, samWebSocket)
		case "Api":
			t.imply("ServerlessRestApi", "AWS::ApiGateway::RestApi", r, nil)
		case "HttpApi":
			t.imply("ServerlessHttpApi", "AWS::ApiGatewayV2::HttpApi", r, nil)
		}
		if !strings.HasPrefix(strings.ToLower(typ), "websocket") {
			t.noteOnce(NotRun, events.keyAt[i], "events of the type "+typ+": not run here; only WebSocket APIs call functions")
		}
	}
}
