package dev

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"net/netip"
	"os"

	"example.com/gateway"
	"example.com/gateway/iam"
	"example.com/gateway/sigv4"
)

// The variables that have the key pair of callers. They are not those of the SDKs, so that
// keys of a real account never come here by mistake.
const (
	keyIDVariable  = "GATEWAY_ACCESS_KEY_ID"
	secretVariable = "GATEWAY_SECRET_ACCESS_KEY"
)

// pair is an access key.
type pair struct{ id, secret string }

// keys are the two key pairs that sign requests: that of the user, and that of functions. A
// function never sees the one of the user.
type keys struct {
	user, functions pair
	generated       bool // the user has to be told
}

// newKeys reads the key pair of the user, or makes one. If no signature is checked, both pairs
// are the usual one of local services, so that a local database sees one caller.
func newKeys(verify bool) (keys, error) {
	local := pair{"test", "test"}
	if !verify {
		return keys{user: local, functions: local}, nil
	}
	k := keys{user: pair{os.Getenv(keyIDVariable), os.Getenv(secretVariable)}, functions: pair{"functions", newSecret()}}
	switch {
	case k.user.id == "" && k.user.secret == "":
		k.user, k.generated = pair{"developer", newSecret()}, true
	case k.user.id == "" || k.user.secret == "":
		return k, usage("set both %s and %s, or none", keyIDVariable, secretVariable)
	case k.user.id == k.functions.id:
		return k, usage("%s is %q, which is the key of the functions: choose another one", keyIDVariable, k.user.id)
	}
	return k, nil
}

func newSecret() string {
	var b [30]byte
	_, _ = rand.Read(b[:]) // never fails
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// verifier checks signatures for a service.
func (k keys) verifier(service string) *sigv4.Verifier {
	all := map[string]sigv4.Key{}
	for _, p := range []pair{k.user, k.functions} {
		all[p.id] = sigv4.Key{SecretAccessKey: p.secret, Caller: sigv4.Caller{
			AccountID: "123456789012", PrincipalID: p.id, ARN: "arn:aws:iam::123456789012:user/" + p.id,
		}}
	}
	return &sigv4.Verifier{Service: service, Region: sigv4.AnyRegion, Keys: sigv4.StaticKeys(all)}
}

// control decides who may call the REST API. nil lets the callers of this machine.
func (k keys) control(verify bool) gateway.ManagementAuth {
	if !verify {
		return nil
	}
	return k.verifier("apigateway")
}

// lambda decides who may call the Lambda API, as control does for the REST API.
func (k keys) lambda(verify bool) gateway.ManagementAuth {
	if !verify {
		return nil
	}
	return k.verifier("lambda")
}

// access decides who may call @connections, and who may connect to a route with the
// authorization type AWS_IAM: whoever has one of the keys.
func (k keys) access(verify bool) gateway.ManagementAuth {
	auth := &iam.Auth{
		Verifier: k.verifier("execute-api"),
		Policy:   func(context.Context, iam.Access) (iam.Decision, error) { return iam.Allow, nil },
	}
	if verify {
		return auth
	}
	return unsigned{auth}
}

// unsigned lets the callers of this machine call @connections without a signature.
type unsigned struct{ *iam.Auth }

// AuthorizeManagement implements [gateway.ManagementAuth].
func (unsigned) AuthorizeManagement(_ context.Context, call *gateway.ManagementCall) error {
	from, err := netip.ParseAddrPort(call.Request.RemoteAddr)
	if err != nil || !from.Addr().Unmap().IsLoopback() {
		return fmt.Errorf("%w: the call comes from another machine: sign it, and start with --verify-signatures", gateway.ErrForbidden)
	}
	return nil
}
