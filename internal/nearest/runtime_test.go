package nearest_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/gateway/internal/nearest"
)

func TestRuntime(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"nodejs20": "nodejs20.x", "node20": "nodejs20.x", "node20.x": "nodejs20.x", "nodejs-22": "nodejs22.x", "NodeJS18.x": "nodejs18.x", "nodejs20.1": "nodejs20.x",
		"python311": "python3.11", "python39": "python3.9", "python3.12.x": "python3.12", "Python3.9": "python3.9", "python-3.13": "python3.13", "python313": "python3.13",
		"nodejs": "", "nodejs20.x": "", "nodejs8.10": "", "python": "", "python3": "", "python3.12": "", "provided.al2023": "", "java21": "", "go1.x": "", "": "", "cobol": "",
	} {
		require.Equal(t, want, nearest.Runtime(name), name)
	}
}
