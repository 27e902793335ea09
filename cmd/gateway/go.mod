module example.com/gateway/cmd/gateway

go 1.25.0

require (
	example.com/gateway v0.0.0
	example.com/gateway/controlplane/boltstore v0.0.0
	example.com/gateway/definition v0.0.0
	example.com/gateway/jwtauthorizer v0.0.0
	github.com/coreos/go-systemd/v22 v22.7.0
	github.com/goccy/go-yaml v1.19.2
	github.com/rogpeppe/go-internal v1.16.0
	github.com/spf13/cobra v1.10.2
	github.com/spf13/pflag v1.0.10
	github.com/stretchr/testify v1.12.1
)

require (
	github.com/go-jose/go-jose/v4 v4.1.8 // indirect
	github.com/inconshreveable/mousetrap v1.1.0 // indirect
	github.com/santhosh-tekuri/jsonschema/v6 v6.0.3 // indirect
	github.com/tidwall/gjson v1.20.0 // indirect
	github.com/tidwall/match v1.1.1 // indirect
	github.com/tidwall/pretty v1.2.0 // indirect
	go.etcd.io/bbolt v1.5.0 // indirect
	go.yaml.in/yaml/v3 v3.0.5 // indirect
	golang.org/x/sys v0.45.0 // indirect
	golang.org/x/text v0.14.0 // indirect
	golang.org/x/time v0.14.0 // indirect
	golang.org/x/tools v0.36.0 // indirect
	nhooyr.io/websocket v1.8.17 // indirect
)

replace (
	example.com/gateway => ../../
	example.com/gateway/controlplane/boltstore => ../../controlplane/boltstore
	example.com/gateway/definition => ../../definition
	example.com/gateway/jwtauthorizer => ../../jwtauthorizer
)
