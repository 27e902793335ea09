// Package threats holds the tests of docs/threat-model.md that are about the whole
// gateway: what a client gets at, what a log shows, what the code of an embedding
// program can break.
package threats
