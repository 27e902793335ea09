//go:build !race

package soak_test

const connections = 10000
