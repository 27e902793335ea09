package definition

import (
	"crypto/sha1" //nolint:gosec // for the logical IDs of SAM
	"encoding/hex"
	"slices"
	"strings"
)

func webSocketProperties() []string {
	return []string{
		"AccessLogSettings", "ApiKeySelectionExpression", "Auth", "DefaultRouteSettings", "Description", "DisableExecuteApiEndpoint",
		"DisableSchemaValidation", "Domain", "FailOnWarnings", "IpAddressType", "Name", "PropagateTags", "RouteSelectionExpression", "RouteSettings",
		"Routes", "StageName", "StageVariables", "Tags",
	}
}

// expandWebSocket replaces an AWS::Serverless::WebSocketApi: an API, an integration and a
// route for each of its routes, an authorizer, a stage that deploys itself, a domain name.
func (t *template) expandWebSocket(r *resource) {
	props := t.withGlobals(r, "WebSocketApi")
	for i, key := range props.keys {
		if known := webSocketProperties(); !slices.Contains(known, key) {
			t.failf(props.keyAt[i], r.logicalID, "%s has no property %q%s: route keys stand in Routes", r.typ, key, didYouMean(key, known))
		}
	}
	x := &webSocket{t: t, r: r, props: props}
	r.typ, r.props = typeAPI, x.api()
	x.routes()
	x.stage()
	x.domain()
}

// webSocket is the expansion of one resource.
type webSocket struct {
	t     *template
	r     *resource
	props *node
}

// add adds a resource of the expansion. It exists under the same condition as the original.
func (x *webSocket) add(logicalID, typ string, at position, props *node) {
	body := mapNode(at, "Type", textNode(at, typ), "Properties", props, "Condition", x.r.body.get("Condition"))
	x.t.addResource(logicalID, at, body)
}

func (x *webSocket) apiRef(at position) *node { return refNode(at, x.r.logicalID) }

// take copies properties that mean the same in both types.
func take(to, from *node, names ...string) {
	for _, name := range names {
		if value := from.get(name); value != nil {
			to.set(name, from.lineOf(name), value)
		}
	}
	to.weigh()
}

func (x *webSocket) api() *node {
	at := x.r.at
	api := mapNode(at, "Name", textNode(at, x.r.logicalID), "ProtocolType", textNode(at, "WEBSOCKET"))
	take(api, x.props, "Name", "ApiKeySelectionExpression", "Description", "DisableExecuteApiEndpoint", "DisableSchemaValidation",
		"IpAddressType", "RouteSelectionExpression")
	api.set("Tags", at, x.tags(true))
	api.weigh()
	return api
}

func (x *webSocket) tags(all bool) *node {
	tags := &node{kind: mapKind, at: x.r.at}
	if own := x.props.get("Tags"); all && own.isMap() {
		take(tags, own, own.keys...)
	}
	tags.set("websocketapi:createdBy", x.r.at, textNode(x.r.at, "SAM"))
	tags.weigh()
	return tags
}

// routeName returns a route key as part of a logical ID: "$connect" is Connect.
func routeName(key string) (string, bool) {
	switch key {
	case "$connect", "$disconnect", "$default":
		key = key[1:]
	}
	for _, c := range key {
		if (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') {
			return "", false
		}
	}
	if key == "" {
		return "", false
	}
	return strings.ToUpper(key[:1]) + strings.ToLower(key[1:]), true
}

func (x *webSocket) routes() {
	routes := x.props.get("Routes")
	if !routes.isMap() || len(routes.keys) == 0 {
		x.t.failf(x.props.lineOf("Routes"), x.r.logicalID, "the API needs at least one route: Routes is a map of route keys")
		return
	}
	authorizer := x.authorizer(routes)
	for i, key := range routes.keys {
		x.route(key, routes.keyAt[i], routes.items[i], authorizer)
	}
}

func (x *webSocket) route(key string, at position, spec, authorizer *node) {
	name, ok := routeName(key)
	if !ok {
		x.t.failf(at, x.r.logicalID, "SAM refuses the route key %q: it may have letters and digits, or be $connect, $disconnect or $default", key)
		return
	}
	known := []string{
		"ApiKeyRequired", "FunctionArn", "IntegrationTimeout", "ModelSelectionExpression", "OperationName", "RequestModels",
		"RequestParameters", "RouteResponseSelectionExpression",
	}
	if !spec.isMap() || spec.get("FunctionArn") == nil {
		x.t.failf(at, x.r.logicalID, "the route %s needs FunctionArn, as in FunctionArn: !GetAtt Function.Arn", key)
		return
	}
	for i, k := range spec.keys {
		if !slices.Contains(known, k) {
			x.t.failf(spec.keyAt[i], x.r.logicalID, "a route has no property %q%s", k, didYouMean(k, known))
		}
	}
	if spec.get("RequestParameters") != nil && key != "$connect" {
		x.t.failf(spec.lineOf("RequestParameters"), x.r.logicalID, "RequestParameters are for the route $connect only")
	}
	base := x.r.logicalID + name
	route := mapNode(at, "ApiId", x.apiRef(at), "RouteKey", textNode(at, key),
		"Target", mapNode(at, "Fn::Join", listNode(at, textNode(at, "/"), listNode(at, textNode(at, "integrations"), refNode(at, base+"Integration")))))
	take(route, spec, "ApiKeyRequired", "ModelSelectionExpression", "OperationName", "RequestModels", "RequestParameters", "RouteResponseSelectionExpression")
	if key == "$connect" && authorizer != nil {
		take(route, authorizer, authorizer.keys...)
	}
	integration := mapNode(at, "ApiId", x.apiRef(at), "IntegrationType", textNode(at, "AWS_PROXY"),
		"IntegrationUri", invocationURI(at, spec.get("FunctionArn")), "TimeoutInMillis", spec.get("IntegrationTimeout"))
	x.add(base+"Route", typeRoute, at, route)
	x.add(base+"Integration", typeIntegration, at, integration)
	x.t.imply(base+"Permission", "AWS::Lambda::Permission", x.r, nil)
}

// invocationURI returns the URI of an integration or an authorizer for the ARN of a function.
func invocationURI(at position, arn *node) *node {
	return mapNode(at, "Fn::Sub", listNode(at,
		textNode(at, "arn:${AWS::Partition}:apigateway:${AWS::Region}:lambda:path/2015-03-31/functions/${FunctionArn}/invocations"),
		mapNode(at, "FunctionArn", arn)))
}

// authorizer adds the authorizer, and returns the properties of the $connect route for it.
func (x *webSocket) authorizer(routes *node) *node {
	auth := x.props.get("Auth")
	if auth.absent() {
		return nil
	}
	at := x.props.lineOf("Auth")
	known := []string{"AuthArn", "AuthType", "IdentitySource", "InvokeRole", "Name"}
	for i, key := range auth.keys {
		if !slices.Contains(known, key) {
			x.t.failf(auth.keyAt[i], x.r.logicalID, "Auth has no property %q%s", key, didYouMean(key, known))
		}
	}
	typ := strings.ToUpper(auth.get("AuthType").str())
	switch {
	case routes.get("$connect") == nil:
		x.t.failf(at, x.r.logicalID, "Auth needs a route $connect: only there clients are authorized")
	case typ == "":
		x.t.failf(at, x.r.logicalID, "Auth needs AuthType: NONE, AWS_IAM or CUSTOM")
	case typ != "CUSTOM" && typ != "AWS_IAM" && typ != "NONE":
		x.t.failf(auth.lineOf("AuthType"), x.r.logicalID, "AuthType is %q: it has to be NONE, AWS_IAM or CUSTOM", typ)
	case typ != "CUSTOM" && len(auth.keys) > 1:
		x.t.failf(at, x.r.logicalID, "with the AuthType %s, Auth has no other properties: remove them", typ)
	case typ == "CUSTOM" && auth.get("AuthArn") == nil:
		x.t.failf(at, x.r.logicalID, "with the AuthType CUSTOM, Auth needs AuthArn, as in AuthArn: !GetAtt Function.Arn")
	case typ != "CUSTOM":
		return mapNode(at, "AuthorizationType", textNode(at, typ))
	default:
		logicalID := x.r.logicalID + "ConnectAuthorizer"
		props := mapNode(at, "ApiId", x.apiRef(at), "AuthorizerType", textNode(at, "REQUEST"), "Name", textNode(at, logicalID),
			"AuthorizerUri", invocationURI(at, auth.get("AuthArn")), "AuthorizerCredentialsArn", auth.get("InvokeRole"))
		take(props, auth, "Name", "IdentitySource")
		x.add(logicalID, typeAuthorizer, at, props)
		return mapNode(at, "AuthorizationType", textNode(at, "CUSTOM"), "AuthorizerId", refNode(at, logicalID))
	}
	return nil
}

func (x *webSocket) stage() {
	at := x.props.lineOf("StageName")
	name := x.props.get("StageName")
	logicalID := x.r.logicalID + "DefaultStage"
	if name.absent() {
		name = textNode(at, "default")
	}
	if text, ok := name.scalar(); !ok {
		logicalID = x.r.logicalID + "Stage"
	} else if text != "default" {
		logicalID = x.r.logicalID + text + "Stage"
	}
	props := mapNode(at, "ApiId", x.apiRef(at), "StageName", name, "AutoDeploy", &node{kind: boolKind, text: "true", at: at, size: 1},
		"Tags", x.tags(x.props.get("PropagateTags").str() == "true"))
	take(props, x.props, "AccessLogSettings", "DefaultRouteSettings", "RouteSettings", "StageVariables")
	x.add(logicalID, typeStage, at, props)
	x.t.aliases[x.r.logicalID+".Stage"] = logicalID
}

func (x *webSocket) domain() {
	domain := x.props.get("Domain")
	if domain.absent() {
		return
	}
	at := x.props.lineOf("Domain")
	if domain.get("DomainName") == nil || domain.get("CertificateArn") == nil {
		x.t.failf(at, x.r.logicalID, "Domain needs DomainName and CertificateArn")
		return
	}
	if domain.get("MutualTlsAuthentication") != nil {
		x.t.failf(domain.lineOf("MutualTlsAuthentication"), x.r.logicalID, "SAM refuses MutualTlsAuthentication for WebSocket APIs: remove it")
	}
	logicalID := "ApiGatewayDomainNameV2" + x.hash(domain.get("DomainName"))
	if x.t.resources[logicalID] == nil {
		configuration := mapNode(at, "EndpointType", textNode(at, "REGIONAL"))
		take(configuration, domain, "CertificateArn", "OwnershipVerificationCertificateArn", "SecurityPolicy")
		x.add(logicalID, typeDomain, at, mapNode(at, "DomainName", domain.get("DomainName"),
			"DomainNameConfigurations", listNode(at, configuration)))
	}
	paths := []*node{domain.get("BasePath")}
	if paths[0] != nil && paths[0].kind == listKind {
		paths = paths[0].items
	}
	for _, path := range paths {
		x.mapping(at, logicalID, path)
	}
}

// hash is the part of a logical ID that SAM makes of a value: parameters count with their
// values.
func (x *webSocket) hash(n *node) string {
	if name, of := n.intrinsic(); name == "Ref" {
		if p := x.t.parameters[of.str()]; p != nil && p.value != nil {
			n = p.value
		}
	}
	text, ok := n.scalar()
	if !ok {
		text = n.json()
	}
	sum := sha1.Sum([]byte(text)) //nolint:gosec // as SAM
	return hex.EncodeToString(sum[:5])
}

func (x *webSocket) mapping(at position, domain string, path *node) {
	key := ""
	if path != nil {
		text, ok := path.scalar()
		if !ok || strings.Trim(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/-_") != "" {
			x.t.failf(path.at, x.r.logicalID, "BasePath has to be a text, or a list of texts, with letters, digits, /, - and _")
			return
		}
		key = text
	}
	props := mapNode(at, "DomainName", refNode(at, domain), "ApiId", x.apiRef(at), "Stage", refNode(at, x.r.logicalID+".Stage"))
	if key != "" {
		props.set("ApiMappingKey", at, textNode(at, strings.Trim(key, "/")))
		props.weigh()
	}
	x.add(x.r.logicalID+strings.NewReplacer("-", "", "_", "", "/", "").Replace(key)+"ApiMapping", typeMapping, at, props)
}
