package main

import (
	"path/filepath"
	"testing"

	"example.com/gateway/controlplane/boltstore"
)

func TestKeep(t *testing.T) {
	file := filepath.Join(t.TempDir(), "gateway.db")
	if err := keep(file, "apis/a", "kept"); err != nil {
		t.Fatal(err)
	}
	store, err := boltstore.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	if err := store.View(func(r boltstore.Reader) error {
		if got, err := r.Get("apis/a"); err != nil || string(got) != "kept" {
			t.Errorf("got %q, %v", got, err)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}
