package event

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
)

// Members of [Event].Authorizer that the service writes itself.
const (
	PrincipalID        = "principalId"
	IntegrationLatency = "integrationLatency"
)

// AuthorizerContext returns what [Event].Authorizer has of an authorizer's result, without
// the latency: the values of its context as text, and its principal ID, unless that is
// "". A nil value is left out. It refuses a value that is neither a string, a number nor
// a boolean, and the names of the members that the service writes itself.
func AuthorizerContext(principalID string, context map[string]any) (map[string]any, error) {
	texts := make(map[string]any, len(context)+1)
	for name, value := range context {
		text, ok := authorizerText(value)
		switch {
		case name == PrincipalID || name == IntegrationLatency:
			return nil, fmt.Errorf("the context must not have %q, which the gateway writes: say who the client is in PrincipalID", name)
		case ok:
			texts[name] = text
		case value != nil:
			return nil, fmt.Errorf("context value %q is a %T, want a string, a number or a boolean", name, value)
		}
	}
	if principalID != "" {
		texts[PrincipalID] = principalID
	}
	return texts, nil
}

// authorizerText writes a context value as the service does.
func authorizerText(value any) (text string, ok bool) {
	if number, ok := value.(json.Number); ok {
		return number.String(), true
	}
	switch v := reflect.ValueOf(value); v.Kind() {
	case reflect.String:
		return v.String(), true
	case reflect.Bool:
		return strconv.FormatBool(v.Bool()), true
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return strconv.FormatInt(v.Int(), 10), true
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		return strconv.FormatUint(v.Uint(), 10), true
	case reflect.Float32:
		return strconv.FormatFloat(v.Float(), 'f', -1, 32), true
	case reflect.Float64:
		return strconv.FormatFloat(v.Float(), 'f', -1, 64), true
	default:
		return "", false
	}
}
