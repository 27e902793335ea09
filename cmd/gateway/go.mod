module example.com/gateway/cmd/gateway

go 1.25.0

require (
	example.com/gateway v0.0.0
	example.com/gateway/jwtauthorizer v0.0.0
	github.com/coreos/go-systemd/v22 v22.7.0
	github.com/goccy/go-yaml v1.19.2
	github.com/rogpeppe/go-internal v1.16.0
	github.com/spf13/cobra v1.10.2
	github.com/stretchr/testify v1.12.1
)

replace (
	example.com/gateway => ../../
	example.com/gateway/jwtauthorizer => ../../jwtauthorizer
)
