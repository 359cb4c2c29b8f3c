package runtime

import (
	"context"
	"regexp"
	"time"

	"github.com/pandabox/pandabox/pkg/model"
	"github.com/pandabox/pandabox/pkg/runtime/logs"
)

// initFailed is the exit code of runc's init when the very last step, running the command, fails. An app may use it too.
const initFailed = 255

// The log is written a moment after the exit is known.
const (
	logLag  = time.Second
	logStep = 20 * time.Millisecond
)

var execFailed = regexp.MustCompile(`^exec (\S+): (no such file or directory|exec format error|permission denied|is a directory)$`)

// execMessage returns why the command could not be run, "" when it could. All that runc's init leaves of a command that
// the kernel refuses is a line in the container's log.
func (r *Runtime) execMessage(ctx context.Context, c model.Container, at time.Time) string {
	ctx, cancel := context.WithTimeout(ctx, logLag)
	defer cancel()
	for {
		var last string
		q := model.LogQuery{WorkloadID: c.Replica.WorkloadID, Container: c.Name, Since: c.CreatedAt, Tail: 1}
		err := logs.Read(ctx, r.cfg.logDir(q.WorkloadID), q, func(l model.LogLine) error {
			last = l.Text
			return nil
		})
		if err != nil {
			return ""
		}
		if m := execFailed.FindStringSubmatch(last); m != nil {
			return explainExec(m[1], m[2])
		}
		if last != "" || time.Since(at) > logLag || pauseFor(ctx, logStep) != nil {
			return ""
		}
	}
}

func explainExec(program, reason string) string {
	switch reason {
	case "no such file or directory":
		return program + ": the interpreter of the script, or the loader of the program, is not in the image"
	case "exec format error":
		return program + ": not a program for this box's architecture, or a script without #!/bin/sh on its first line"
	}
	return program + ": " + reason
}
