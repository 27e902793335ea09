//go:build !linux && !darwin

package soak_test

// descriptorLimit is how many descriptors a process may have open: we cannot ask.
func descriptorLimit() int { return 4096 }
