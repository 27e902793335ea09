//go:build linux || darwin

package process_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"example.com/gateway"
	"example.com/gateway/lambda"
	"example.com/gateway/lambda/process"
)

// A handler in Node.js, as it is written for AWS, answers a message. The example needs
// Node.js: TestExampleNew runs it.
func ExampleNew() {
	answer, err := greet()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(answer) // 200 hello, R1kmxc2VNjMCFIA=
}

func greet() (string, error) {
	dir, err := os.MkdirTemp("", "greet")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	source := "export const handler = async (event) => ({ statusCode: 200, body: `hello, ${event.requestContext.connectionId}` });\n"
	if err := os.WriteFile(filepath.Join(dir, "index.mjs"), []byte(source), 0o600); err != nil {
		return "", err
	}

	greet, err := process.New(process.Config{Name: "greet", Dir: dir, Handler: "index.handler", Runtime: "nodejs20.x"})
	if err != nil {
		return "", err
	}
	defer greet.Close()
	// gw.Handle("greet", lambda.NewIntegration(greet), gateway.WithRouteResponse())
	message := &gateway.Request{RouteKey: "greet", EventType: gateway.EventMessage, ConnectionID: "R1kmxc2VNjMCFIA="}
	resp, err := lambda.NewIntegration(greet).Invoke(context.Background(), message)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%d %s", resp.StatusCode, resp.Body), nil
}
