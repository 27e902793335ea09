// Package definition reads the files in which people describe their WebSocket APIs and
// functions: templates of CloudFormation and SAM, the output of "cdk synth" and "sls package",
// and serverless.yml.
//
// [Load] evaluates parameters, conditions and functions such as Ref and Fn::Sub, and expands the
// resources of SAM and the events of Serverless, as these tools do. The [Definition] has the
// APIs as documents of the REST API of API Gateway, and the functions with the folders of their
// code. [Definition.Calls] gives the create calls in their order.
//
// Nothing is called and nothing is run. What has no part in a WebSocket API, such as a table,
// is noted once, and gets a plausible name and ARN, so that environments are complete.
//
// All messages have the file, the line, the logical ID and what to do. See the page
// docs/definitions.md for what is supported.
package definition
