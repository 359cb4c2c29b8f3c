package cli

import (
	"context"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pandabox/pandabox/pkg/model"
)

func (sh *shell) exec() *cobra.Command {
	var process string
	var s session
	cmd := &cobra.Command{
		Use: "exec COMMAND...", Short: "Run a command inside a running replica",
		Long:    "Run a command inside a running replica and end with its exit code. On a terminal it gets a terminal.\nFlags stand before the command; everything after it is the command's own.",
		Example: "  pandabox exec sh\n  pandabox exec --process worker.2 -- ls -l /storage",
		Args:    wants(1, -1, "pandabox exec sh"),
		RunE: func(cmd *cobra.Command, args []string) error {
			name, index, err := parseReplica(process)
			if err != nil {
				return err
			}
			c, ref, err := sh.at()
			if err != nil {
				return err
			}
			return sh.attach(cmd.Context(), s, args, func(ctx context.Context, spec model.ExecSpec) (int, error) {
				return c.Exec(ctx, ref, name, index, spec)
			})
		},
	}
	cmd.Flags().StringVarP(&process, "process", "p", "", "the replica: web, or web.2 (default: web, or else the first)")
	complete(cmd, "process", sh.completeProcesses)
	s.flags(cmd)
	return sh.aboutApp(cmd)
}

func (sh *shell) run() *cobra.Command {
	var s session
	cmd := &cobra.Command{
		Use: "run COMMAND...", Short: "Run a command in a fresh container of the app",
		Long:    "Run a command in a fresh container of the release that serves, with its variables and volumes, and end with its\nexit code. The container is removed at the end. Flags stand before the command.",
		Example: "  pandabox run ./shop migrate\n  pandabox run -e staging -- rails console",
		Args:    wants(1, -1, "pandabox run ./shop migrate"),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, ref, err := sh.at()
			if err != nil {
				return err
			}
			return sh.attach(cmd.Context(), s, args, func(ctx context.Context, spec model.ExecSpec) (int, error) {
				return c.Run(ctx, ref, spec)
			})
		},
	}
	s.flags(cmd)
	return sh.aboutApp(cmd)
}

// session is how a command is joined to this terminal.
type session struct {
	noTTY, noStdin bool
	env            []string
}

func (s *session) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.BoolVarP(&s.noTTY, "no-tty", "T", false, "no terminal for the command, even where there is one here")
	f.BoolVarP(&s.noStdin, "no-stdin", "n", false, "leave standard input alone, as in a loop of a script")
	f.StringArrayVar(&s.env, "set", nil, "a variable for this command only: NAME=value")
	f.SetInterspersed(false)
}

// attach runs a command with this process's streams and ends with its exit code.
func (sh *shell) attach(ctx context.Context, s session, command []string, start func(context.Context, model.ExecSpec) (int, error)) error {
	spec := model.ExecSpec{Command: command, Env: s.env, Stdout: sh.out, Stderr: sh.err}
	for _, v := range s.env {
		name, value, ok := strings.Cut(v, "=")
		if !ok {
			return model.Invalid("--set %s has no value", v).WithHint("write --set NAME=value")
		}
		if err := model.CheckVariable(name, value); err != nil {
			return err
		}
	}
	if !s.noStdin {
		spec.Stdin = sh.in
	}
	var code int
	var err error
	if in, out := terminal(sh.in), terminal(sh.out); in != nil && out != nil && !s.noTTY && !s.noStdin {
		code, err = onTerminal(ctx, in, out, spec, start)
	} else {
		code, err = start(ctx, spec)
	}
	if err != nil {
		return err
	}
	if code != 0 {
		return &exitError{code: code}
	}
	return nil
}

// parseReplica reads "web" or "web.2"; index 0 means any.
func parseReplica(s string) (process string, index int, err error) {
	process, after, ok := strings.Cut(s, ".")
	if ok {
		if index, err = strconv.Atoi(after); err != nil || index < 1 {
			return "", 0, model.Invalid("%q is no replica", s).WithHint("write web or web.2; see them with pandabox ps")
		}
	}
	return process, index, nil
}
