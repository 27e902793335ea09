package process

import _ "embed" // for the bootstraps

// The programs that run a handler. They are given to the interpreter on its standard
// input, so nothing is written to a disk.
var (
	//go:embed bootstrap/bootstrap.mjs
	nodeBootstrap []byte
	//go:embed bootstrap/bootstrap.py
	pythonBootstrap []byte
)
