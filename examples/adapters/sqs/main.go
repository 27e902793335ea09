// Command sqs hands every message of the clients of a WebSocket API to a queue of Amazon SQS,
// or of a server that speaks its protocol. Whoever reads the queue answers with
// @connections.
//
//	go run ./sqs -queue https://sqs.eu-central-1.amazonaws.com/123456789012/orders
package main

import (
	"context"
	"flag"
	"log"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"example.com/gateway"
)

func main() {
	addr := flag.String("addr", "localhost:8080", "address to listen on")
	queue := flag.String("queue", "", "URL of the queue")
	flag.Parse()
	if err := run(context.Background(), *addr, *queue); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, addr, queueURL string) error {
	cfg, err := config.LoadDefaultConfig(ctx) // region, keys and endpoint as in every AWS program
	if err != nil {
		return err
	}
	gw, err := gateway.New()
	if err != nil {
		return err
	}
	defer gw.Close()
	gw.Handle(gateway.RouteKeyDefault, send(sqs.NewFromConfig(cfg), queueURL))
	mux := http.NewServeMux()
	mux.Handle("/prod", gw.Handler())
	server := &http.Server{Addr: addr, Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	log.Printf("ws://%s/prod", addr)
	return server.ListenAndServe()
}

// send hands a message to the queue. For a FIFO queue, set also MessageGroupId to the
// connection ID, for the order of each connection, and MessageDeduplicationId to the
// request ID.
func send(client *sqs.Client, queueURL string) gateway.PublishIntegration {
	text := func(value string) types.MessageAttributeValue {
		return types.MessageAttributeValue{DataType: aws.String("String"), StringValue: aws.String(value)}
	}
	return func(ctx context.Context, req *gateway.Request) error {
		_, err := client.SendMessage(ctx, &sqs.SendMessageInput{
			QueueUrl:    aws.String(queueURL),
			MessageBody: aws.String(string(req.Body)),
			MessageAttributes: map[string]types.MessageAttributeValue{
				"connectionId": text(req.ConnectionID), "requestId": text(req.RequestID), "routeKey": text(req.RouteKey),
			},
		})
		return err
	}
}
