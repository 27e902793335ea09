// Package lambdatest holds tests of package lambda against AWS's own types and
// runtime for Go, in a module of its own: the gateway's does not need them.
package lambdatest
