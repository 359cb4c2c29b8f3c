package cli

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/pandabox/pandabox/pkg/api"
	"github.com/pandabox/pandabox/pkg/client"
)

// completionTime bounds a question to the box while somebody waits with a finger on the tab key.
const completionTime = 2 * time.Second

// ownCompletion adds cobra's command completion, with this program's own way to refuse arguments.
func ownCompletion(root *cobra.Command) {
	root.InitDefaultCompletionCmd()
	for _, c := range root.Commands() {
		if c.Name() != "completion" {
			continue
		}
		c.Args, c.RunE = nothing, func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
		c.Short = "Print the script that completes commands in a shell"
		for _, shell := range c.Commands() {
			shell.Args = nothing
		}
	}
}

type completer = func(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective)

// complete gives a flag its completion. The flag is there, so that it cannot fail.
func complete(cmd *cobra.Command, flag string, with completer) {
	_ = cmd.RegisterFlagCompletionFunc(flag, with)
}

// fixed completes to these words.
func fixed(words ...string) completer {
	return cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp)
}

// asking completes to what the box knows, and to nothing where it does not answer.
func (sh *shell) asking(cmd *cobra.Command, ask func(context.Context, *client.Client) []string) ([]cobra.Completion, cobra.ShellCompDirective) {
	c, err := sh.connect()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), completionTime)
	defer cancel()
	return ask(ctx, c), cobra.ShellCompDirectiveNoFileComp
}

func (sh *shell) completeApps(cmd *cobra.Command, _ []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	return sh.asking(cmd, func(ctx context.Context, c *client.Client) (names []string) {
		for a, err := range client.All(ctx, c.Apps) {
			if err != nil {
				break
			}
			names = append(names, a.Name)
		}
		return names
	})
}

func (sh *shell) completeEnvs(cmd *cobra.Command, _ []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	return sh.asking(cmd, func(ctx context.Context, c *client.Client) (names []string) {
		ref, _, err := sh.infer(nil)
		if err != nil {
			return nil
		}
		a, err := c.App(ctx, ref.App)
		if err != nil {
			return nil
		}
		for _, w := range a.Workloads {
			names = append(names, w.Env)
		}
		return names
	})
}

func (sh *shell) completeProcesses(cmd *cobra.Command, _ []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	return sh.asking(cmd, func(ctx context.Context, c *client.Client) (names []string) {
		ref, _, err := sh.infer(nil)
		if err != nil {
			return nil
		}
		w, err := c.Workload(ctx, ref)
		if err != nil {
			return nil
		}
		for _, p := range w.Processes {
			names = append(names, p.Name)
		}
		return names
	})
}

func (sh *shell) completeReleases(cmd *cobra.Command, _ []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	return sh.asking(cmd, func(ctx context.Context, c *client.Client) (names []string) {
		ref, _, err := sh.infer(nil)
		if err != nil {
			return nil
		}
		l, err := c.Releases(ctx, ref, api.Page{})
		if err != nil {
			return nil
		}
		for _, r := range l.Items {
			names = append(names, cobra.CompletionWithDesc(number(r.Number), r.Description))
		}
		return names
	})
}

func (sh *shell) completeBoxes(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
	l, err := sh.logins()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return l.names(), cobra.ShellCompDirectiveNoFileComp
}
