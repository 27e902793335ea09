package apicall

import "fmt"

// Apply returns the settings that the options of a call make. invalid is the error for an
// option that is nil.
func Apply[T any, O ~func(*T)](opts []O, invalid error) (settings T, err error) {
	for n, o := range opts {
		if o == nil {
			return settings, fmt.Errorf("%w: option %d is nil: leave it out", invalid, n)
		}
		o(&settings)
	}
	return settings, nil
}
