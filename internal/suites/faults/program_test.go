package faults_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"strings"
)

// programEnv makes the test binary run as the program that it names: the server or
// the clients in a network namespace, or a server that can be stopped.
const programEnv = "GATEWAY_FAULTS_PROGRAM"

// command runs a line of input with its arguments.
type command func(args ...int) (any, error)

// runProgram answers each line of the standard input, a word and numbers, with a line
// of JSON, until the input ends.
func runProgram(name string) (err error) {
	commands := map[string]command{}
	end := func() error { return nil }
	switch name {
	case "server":
		commands, end, err = serverProgram()
	case "pausable":
		commands, end, err = pausableProgram()
	case "clients":
		commands = (&clients{}).commands()
	default:
		err = fmt.Errorf("there is no program %q", name)
	}
	if err != nil {
		return err
	}
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		result, err := run(commands, lines.Text())
		if err != nil {
			return fmt.Errorf("%s: %w", lines.Text(), err)
		}
		line, err := json.Marshal(result)
		if err != nil {
			return err
		}
		fmt.Println(string(line)) //nolint:forbidigo // the protocol between the processes
	}
	return end()
}

func run(commands map[string]command, line string) (any, error) {
	words := strings.Fields(line)
	do := commands[words[0]]
	if do == nil {
		return nil, fmt.Errorf("there is no such command")
	}
	args := make([]int, len(words)-1)
	for n, word := range words[1:] {
		if _, err := fmt.Sscan(word, &args[n]); err != nil {
			return nil, err
		}
	}
	return do(args...)
}
