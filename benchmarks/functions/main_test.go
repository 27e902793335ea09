package main

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/gateway/internal/testutil"
)

func TestMain(m *testing.M) { os.Exit(testutil.RunWithLeakCheck(m)) }

// Each contender answers each number of connections. The test does not check how fast. Without
// Node.js it is skipped, unless GATEWAY_E2E=1 asks for all tests with outside programs. The peer,
// with 280 MB of packages, may always be missing.
func TestRun_Quick(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("node"); err != nil {
		if os.Getenv("GATEWAY_E2E") == "1" {
			t.Fatal("node is not installed")
		}
		t.Skip("node is not installed")
	}
	for _, name := range []string{ours, peer} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := os.Stat("node_modules/serverless-offline"); err != nil && name == peer {
				t.Skip("serverless-offline is not installed: npm --prefix benchmarks/functions install")
			}
			o, err := parse([]string{"-quick", "-npm", ".", "-contenders", name, "-connections", "1,4"}, io.Discard)
			require.NoError(t, err)
			var out, progress bytes.Buffer
			require.NoError(t, o.run(t.Context(), &out, &progress), "%s", &progress)
			require.Contains(t, out.String(), "| | "+name+" | gateway is better by |\n|---|--:|--:|\n| ready, ms | ")
			for _, f := range o.names() {
				require.Contains(t, out.String(), "\n| "+f+" | ")
			}
			require.NotContains(t, out.String(), "–", "a figure is missing")
		})
	}
}

func TestParse_Refused(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"-connections", "1,x"}, {"-connections", "0"}, {"-nothing"}} {
		_, err := parse(args, io.Discard)
		require.Error(t, err, args)
	}
	o, err := parse([]string{"-contenders", "nobody"}, io.Discard)
	require.NoError(t, err)
	require.ErrorContains(t, o.run(t.Context(), io.Discard, io.Discard), `unknown contender "nobody"`)
	o, err = parse([]string{"-contenders", peer, "-npm", t.TempDir()}, io.Discard)
	require.NoError(t, err)
	require.ErrorContains(t, o.run(t.Context(), io.Discard, io.Discard), "serverless is not installed: npm --prefix")
}

func TestBetter(t *testing.T) {
	t.Parallel()
	all := []*contender{
		{name: ours, rounds: []figures{{ready: 10, perSecond(1): 300}, {ready: 10, perSecond(1): 100}, {ready: 20, perSecond(1): 100}}},
		{name: peer, rounds: []figures{{ready: 20, perSecond(1): 100}, {ready: 30, perSecond(1): 50}, {ready: 30, perSecond(1): 100}}},
	}
	require.Equal(t, "2.0×", better(perSecond(1), all), "the median of 3, 2 and 1")
	require.Equal(t, "2.0×", better(ready, all), "the median of 2, 3 and 1.5")
	require.Empty(t, better(processes, all))
	require.Empty(t, better(ready, all[:1]))
	slices.Reverse(all)
	require.Equal(t, "2.0×", better(perSecond(1), all), "the order does not matter")
	require.Empty(t, better(ready, all[:1]))
	require.Equal(t, []string{"–", "7", "7.25", "72.5", "725", "7,250"},
		[]string{figure(median(nil)), figure(7), figure(7.25), figure(72.5), figure(725.4), figure(7250)})
}
