// Package docscheck checks the Markdown files of the repository. It checks that their
// links have a target, that each row under docs/fidelity names a test that exists,
// and that the indexes there and under docs/adr are right. It has only tests.
package docscheck
