package sigv4_test

import (
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"time"

	"example.com/gateway/sigv4"
)

// A request that botocore signed, and the same one for another path.
func ExampleVerifier() {
	v := &sigv4.Verifier{
		Service: "execute-api",
		Region:  "us-east-1",
		Keys: sigv4.StaticKeys(map[string]sigv4.Key{
			"AKIDEXAMPLE": {
				SecretAccessKey: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
				Caller:          sigv4.Caller{ARN: "arn:aws:iam::123456789012:user/backend"},
			},
		}),
		Now: func() time.Time { return time.Date(2026, 11, 21, 0, 28, 0, 0, time.UTC) }, // leave it nil
	}
	body := []byte("hello")
	send := func(target string) (sigv4.Signature, error) {
		r := httptest.NewRequest(http.MethodPost, target, nil)
		r.Host = "127.0.0.1:8767"
		r.Header.Set("X-Amz-Date", "20261121T002735Z")
		r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261121/us-east-1/execute-api/aws4_request, "+
			"SignedHeaders=host;x-amz-date, Signature=5bcd816e54c23172e9fd54e29285d5c275648cb5110baec616a276e087495993")
		return v.Verify(r, body)
	}

	signature, err := send("/prod/@connections/R0oXAdfD0kwCH6w%3D")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(signature.Caller.ARN)

	var refused *sigv4.Error
	if _, err = send("/prod/@connections/L0SM9cOFvHcCIhw%3D"); errors.As(err, &refused) {
		fmt.Println(refused.Code)
	}
	// Output:
	// arn:aws:iam::123456789012:user/backend
	// InvalidSignatureException
}
