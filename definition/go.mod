module example.com/gateway/definition

go 1.25

require (
	example.com/gateway v0.0.0
	github.com/goccy/go-yaml v1.19.2
	github.com/stretchr/testify v1.12.1
)

replace example.com/gateway => ../
