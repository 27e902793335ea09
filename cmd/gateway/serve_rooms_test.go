package main

import (
	"bufio"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway/internal/wsconn"
)

// python3 returns the interpreter for an example in Python.
func python3(t *testing.T) string {
	t.Helper()
	python, err := exec.LookPath("python3")
	if err != nil {
		if os.Getenv("GATEWAY_E2E") == "1" {
			t.Fatal("python3 is not installed, but GATEWAY_E2E is 1")
		}
		t.Skip("the example is written in Python, and there is no python3")
	}
	return python
}

// The rooms of docs/extensions.md: an HTTP backend that makes no call, with users and with
// $join and $leave.
func TestServe_Rooms(t *testing.T) {
	const secret = "a secret of at least thirty-two bytes"
	dir := filepath.Join("testdata", "examples", "httprooms")
	backend := exec.CommandContext(t.Context(), python3(t), filepath.Join(dir, "rooms.py"), "0")
	output, err := backend.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, backend.Start())
	t.Cleanup(func() {
		_ = backend.Process.Kill()
		_ = backend.Wait()
	})
	line, err := bufio.NewReader(output).ReadString('\n')
	require.NoError(t, err)
	var port int
	_, err = fmt.Sscanf(line, "listening on %d", &port)
	require.NoError(t, err, line)

	text, err := os.ReadFile(filepath.Join(dir, "gateway.yaml"))
	require.NoError(t, err)
	t.Setenv("TOKEN_SECRET", secret)
	p := serve(t, strings.NewReplacer("127.0.0.1:9000", fmt.Sprint("127.0.0.1:", port), "address: 127.0.0.1:8080", "address: 127.0.0.1:0").Replace(string(text)))
	url := "ws://" + p.address("clients", 1) + "/prod?token="
	ann := dial(t, url+token(secret, "ann"), wsconn.DialOptions{})
	require.Equal(t, "welcome", ann.receive())
	bob := dial(t, url+token(secret, "bob"), wsconn.DialOptions{})
	require.Equal(t, "welcome", bob.receive())
	require.Equal(t, "bob is here", ann.receive())
	ann.send("hello")
	require.Equal(t, "ann: hello", bob.receive())
	require.Equal(t, "ann: hello", ann.receive())
	bob.c.CloseNow()
	require.Equal(t, "bob has left", ann.receive())
}

// token is a JSON Web Token of a user, signed with HS256.
func token(secret, user string) string {
	text := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"HS256"}`)) + "." +
		base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, `{"sub":%q,"exp":%d}`, user, time.Now().Add(time.Hour).Unix()))
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(text))
	return text + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}
