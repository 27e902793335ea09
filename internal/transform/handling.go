package transform

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"example.com/gateway/internal/jsonpath"
)

// handling converts a payload between bytes and their base64 text.
type handling string

const (
	convertToBinary handling = "CONVERT_TO_BINARY"
	convertToText   handling = "CONVERT_TO_TEXT"
)

func (h handling) check() error {
	switch h {
	case "", convertToBinary, convertToText:
		return nil
	}
	return fmt.Errorf("ContentHandling %q: want CONVERT_TO_BINARY or CONVERT_TO_TEXT", string(h))
}

func (h handling) convert(payload []byte) ([]byte, error) {
	switch h {
	case convertToText:
		return base64.StdEncoding.AppendEncode(nil, payload), nil
	case convertToBinary:
		decoded, err := base64.StdEncoding.AppendDecode(nil, payload)
		if err != nil {
			return nil, &Error{http.StatusInternalServerError, fmt.Errorf("content handling: %w", err)}
		}
		return decoded, nil
	}
	return payload, nil
}

// MockStatus takes the status code of a mock integration out of what its request
// template made.
func MockStatus(payload []byte) (int, error) {
	path, err := jsonpath.Compile("statusCode")
	if err != nil {
		return 0, err
	}
	var value jsonpath.Value
	if jsonpath.Valid(payload) {
		value = path.Lookup(payload)
	}
	status, err := strconv.Atoi(string(value.AppendString(nil)))
	if err != nil || value.Kind != jsonpath.Number || status < 100 || status > 599 {
		return 0, &Error{http.StatusInternalServerError, errors.New(`the mock's request template gives no statusCode that is a number from 100 to 599: write {"statusCode": 200}`)}
	}
	return status, nil
}
