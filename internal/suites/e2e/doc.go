// Package e2e drives examples/chat as its users do: with a browser, with wscat,
// with the AWS CLI and with boto3; puts a real nginx behind an HTTP integration; and
// opens WebSockets with what published signers make: aws4fetch, aws4 and Amplify. It
// holds nothing but tests.
//
// A test whose client is missing is skipped with a note on how to install it;
// with GATEWAY_E2E=1 in the environment it fails instead. `make e2e` does that.
// Screenshots go to the folder that GATEWAY_ARTIFACTS names, else to a new
// temporary one; its path is in the log of the test.
package e2e
