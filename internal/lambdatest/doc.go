// Package lambdatest tests package lambda with AWS's own types and runtime for Go. It is
// a module of its own, so that the module of the gateway does not depend on them.
package lambdatest
