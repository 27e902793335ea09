// Package process runs Lambda functions as processes of this machine. Handlers in
// Node.js, Python and Go, and every other program that speaks Lambda's runtime API, run
// as they are, with nothing installed but the interpreter:
//
//	chat, err := process.New(process.Config{
//		Name: "chat", Dir: "functions/chat", Handler: "index.handler", Runtime: "nodejs20.x",
//	})
//	if err != nil { … }
//	defer chat.Close()
//	gw.Handle("sendmessage", lambda.NewIntegration(chat))
//
// A [Function] is a [lambda.Invoker]: it can be an integration, a backend behind
// templates, and an authorizer. It is made for development and for tests. The processes
// run with the rights of this program: use it only for code that you trust.
//
// # Runtimes
//
//   - nodejs20.x and others: the node on the PATH loads the handler, "file.export", as
//     Lambda does: CommonJS and ES modules, callbacks and promises.
//   - python3.12 and others: the python3.12 on the PATH, or else the python3, loads the
//     handler, "module.function".
//   - provided.al2023 and others: the executable file bootstrap in Dir. go1.x: the
//     executable file that Handler names. If there is none, but Dir has a Go program, it
//     is built with the go command: with the first event, or by [Function.Prepare].
//   - With Command any program that speaks the runtime API, in any language: also AWS's
//     own clients of it, such as []string{"npx", "aws-lambda-ric", "index.handler"}.
//
// An interpreter of another version than the runtime's name says is a warning in the log.
//
// # Processes
//
// The first process starts with the first event. A process handles one event at a time:
// more start under load, up to Config.Concurrency, and one that gets no event for five
// minutes ends. Events beyond that wait, up to 10,000 and 128 MB of them: more fail with the
// status 429. As many processes as the machine has cores start at once; an event that needs
// one more waits 100 ms first, and 250 ms while others start.
// If events usually take less than 2 ms, one waits up to 2 ms for a process that is warm and
// busy before it gets an idle one, because to switch between processes would cost more.
//
// After Config.Timeout the process is killed together with its children, and the caller
// gets the error that Lambda gives. A process that ends while it handles an event is the
// function's error as well; the next event starts a new one. A caller that does not wait
// any longer does not end the function: as in Lambda, it runs to its end.
//
// When a file under Dir changes, the next event starts on fresh processes, within about
// half a second, or up to three seconds with very many files. Events that run end on the
// old ones. Folders that are named node_modules or __pycache__ are not watched, nor are
// names that begin with a dot, but for .env files, nor files of editors and logs: *~, *.swp,
// *.tmp, *.log, nor what Config.Unwatched has. Of a symbolic link to a file, the file is
// watched, too; one to a folder is not followed. A function that writes other files into its
// own Dir, which Lambda does not allow, restarts itself.
//
// # What a function sees
//
// The environment has Lambda's variables, then those of Config.Env. Of the environment of
// this program a function sees only PATH, HOME, LANG, TMPDIR and what Config.PassEnv
// names: give credentials and endpoints of the AWS SDKs in Config.Env. The working
// directory is Dir. Standard input is empty.
//
// Each line that it prints is a line of the log, with the function's name and the request
// ID. Of a line 16 KiB are kept, and of one event 1 MiB. At the level debug the log also has
// Lambda's own lines about each event: START, END and REPORT.
//
// # Limits
//
// Linux and macOS only: elsewhere [New] returns an error. MemoryMB is told to the
// function and not enforced. Layers and extensions are not supported. A child that makes
// a process group of its own, as a daemon does, is not ended with the function.
//
// If this program is killed with SIGKILL, all processes and their children are killed as
// well: beside each process a small /bin/sh waits for that. It leads their process group.
package process

import (
	"io/fs"
	"log/slog"
	"time"
)

// Config says which function to run, and how. Only Dir is always required.
type Config struct {
	// Name is the name of the function, in its environment, in logs and in errors. ""
	// means the name of Dir.
	Name string
	// ARN is the function's ARN, and its region is the region of the function. "" means
	// arn:aws:lambda:us-east-1:123456789012:function:{Name}.
	ARN string
	// Dir is the folder with the function's code.
	Dir string
	// Handler is what the runtime calls: "index.handler", "app.handler". The runtimes
	// provided.* do not need it, and nothing does with Command.
	Handler string
	// Runtime is the identifier of the runtime in Lambda: "nodejs20.x", "python3.12",
	// "provided.al2023", "go1.x". It may be empty if there is a Command.
	Runtime string
	// Command runs in the place of the runtime: a program that speaks the runtime API,
	// and its arguments. A relative path is relative to Dir.
	Command []string
	// Env has variables of the environment, as NAME=value. They replace Lambda's, except
	// AWS_LAMBDA_RUNTIME_API.
	Env []string
	// PassEnv names variables of this program's environment that the function gets, too.
	PassEnv []string
	// Timeout is how long an event may take. 0 means 3 seconds, as in Lambda.
	Timeout time.Duration
	// MemoryMB is the memory setting that is told to the function. 0 means 128.
	MemoryMB int
	// Concurrency is how many processes may run at a time. 0 means 8.
	Concurrency int
	// Unchanging says that the files under Dir stay as they are: nothing looks for changes.
	Unchanging bool
	// Unwatched are files and folders, as [os.Stat] describes them, that are not code although
	// they may be under Dir, such as those that this program writes. Changes of them, and of
	// all that is in such a folder, start no fresh processes. The standard output of this
	// program and its standard error are always among them.
	Unwatched []fs.FileInfo
	// Logger gets the output of the function, and what happens to its processes. nil
	// discards it.
	Logger *slog.Logger
	// Output gets each line that the Logger gets as output of the function, with the
	// request ID of the event, which is "" between two events. It is called by several
	// processes at the same time, and the process waits for it.
	Output func(requestID, line string)
}
