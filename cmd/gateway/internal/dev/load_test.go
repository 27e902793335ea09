package dev

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/gateway/controlplane/boltstore"
	"example.com/gateway/definition"
)

// A value that a file does not have is asked for with the flag that gives it.
func TestFileError_namesTheFlag(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"Parameters: {Table: {Type: String}}\nResources: {}\n":                                                                "Table: the parameter has no default: give it a value with --parameter Table=…",
		"service: x\nprovider: {name: aws}\nfunctions: {f: {handler: a.b, environment: {X: '${env:GATEWAY_NO_SUCH}'}}}\n":     "the variable ${env:GATEWAY_NO_SUCH} has no value: start with GATEWAY_NO_SUCH=… gateway dev, or a default as in ${env:GATEWAY_NO_SUCH, 'value'}",
		"service: x\nprovider: {name: aws}\nfunctions: {f: {handler: a.b, environment: {X: '${opt:place}'}}}\n":               "the variable ${opt:place} has no value: give one with --option place=…, or a default as in ${opt:place, 'value'}",
		"service: x\nprovider: {name: aws}\nfunctions: {f: {handler: a.b, environment: {X: '${self:custom.no-such-one}'}}}\n": "the variable ${self:custom.no-such-one} has no value: give one, or a default as in ${self:custom.no-such-one, 'value'}",
	} {
		name := "serverless.yml"
		if text[0] == 'P' {
			name = "template.yaml"
		}
		file := filepath.Join(t.TempDir(), name)
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
		_, err := Check(t.Context(), Options{File: file}, os.Stderr)
		require.ErrorContains(t, err, want)
	}
}

// What is wrong with the machine is no mistake of the file. A refusal of the service is, and has
// the place.
func TestNotApplied(t *testing.T) {
	t.Parallel()
	for _, err := range []error{
		fmt.Errorf("boltstore: %w", syscall.ENOSPC), &os.PathError{Op: "write", Path: "gateway.db", Err: os.ErrPermission}, context.Canceled, boltstore.ErrCorrupt,
	} {
		require.Equal(t, err, notApplied(&definition.Definition{}, "template.yaml", err))
	}
	d := &definition.Definition{APIs: []definition.API{{Document: definition.Document{LogicalID: "Chat", File: "x/template.yaml", Line: 7}}}}
	err := notApplied(d, "template.yaml", errors.New("controlplane: Chat: BadRequestException: no \x1b[2J"))
	require.ErrorAs(t, err, new(*FileError))
	require.EqualError(t, err, "x/template.yaml:7: Chat: BadRequestException: no ·[2J")
}
