// Package docscheck checks the Markdown files of the repository: that their
// links lead somewhere, and that each rule under docs/fidelity names a test that
// exists. It has tests only.
package docscheck
