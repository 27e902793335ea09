module example.com/gateway/definition

go 1.25

require (
	example.com/gateway v0.0.0
	github.com/goccy/go-yaml v1.19.2
	github.com/stretchr/testify v1.12.1
)

require go.yaml.in/yaml/v3 v3.0.5 // indirect

replace example.com/gateway => ../
