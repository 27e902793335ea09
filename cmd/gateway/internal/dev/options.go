package dev

import (
	"net/netip"
	"regexp"

	"example.com/gateway"
)

var (
	regionName  = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)
	accountName = regexp.MustCompile(`^[0-9]{12}$`)
	hostName    = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?)*\.?$`)
)

// check finds mistakes in the options before anything is made.
func (o *Options) check() error {
	for flag, port := range map[string]int{"--port": o.Port, "--tls-port": o.TLSPort} {
		if port < 0 || port > 65535 {
			return usage("%s is %d: write a number from 0 to 65535", flag, port)
		}
	}
	for _, host := range o.Hosts {
		if _, err := netip.ParseAddr(host); err != nil && !hostName.MatchString(host) {
			return usage("--host is %q: write a name without a scheme and a port, such as devbox.local", host)
		}
	}
	if _, err := listenAddresses(o.Listen); err != nil {
		return err
	}
	return o.checkNames()
}

// checkNames checks the names that stand in ARNs.
func (o *Options) checkNames() error {
	switch {
	case o.Region != "" && !regionName.MatchString(o.Region):
		return usage("--region is %q: write the name of a region, such as us-east-1", o.Region)
	case o.AccountID != "" && !accountName.MatchString(o.AccountID):
		return usage("--account-id is %q: write the 12 digits of an account, such as 123456789012", o.AccountID)
	}
	return nil
}

// extensions returns the options of what the service does not have.
func (o *Options) extensions() ([]gateway.Option, error) {
	var options []gateway.Option
	for _, e := range []struct {
		on     bool
		option gateway.Option
	}{
		{o.AnswerCommands, gateway.WithAnswerCommands()},
		{o.ManagementExtensions, gateway.WithManagementExtensions()},
		{o.BinaryMessages, gateway.WithBinaryMessages()},
		{o.Compression, gateway.WithCompression(gateway.Compression{})},
	} {
		if e.on {
			options = append(options, e.option)
		}
	}
	for text, answer := range o.AutoResponses {
		option := gateway.WithAutoResponse(text, answer)
		if _, err := gateway.New(option); err != nil {
			return nil, usage("--auto-response: %w", err)
		}
		options = append(options, option)
	}
	return options, nil
}
