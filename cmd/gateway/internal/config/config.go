// Package config reads the configuration of "gateway serve", checks all of it, and makes of
// it what package gateway takes.
package config

import (
	"path/filepath"
	"time"
)

// off is the value of a quota that does not exist.
const off = "off"

// Limit is a quota that is a number: 0 is the default, -1 is off.
type Limit int

// TimeLimit is a quota that is a time: 0 is the default, -1 is off.
type TimeLimit time.Duration

// Config is a file. docs/serve.md describes every key.
type Config struct {
	Stage                    string                 `yaml:"stage"`
	StageVariables           map[string]string      `yaml:"stageVariables"`
	API                      API                    `yaml:"api"`
	Path                     string                 `yaml:"path"`
	Listen                   []Listener             `yaml:"listen"`
	Health                   string                 `yaml:"health"`
	Log                      Log                    `yaml:"log"`
	Shutdown                 Shutdown               `yaml:"shutdown"`
	Origins                  []string               `yaml:"origins"`
	Proxies                  []string               `yaml:"proxies"`
	AutoResponse             map[string]string      `yaml:"autoResponse"`
	Compression              *Compression           `yaml:"compression"`
	Management               *Management            `yaml:"management"`
	Quotas                   Quotas                 `yaml:"quotas"`
	AnswerCommands           bool                   `yaml:"answerCommands"`
	BinaryMessages           bool                   `yaml:"binaryMessages"`
	RouteSelectionExpression string                 `yaml:"routeSelectionExpression"`
	Throttle                 Throttle               `yaml:"throttle"`
	Integrations             map[string]Integration `yaml:"integrations"`
	Authorizers              map[string]Authorizer  `yaml:"authorizers"`
	UsagePlans               map[string]UsagePlan   `yaml:"usagePlans"`
	APIKeySource             string                 `yaml:"apiKeySource"`
	Routes                   map[string]Route       `yaml:"routes"`

	dir string
}

// API is what integrations see of the API.
type API struct {
	ID         string `yaml:"id"`
	DomainName string `yaml:"domainName"`
}

// Listener is an address that clients reach.
type Listener struct {
	Address string `yaml:"address"`
	TLS     *TLS   `yaml:"tls"`
}

// TLS names the files of a certificate.
type TLS struct {
	Certificate string `yaml:"certificate"`
	Key         string `yaml:"key"`
}

// Log says what is logged, and how.
type Log struct {
	Level  string `yaml:"level"`
	Format string `yaml:"format"`
}

// Shutdown says how long a stop may take.
type Shutdown struct {
	Delay   time.Duration `yaml:"delay"`
	Timeout time.Duration `yaml:"timeout"`
}

// Compression is that of package gateway.
type Compression struct {
	Threshold int   `yaml:"threshold"`
	Level     int   `yaml:"level"`
	MaxRatio  Limit `yaml:"maxRatio"`
}

// Management says who may call @connections.
type Management struct {
	Access string      `yaml:"access"`
	Region string      `yaml:"region"`
	Keys   []AccessKey `yaml:"keys"`
	Listen *Listener   `yaml:"listen"`
	// Extensions opens the calls that the service does not have.
	Extensions bool `yaml:"extensions"`
}

// AccessKey is a key pair that signs requests.
type AccessKey struct {
	ID     string `yaml:"id"`
	Secret Secret `yaml:"secret"`
	Policy string `yaml:"policy"`
}

// Secret says where a secret is. It is never in the configuration itself.
type Secret struct {
	Environment string `yaml:"environment"`
	File        string `yaml:"file"`

	value string
}

// Throttle is a token bucket.
type Throttle struct {
	Rate  float64 `yaml:"rate"`
	Burst int     `yaml:"burst"`
}

// Quotas are those of package gateway.
type Quotas struct {
	FrameBytes             Limit     `yaml:"frameBytes"`
	MessageBytes           Limit     `yaml:"messageBytes"`
	IdleTimeout            TimeLimit `yaml:"idleTimeout"`
	PingsResetIdle         bool      `yaml:"pingsResetIdle"`
	PongsResetIdle         bool      `yaml:"pongsResetIdle"`
	ConnectionDuration     TimeLimit `yaml:"connectionDuration"`
	IntegrationTimeout     TimeLimit `yaml:"integrationTimeout"`
	WriteTimeout           TimeLimit `yaml:"writeTimeout"`
	SendBufferBytes        Limit     `yaml:"sendBufferBytes"`
	SendBufferMessages     Limit     `yaml:"sendBufferMessages"`
	InFlight               Limit     `yaml:"inFlight"`
	PingInterval           TimeLimit `yaml:"pingInterval"`
	NewConnections         Throttle  `yaml:"newConnections"`
	Connections            Limit     `yaml:"connections"`
	ConnectionsPerSourceIP Limit     `yaml:"connectionsPerSourceIp"`
	HeaderBytes            Limit     `yaml:"headerBytes"`
	URLBytes               Limit     `yaml:"urlBytes"`
	StateBytes             Limit     `yaml:"stateBytes"`
	GroupsPerConnection    Limit     `yaml:"groupsPerConnection"`
}

// Integration is one of four kinds.
type Integration struct {
	HTTP    *HTTP    `yaml:"http"`
	Lambda  *Lambda  `yaml:"lambda"`
	Process *Process `yaml:"process"`
	Mock    *Mock    `yaml:"mock"`
}

// HTTP calls an HTTP endpoint.
type HTTP struct {
	URI               string            `yaml:"uri"`
	Method            string            `yaml:"method"`
	RequestParameters map[string]string `yaml:"requestParameters"`
	CallbackURL       string            `yaml:"callbackUrl"`
	UpgradeHeaders    bool              `yaml:"upgradeHeaders"`
	ResponseBytes     int               `yaml:"responseBytes"`
	Timeout           time.Duration     `yaml:"timeout"`
	Transform         *Transform        `yaml:"transform"`
}

// Lambda calls a function through an endpoint of Lambda's Invoke API.
type Lambda struct {
	URL         string        `yaml:"url"`
	Name        string        `yaml:"name"`
	Qualifier   string        `yaml:"qualifier"`
	Timeout     time.Duration `yaml:"timeout"`
	Concurrency int           `yaml:"concurrency"`
	Transform   *Transform    `yaml:"transform"`
}

// Mock answers without a backend.
type Mock struct {
	StatusCode int        `yaml:"statusCode"`
	Body       string     `yaml:"body"`
	Transform  *Transform `yaml:"transform"`
}

// Transform is gateway.Transform.
type Transform struct {
	RequestTemplates            map[string]string   `yaml:"requestTemplates"`
	TemplateSelectionExpression string              `yaml:"templateSelectionExpression"`
	PassthroughBehavior         string              `yaml:"passthroughBehavior"`
	ContentHandling             string              `yaml:"contentHandling"`
	Responses                   map[string]Response `yaml:"responses"`
}

// Response is gateway.IntegrationResponse.
type Response struct {
	ResponseTemplates           map[string]string `yaml:"responseTemplates"`
	TemplateSelectionExpression string            `yaml:"templateSelectionExpression"`
	ResponseParameters          map[string]string `yaml:"responseParameters"`
	ContentHandling             string            `yaml:"contentHandling"`
}

// Authorizer is one of three kinds.
type Authorizer struct {
	JWT    *JWT              `yaml:"jwt"`
	Lambda *LambdaAuthorizer `yaml:"lambda"`
	IAM    *IAM              `yaml:"iam"`
}

// JWT is jwtauthorizer.Config.
type JWT struct {
	Issuer          string              `yaml:"issuer"`
	Audience        []string            `yaml:"audience"`
	AnyAudience     bool                `yaml:"anyAudience"`
	Scopes          []string            `yaml:"scopes"`
	RequiredScopes  []string            `yaml:"requiredScopes"`
	RequiredClaims  map[string][]string `yaml:"requiredClaims"`
	Claims          []string            `yaml:"claims"`
	Cookie          string              `yaml:"cookie"`
	QueryParameter  string              `yaml:"queryParameter"`
	Subprotocol     string              `yaml:"subprotocol"`
	Skew            time.Duration       `yaml:"skew"`
	Secrets         []Secret            `yaml:"secrets"`
	Algorithms      []string            `yaml:"algorithms"`
	JWKSURL         string              `yaml:"jwksUrl"`
	RefreshInterval time.Duration       `yaml:"refreshInterval"`
}

// LambdaAuthorizer is a function that decides.
type LambdaAuthorizer struct {
	Integration    string   `yaml:"integration"`
	IdentitySource []string `yaml:"identitySource"`
	Region         string   `yaml:"region"`
	AccountID      string   `yaml:"accountId"`
}

// IAM admits clients that sign their upgrade.
type IAM struct {
	Region string      `yaml:"region"`
	Keys   []AccessKey `yaml:"keys"`
}

// UsagePlan is usageplan.Plan.
type UsagePlan struct {
	Throttle       Throttle            `yaml:"throttle"`
	RouteThrottles map[string]Throttle `yaml:"routeThrottles"`
	Quota          *PlanQuota          `yaml:"quota"`
	Keys           map[string]Secret   `yaml:"keys"`
}

// PlanQuota is usageplan.Quota.
type PlanQuota struct {
	Limit  int    `yaml:"limit"`
	Period string `yaml:"period"`
	Offset int    `yaml:"offset"`
}

// Route is gateway.Route.
type Route struct {
	Integration              string            `yaml:"integration"`
	RouteResponse            bool              `yaml:"routeResponse"`
	Authorizer               string            `yaml:"authorizer"`
	APIKeyRequired           bool              `yaml:"apiKeyRequired"`
	Throttle                 Throttle          `yaml:"throttle"`
	RequestParameters        map[string]bool   `yaml:"requestParameters"`
	Model                    string            `yaml:"model"`
	ModelSelectionExpression string            `yaml:"modelSelectionExpression"`
	Models                   map[string]string `yaml:"models"`
}

// within returns a path of the configuration, which is relative to the folder of the file.
func (c *Config) within(path string) string {
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(c.dir, path)
}
