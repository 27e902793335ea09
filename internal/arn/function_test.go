package arn_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/gateway/internal/arn"
)

func TestParseFunction(t *testing.T) {
	t.Parallel()
	const full = "arn:aws:lambda:eu-west-1:123456789012:function:chat"
	const uri = "arn:aws:apigateway:eu-west-1:lambda:path/2015-03-31/functions/"
	for text, want := range map[string]arn.Function{
		"chat":                                 {Name: "chat"},
		"chat:live":                            {Name: "chat", Qualifier: "live"},
		"chat:$LATEST":                         {Name: "chat", Qualifier: "$LATEST"},
		"123456789012:function:chat":           {AccountID: "123456789012", Name: "chat"},
		"function:chat":                        {Name: "chat"},
		"function:chat:live":                   {Name: "chat", Qualifier: "live"},
		"function":                             {Name: "function"},
		"chat:function":                        {Name: "chat", Qualifier: "function"},
		"function:function":                    {Name: "function"},
		"eu-west-1:123456789012:function:chat": {Region: "eu-west-1", AccountID: "123456789012", Name: "chat"},
		"eu-west-1:123456789012:function:chat:live": {Region: "eu-west-1", AccountID: "123456789012", Name: "chat", Qualifier: "live"},
		full:                        {Partition: "aws", Region: "eu-west-1", AccountID: "123456789012", Name: "chat"},
		full + ":7":                 {Partition: "aws", Region: "eu-west-1", AccountID: "123456789012", Name: "chat", Qualifier: "7"},
		uri + full + "/invocations": {Partition: "aws", Region: "eu-west-1", AccountID: "123456789012", Name: "chat", Identifier: full},
		uri + full + ":live/invocations": {
			Partition: "aws", Region: "eu-west-1", AccountID: "123456789012", Name: "chat", Qualifier: "live", Identifier: full + ":live",
		},
	} {
		t.Run(text, func(t *testing.T) {
			t.Parallel()
			if want.Identifier == "" {
				want.Identifier = text
			}
			got, ok := arn.ParseFunction(text)
			require.True(t, ok)
			require.Equal(t, want, got)
		})
	}
	for _, text := range []string{
		"", ":", "chat:", "..", "a b", "chat/live", "arn:aws:lambda", "arn:aws:sqs:eu-west-1:123456789012:function:chat",
		"123456789012:layer:chat", "a:b:c:function:chat", "eu-west-1:123456789012:function:chat:a:b", "arn:aws:lambda:function:chat:live:x", full + ":a:b", uri + full, "arn:aws:apigateway:eu-west-1:sqs:path/123456789012/queue",
	} {
		t.Run("not "+text, func(t *testing.T) {
			t.Parallel()
			got, ok := arn.ParseFunction(text)
			require.False(t, ok)
			require.Zero(t, got)
		})
	}
}

func TestExpand(t *testing.T) {
	t.Parallel()
	variables := map[string]string{"alias": "live", "name": "chat"}
	for text, want := range map[string]string{
		"": "", "chat": "chat",
		"chat:${stageVariables.alias}":                    "chat:live",
		"${stageVariables.name}:${stageVariables.alias}x": "chat:livex",
		"chat${stageVariables.gone}":                      "chat",
		"chat${stageVariables.":                           "chat${stageVariables.",
		"${stageVariable.name}":                           "${stageVariable.name}",
	} {
		require.Equal(t, want, arn.Expand(text, variables), text)
		require.Equal(t, want != text, arn.HasVariables(text), text)
	}
}

func FuzzParseFunction(f *testing.F) {
	f.Add("arn:aws:apigateway:eu-west-1:lambda:path/2015-03-31/functions/arn:aws:lambda:eu-west-1:1:function:chat:live/invocations")
	f.Add("chat:$LATEST")
	f.Fuzz(func(t *testing.T, text string) {
		got, ok := arn.ParseFunction(text)
		if !ok {
			require.Zero(t, got)
			return
		}
		require.NotEmpty(t, got.Name)
		require.Contains(t, text, got.Identifier)
		require.False(t, strings.ContainsAny(got.Name+got.Qualifier, "/:? \n"))
		again, ok := arn.ParseFunction(got.Identifier)
		require.True(t, ok)
		require.Equal(t, got, again)
	})
}
