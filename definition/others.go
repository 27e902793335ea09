package definition

import (
	"fmt"
	"slices"
	"strings"
)

// otherType says what Ref and Fn::GetAtt give for a type that does not run here.
type otherType struct {
	nameProperty string // "": names are always generated
	service      string // of the ARN
	arn          string // the last part of the ARN, with %s for the name
	global       bool   // the ARN has no region and no account
	refIsARN     bool
}

// otherTypeOf returns what is known about a type. Nothing is known about most of them: they
// get a name and an ARN of the usual form.
func otherTypeOf(typ string) otherType {
	switch typ {
	case "AWS::DynamoDB::Table", "AWS::DynamoDB::GlobalTable", "AWS::Serverless::SimpleTable":
		return otherType{nameProperty: "TableName", service: "dynamodb", arn: "table/%s"}
	case "AWS::SQS::Queue":
		return otherType{nameProperty: "QueueName", service: "sqs", arn: "%s"}
	case "AWS::SNS::Topic":
		return otherType{nameProperty: "TopicName", service: "sns", arn: "%s", refIsARN: true}
	case "AWS::S3::Bucket":
		return otherType{nameProperty: "BucketName", service: "s3", arn: "%s", global: true}
	case "AWS::IAM::Role":
		return otherType{nameProperty: "RoleName", service: "iam", arn: "role/%s"}
	case "AWS::Logs::LogGroup":
		return otherType{nameProperty: "LogGroupName", service: "logs", arn: "log-group:%s:*"}
	case "AWS::StepFunctions::StateMachine", "AWS::Serverless::StateMachine":
		name := "StateMachineName"
		if typ == "AWS::Serverless::StateMachine" {
			name = "Name"
		}
		return otherType{nameProperty: name, service: "states", arn: "stateMachine:%s", refIsARN: true}
	case "AWS::SecretsManager::Secret":
		return otherType{nameProperty: "Name", service: "secretsmanager", arn: "secret:%s", refIsARN: true}
	case "AWS::SSM::Parameter":
		return otherType{nameProperty: "Name", service: "ssm", arn: "parameter/%s"}
	case "AWS::Events::EventBus":
		return otherType{nameProperty: "Name", service: "events", arn: "event-bus/%s"}
	case "AWS::Kinesis::Stream":
		return otherType{nameProperty: "Name", service: "kinesis", arn: "stream/%s"}
	case "AWS::Cognito::UserPool":
		return otherType{service: "cognito-idp", arn: "userpool/%s"}
	case typeLayer, samLayer:
		return otherType{nameProperty: "LayerName", service: "lambda", arn: "layer:%s:1", refIsARN: true}
	case "AWS::CertificateManager::Certificate":
		return otherType{service: "acm", arn: "certificate/%s", refIsARN: true}
	}
	service := "cloudformation"
	if parts := strings.Split(typ, "::"); len(parts) == 3 && parts[0] == "AWS" {
		service = strings.ToLower(parts[1])
	}
	return otherType{service: service, arn: "%s"}
}

// otherName returns a plausible value of Ref for a resource that does not run here.
func (t *template) otherName(r *resource) (string, *problem) {
	if r.typ == "AWS::Lambda::Alias" || r.typ == "AWS::Lambda::Version" {
		return t.qualifiedFunction(r)
	}
	name, p := t.otherPlainName(r)
	if p != nil {
		return "", p
	}
	of := otherTypeOf(r.typ)
	switch {
	case r.typ == "AWS::SQS::Queue":
		return fmt.Sprintf("https://sqs.%s.amazonaws.com/%s/%s", t.opts.Region, t.opts.AccountID, name), nil
	case r.typ == "AWS::Cognito::UserPool":
		return t.opts.Region + "_" + stableID(9, t.opts.StackName, r.logicalID), nil
	case r.typ == "AWS::ApiGateway::RestApi", r.typ == "AWS::Serverless::Api", r.typ == "AWS::Serverless::HttpApi":
		return stableID(10, t.opts.StackName, r.logicalID), nil
	case r.typ == "AWS::Cognito::UserPoolClient":
		return stableID(26, t.opts.StackName, r.logicalID), nil
	case of.refIsARN:
		return t.otherARN(of, name), nil
	}
	return name, nil
}

// qualifiedFunction returns the ARN of a version or an alias of a function.
func (t *template) qualifiedFunction(r *resource) (string, *problem) {
	name, p := t.requiredName(r, "FunctionName")
	if p != nil {
		return "", p
	}
	if !strings.HasPrefix(name, "arn:") {
		name = t.arn("lambda", "function:"+name)
	}
	if r.typ == "AWS::Lambda::Version" {
		return name + ":1", nil
	}
	alias, p := t.requiredName(r, "Name")
	return name + ":" + alias, p
}

// otherPlainName returns the name that the template gives to a resource, or a made one.
func (t *template) otherPlainName(r *resource) (string, *problem) {
	if key := otherTypeOf(r.typ).nameProperty; key != "" {
		value, p := t.property(r, key)
		if p != nil {
			return "", p
		}
		if text, ok := value.scalar(); ok {
			return text, nil
		}
	}
	name := t.defaultName(r, 63)
	if r.typ == "AWS::S3::Bucket" {
		name = strings.ToLower(name)
	}
	return name, nil
}

func (t *template) otherARN(of otherType, name string) string {
	rest := fmt.Sprintf(of.arn, strings.TrimPrefix(name, "/"))
	switch {
	case of.global:
		return "arn:aws:" + of.service + ":::" + rest
	case of.service == "iam":
		return "arn:aws:iam::" + t.opts.AccountID + ":" + rest
	default:
		return t.arn(of.service, rest)
	}
}

// otherAttribute returns a plausible value of Fn::GetAtt for a resource that does not run
// here.
func (t *template) otherAttribute(r *resource, attribute string) (string, *problem) {
	if r.typ == "AWS::Lambda::Version" && attribute == "Version" {
		return "1", nil
	}
	if strings.HasPrefix(r.typ, "AWS::Lambda::") && (strings.HasSuffix(attribute, "Arn") || attribute == "FunctionVersion") {
		return t.otherName(r)
	}
	name, p := t.otherPlainName(r)
	if p != nil {
		return "", p
	}
	of := otherTypeOf(r.typ)
	switch {
	case r.typ == "AWS::Cognito::UserPool":
		id, p := t.otherName(r)
		switch attribute {
		case "Arn":
			id = t.arn("cognito-idp", "userpool/"+id)
		case "ProviderName":
			id = "cognito-idp." + t.opts.Region + ".amazonaws.com/" + id
		case "ProviderURL":
			id = "https://cognito-idp." + t.opts.Region + ".amazonaws.com/" + id
		}
		return id, p
	case attribute == "StreamArn":
		return t.otherARN(of, name) + "/stream/2020-01-01T00:00:00.000", nil
	case attribute == "Arn", strings.HasSuffix(attribute, "Arn"):
		return t.otherARN(of, name), nil
	case slices.Contains([]string{"QueueName", "TopicName", "TableName", "Name", "RoleName"}, attribute):
		return name, nil
	case attribute == "QueueUrl":
		return t.otherName(r)
	case r.typ == "AWS::S3::Bucket" && strings.HasSuffix(attribute, "DomainName"):
		return name + ".s3." + t.opts.Region + ".amazonaws.com", nil
	case r.typ == "AWS::SSM::Parameter" && attribute == "Value":
		return t.requiredName(r, "Value")
	}
	return t.defaultName(r, 63) + "-" + attribute, nil
}

// noteOthers tells once for each type what does not run here.
func (s *stacks) noteOthers() {
	byType := map[string][]*resource{}
	var types []string
	for _, t := range s.all {
		for _, logicalID := range t.order {
			r := t.resources[logicalID]
			nested := t.children[logicalID]
			if !r.active || r.implied || r.typ == typeFunction || t.isGateway(r) || nested != nil && nested.template != nil {
				continue
			}
			if byType[r.typ] == nil {
				types = append(types, r.typ)
			}
			byType[r.typ] = append(byType[r.typ], r)
		}
	}
	for _, typ := range types {
		var names []string
		for _, r := range byType[typ] {
			names = append(names, r.logicalID)
		}
		first := byType[typ][0]
		s.notef(NotRun, first.at, "", "%s (%s): %s", typ, listed(names), adviceFor(typ))
	}
}

// adviceFor says what to do about a type that does not run here.
func adviceFor(typ string) string {
	switch {
	case strings.HasPrefix(typ, "AWS::IAM::"), typ == "AWS::Lambda::Permission", strings.HasPrefix(typ, "AWS::Logs::"),
		typ == "AWS::CDK::Metadata", typ == "AWS::Lambda::Version", typ == "AWS::Lambda::Alias":
		return "not needed here"
	case typ == typeLayer, typ == samLayer:
		return "functions find its modules if its content is a folder"
	case strings.HasPrefix(typ, "AWS::DynamoDB::"), typ == "AWS::Serverless::SimpleTable":
		return "not run here: functions get the name; point them to a database with AWS_ENDPOINT_URL_DYNAMODB, which boto3 reads from 1.28 on"
	case strings.HasPrefix(typ, "AWS::SQS::"), strings.HasPrefix(typ, "AWS::SNS::"), strings.HasPrefix(typ, "AWS::S3::"):
		service := strings.ToUpper(strings.Split(typ, "::")[1])
		return "not run here: functions get the names; point them to a service with AWS_ENDPOINT_URL_" + service + ", which boto3 reads from 1.28 on"
	case typ == "AWS::Serverless::HttpApi", typ == "AWS::Serverless::Api", strings.HasPrefix(typ, "AWS::ApiGateway"):
		return "not run here: only WebSocket APIs are"
	case typ == "AWS::CloudFormation::Stack", typ == "AWS::Serverless::Application":
		return "not run here: its template is not on this machine. Give the path of the template"
	default:
		return "not run here; functions get plausible names"
	}
}
