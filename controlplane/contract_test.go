package controlplane_test

import (
	"testing"

	"example.com/gateway/controlplane"
	"example.com/gateway/controlplane/storetest"
)

func TestMemory_Contract(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(*testing.T) storetest.Store { return controlplane.NewMemory() })
}
