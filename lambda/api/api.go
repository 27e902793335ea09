// Package api answers the part of the Lambda API (version 2015-03-31 and the later ones)
// that makes functions from zip files. Terraform, SDKs and the AWS CLI create functions
// here before an API names them, and call them:
//
//	functions, err := api.New(api.Config{Store: store, Dir: "state/functions"})
//	if err != nil { … }
//	defer functions.Close()
//	apis, err := controlplane.New(controlplane.Config{Functions: functions})
//	…
//	http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
//		if api.Owns(r) {
//			functions.ServeHTTP(w, r)
//			return
//		}
//		apis.ServeHTTP(w, r)
//	})
//
// The code of a function is unpacked below Config.Dir and runs as package
// [example.com/gateway/lambda/process] runs it: as processes of this machine, with the
// rights of this program.
//
// The server is closed by default. It answers callers of the same machine only, unless
// [Config].Auth decides who may call; never a request whose Host header is none of its
// names, as after DNS rebinding; and never a request from a page of another origin.
package api

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"regexp"
	"strings"

	"example.com/gateway"
	"example.com/gateway/controlplane"
)

// Config says how a [Server] answers, and how it runs functions. The zero value keeps
// everything until Close. Functions, versions and aliases together are at most 50,000.
type Config struct {
	// Store keeps the documents, under keys that begin with "functions/". It may be that
	// of a controlplane.Server. nil means in memory. The Server does not close it.
	Store controlplane.Store
	// Dir is the folder for the code of the functions. It needs a Store that lasts as long:
	// code that no function of the Store has is removed from Dir. It belongs to this Server
	// alone, and nothing checks that: never give it to two programs at a time. "" means a
	// folder of its own, which Close removes.
	Dir string
	// CodeBytes is how many bytes of the disk the code of all functions may need, as zip
	// files and unpacked together. 0 means 75 GB. (Lambda: "Lambda quotas".)
	CodeBytes int64
	// Region and AccountID are those of ARNs. "" means us-east-1 and 123456789012.
	Region, AccountID string
	// Hosts are names that the Host header of a request may have, without a port, in
	// addition to those of this machine: localhost and loopback addresses.
	Hosts []string
	// Env has variables of the environment of all functions, as NAME=value. Those of a
	// function itself replace them, and Overrides replace both.
	Env, Overrides []string
	// PassEnv names variables of this program's environment that functions get, too.
	// Without it they are only PATH, HOME, LANG and TMPDIR.
	PassEnv []string
	// Concurrency is how many processes of one function may run at a time. 0 means 8. The
	// reserved concurrency of a function may lower it.
	Concurrency int
	// Auth decides who may call. A *sigv4.Verifier whose Service is "lambda" checks the
	// signatures of SDKs. The Action of a call is "lambda:" and the operation's name, as in
	// IAM policies: "lambda:CreateFunction". If it has the method
	// CheckHeaders(*http.Request) error, as a Verifier does, that is asked before the body
	// of a call is read: without it, strangers can keep others from uploading. nil means
	// that callers on this machine may call it, and nobody else.
	Auth gateway.ManagementAuth
	// Others are functions that the program has besides those of this Server, such as those
	// of a template. nil means none.
	Others Others
	// Logger gets warnings, what goes wrong, and the output of the functions. nil means no
	// log.
	Logger *slog.Logger
}

// region is how the names of regions look.
var region = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)

// check returns what is wrong with c.
func (c *Config) check() error {
	switch {
	case c.Concurrency < 0:
		return fmt.Errorf("lambda/api: Config.Concurrency %d is negative", c.Concurrency)
	case c.CodeBytes < 0:
		return fmt.Errorf("lambda/api: Config.CodeBytes %d is negative", c.CodeBytes)
	case c.Dir != "" && c.Store == nil:
		return errors.New("lambda/api: Config.Dir is set without Config.Store: the code would outlive its functions, and the next New would remove it; set both, or neither")
	case c.Region != "" && !region.MatchString(c.Region):
		return fmt.Errorf("lambda/api: Config.Region %q is no name of a region, such as us-east-1", c.Region)
	case c.AccountID != "" && !anAccount.MatchString(c.AccountID):
		return fmt.Errorf("lambda/api: Config.AccountID %q does not have 12 digits", c.AccountID)
	}
	for member, variables := range map[string][]string{"Env": c.Env, "Overrides": c.Overrides} {
		for _, v := range variables {
			if name, _, ok := strings.Cut(v, "="); !ok || name == "" || strings.ContainsRune(v, 0) {
				return fmt.Errorf("lambda/api: Config.%s has a variable that is not NAME=value: %q", member, name)
			}
		}
	}
	return nil
}

// Owns reports whether the path of a request is one of the Lambda API: its first segment is
// the date of a version, such as /2015-03-31/functions.
func Owns(r *http.Request) bool {
	first, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	if len(first) != len("2015-03-31") {
		return false
	}
	for n := range len(first) {
		isDigit := first[n] >= '0' && first[n] <= '9'
		if isDash := n == 4 || n == 7; isDash && first[n] != '-' || !isDash && !isDigit {
			return false
		}
	}
	return true
}
