// Package e2e uses examples/chat as its users do: with a browser, with wscat, with the AWS
// CLI and with boto3. It takes APIs and functions through their whole life with these and the
// AWS SDKs for Go and JavaScript. Backends in Python and Node.js change
// connections by the headers of their answers. It also puts a real nginx behind an HTTP integration, and opens
// WebSockets with what published signers make: aws4fetch, aws4 and Amplify. Clients that compress
// are Chromium, ws for Node.js and websockets for Python. It has only tests.
//
// If the client of a test is missing, the test is skipped with a note on how to install
// the client; with GATEWAY_E2E=1 in the environment, as `make e2e` sets it, the test fails.
// Terraform is different: its test runs where Terraform and its AWS provider are on the
// machine, and is skipped elsewhere, because CI cannot install them. It looks for the provider
// in the folders that Terraform knows, and in that of GATEWAY_TERRAFORM_MIRROR.
//
// Screenshots go to the folder that GATEWAY_ARTIFACTS names, else to a new temporary folder,
// whose path is in the log of the test.
package e2e
