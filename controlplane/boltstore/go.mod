module example.com/gateway/controlplane/boltstore

go 1.25.0

require (
	example.com/gateway v0.0.0
	github.com/stretchr/testify v1.12.1
	go.etcd.io/bbolt v1.5.0
	golang.org/x/sys v0.45.0
)

replace example.com/gateway => ../../

require go.yaml.in/yaml/v3 v3.0.5 // indirect
