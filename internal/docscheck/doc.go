// Package docscheck checks the Markdown files of the repository: that their links
// lead somewhere, that each row under docs/fidelity names a test that exists, and
// that the indexes there and under docs/adr are true. It has tests only.
package docscheck
