// Command program prints the calls that make the APIs of a template.
package main

import (
	"fmt"
	"log"
	"os"

	"example.com/gateway/definition"
)

func calls(path string) ([]definition.Call, error) {
	d, err := definition.Load(path, definition.Options{})
	if err != nil {
		return nil, err
	}
	return d.Calls(), nil
}

func main() {
	all, err := calls(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	for _, call := range all {
		fmt.Println(call.Path)
	}
}
