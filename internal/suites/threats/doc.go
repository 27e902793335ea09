// Package threats has the tests of docs/threat-model.md that concern the whole
// gateway: what a client can reach, what a log shows, and what the code of an
// embedding program can break.
package threats
