// Package openapitest tests the description of @connections in docs/openapi.yaml with
// kin-openapi: whether it is valid, and whether it says what a gateway answers. It is a
// module of its own, so that the gateway does not depend on kin-openapi.
package openapitest
