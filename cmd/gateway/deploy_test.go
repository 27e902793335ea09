package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/stretchr/testify/require"

	"example.com/gateway/cmd/gateway/internal/config"
)

// The configuration in the example for Kubernetes is valid, its probes and ports are those of
// the configuration, and a pod has time to stop.
func TestDeploy_Kubernetes(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("testdata/deploy/kubernetes.yaml")
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "gateway.yaml")
	var grace, sleep int
	ports := map[string]bool{}
	for part := range strings.SplitSeq(string(text), "\n---\n") {
		var object struct {
			Kind string
			Data map[string]string
			Spec struct {
				Template struct {
					Spec struct {
						TerminationGracePeriodSeconds int `yaml:"terminationGracePeriodSeconds"`
						Containers                    []struct {
							Ports []struct {
								ContainerPort string `yaml:"containerPort"`
							}
							Lifecycle struct {
								PreStop struct{ Sleep struct{ Seconds int } } `yaml:"preStop"`
							}
						}
					}
				}
			}
		}
		require.NoError(t, yaml.Unmarshal([]byte(part), &object))
		switch object.Kind {
		case "ConfigMap":
			require.NoError(t, os.WriteFile(file, []byte(object.Data["gateway.yaml"]), 0o600))
		case "Deployment":
			grace = object.Spec.Template.Spec.TerminationGracePeriodSeconds
			container := object.Spec.Template.Spec.Containers[0]
			sleep = container.Lifecycle.PreStop.Sleep.Seconds
			for _, p := range container.Ports {
				ports[":"+p.ContainerPort] = true
			}
		}
	}
	built, warnings, err := config.Load(file, config.Options{WithoutSecrets: true}, &config.Builder{})
	require.NoError(t, err)
	require.Empty(t, warnings)
	require.Equal(t, map[string]bool{built.Listen[0].Address: true, built.Health: true, built.Management.Listen.Address: true}, ports)
	require.Greater(t, grace, sleep+int((built.Shutdown.Delay+built.Shutdown.Timeout).Seconds()))
}
