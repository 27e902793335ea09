// Package readme holds the snippets of the README, so that they are compiled and
// run. A test of internal/docscheck compares the README with these files.
package readme
