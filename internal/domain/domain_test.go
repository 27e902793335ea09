package domain_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/gateway/internal/domain"
)

func TestName(t *testing.T) {
	t.Parallel()
	require.Empty(t, domain.Name(t.Context()))
	require.Equal(t, "chat.example.com", domain.Name(domain.NewContext(t.Context(), "chat.example.com")))
}
