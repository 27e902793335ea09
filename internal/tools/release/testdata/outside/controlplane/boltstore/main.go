// Command program keeps a value in a file.
package main

import (
	"log"

	"example.com/gateway/controlplane/boltstore"
)

func keep(file, key, value string) error {
	store, err := boltstore.Open(file)
	if err != nil {
		return err
	}
	if err := store.Update(func(w boltstore.Writer) error { return w.Put(key, []byte(value)) }); err != nil {
		return err
	}
	return store.Close()
}

func main() {
	if err := keep("gateway.db", "apis/a", `{"name":"chat"}`); err != nil {
		log.Fatal(err)
	}
}
