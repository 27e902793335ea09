package iam_test

import (
	"fmt"
	"log"

	"example.com/gateway"
	"example.com/gateway/iam"
	"example.com/gateway/sigv4"
)

// One access key may write to connections of stage prod, and nothing else.
func ExampleAuth() {
	policy, err := iam.ParsePolicy([]byte(`{
		"Version": "2012-10-17",
		"Statement": [{
			"Effect": "Allow", "Action": "execute-api:ManageConnections",
			"Resource": "arn:aws:execute-api:us-east-1:*:a1b2c3d4e5/prod/POST/@connections/*"
		}]
	}`))
	if err != nil {
		log.Fatal(err)
	}
	auth := &iam.Auth{
		Verifier: &sigv4.Verifier{
			Service: "execute-api", Region: "us-east-1",
			Keys: sigv4.StaticKeys(map[string]sigv4.Key{"AKIDEXAMPLE": {
				SecretAccessKey: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
				Caller:          sigv4.Caller{AccountID: "111122223333", ARN: "arn:aws:iam::111122223333:user/ann"},
			}}),
		},
		Policy: iam.ByAccessKey(map[string]*iam.PolicyDocument{"AKIDEXAMPLE": policy}),
		APIID:  "a1b2c3d4e5",
	}
	gw, err := gateway.New(gateway.WithAPI("a1b2c3d4e5", ""), gateway.WithManagementAuth(auth))
	if err != nil {
		log.Fatal(err)
	}
	defer gw.Close()
	const resource = "arn:aws:execute-api:us-east-1:111122223333:a1b2c3d4e5/prod/"
	fmt.Println(policy.Decide(iam.ManageConnections, resource+"POST/@connections/{connectionId}") == iam.Allow)
	fmt.Println(policy.Decide(iam.ManageConnections, resource+"DELETE/@connections/{connectionId}") == iam.Allow)
	// Output:
	// true
	// false
}
