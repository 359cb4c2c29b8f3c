package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/pandabox/pandabox/pkg/api"
	"github.com/pandabox/pandabox/pkg/client"
	"github.com/pandabox/pandabox/pkg/model"
)

func (sh *shell) builds() *cobra.Command {
	var limit int
	cmd := sh.aboutApp(&cobra.Command{
		Use: "builds", Short: "What was built of source, newest first", Args: nothing,
		Example: `  pandabox builds
  pandabox builds log
  pandabox builds cancel`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, ref, err := sh.at()
			if err != nil {
				return err
			}
			l, err := c.Builds(cmd.Context(), ref, api.Page{Limit: limit})
			if err != nil {
				return err
			}
			now := time.Now()
			head := []string{"BUILD", "RELEASE", "STATE", "HOW", "STEPS", "BEGAN", "TOOK", "WHY"}
			return list(&sh.output, l.Items, "nothing was built yet; begin with: pandabox deploy", head, func(t *table, b api.Build) {
				t.add(b.ID, number(b.Release), string(b.State), b.Plan, stepsText(b), ago(now, beginOf(b)), buildTook(now, b), whyBuild(b))
				t.paint(2, sh.outStyle().state)
			})
		},
	})
	cmd.Flags().IntVarP(&limit, "limit", "n", 20, "only the newest, at most 1000")
	cmd.AddCommand(sh.buildsLog(), sh.buildsCancel())
	return cmd
}

func (sh *shell) buildsLog() *cobra.Command {
	var follow bool
	cmd := &cobra.Command{
		Use: "log [BUILD]", Short: "What a build printed, the newest unless one is named", Args: wants(0, 1, "pandabox builds log"), ValidArgsFunction: sh.completeBuilds,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, ref, err := sh.at()
			if err != nil {
				return err
			}
			return sh.buildLog(cmd.Context(), c, ref, first(args), follow)
		},
	}
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on until the build is over")
	return sh.aboutApp(cmd)
}

func (sh *shell) buildsCancel() *cobra.Command {
	return sh.aboutApp(&cobra.Command{
		Use: "cancel [BUILD]", Short: "End a build and its deploy, the newest unless one is named", Args: wants(0, 1, "pandabox builds cancel"), ValidArgsFunction: sh.completeBuilds,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, ref, err := sh.at()
			if err != nil {
				return err
			}
			b, err := c.CancelBuild(cmd.Context(), ref, first(args))
			if err != nil {
				return err
			}
			if sh.json {
				return sh.writeJSON(b)
			}
			sh.done("build %s is being canceled, and with it deploy %s", b.ID, b.DeployID)
			return nil
		},
	})
}

// buildLog prints a build's log; with id "" that of the newest.
func (sh *shell) buildLog(ctx context.Context, c *client.Client, ref client.Ref, id string, follow bool) error {
	if id == "" { // the newest may be another one while this is read
		b, err := c.Build(ctx, ref, "")
		if err != nil {
			return err
		}
		id = b.ID
	}
	err := c.BuildLog(ctx, ref, id, follow, sh.buildPrinter())
	if follow && interrupted(ctx, err) {
		return &exitError{code: ExitInterrupted}
	}
	return err
}

// buildPrinter writes lines of a build's log: "[build 3/6] text".
func (sh *shell) buildPrinter() func(model.BuildLine) error {
	if sh.json {
		e := json.NewEncoder(sh.out)
		e.SetEscapeHTML(false)
		return func(l model.BuildLine) error { return e.Encode(l) }
	}
	s, tty := sh.outStyle(), terminal(sh.out) != nil
	return func(l model.BuildLine) error {
		text, step := l.Text, ""
		if tty {
			text = defuse(text)
		}
		if l.Step != "" {
			step = s.lane(l.Step, l.Step) + " "
		}
		_, err := fmt.Fprintln(sh.out, step+text)
		return err
	}
}

func stepsText(b api.Build) string {
	switch {
	case b.Steps == 0:
		return "-"
	case b.Cached == 0:
		return fmt.Sprint(b.Steps)
	}
	return fmt.Sprintf("%d, %d cached", b.Steps, b.Cached)
}

// beginOf is when a build began or, before that, was asked for.
func beginOf(b api.Build) time.Time {
	if b.BeganAt.IsZero() {
		return b.CreatedAt
	}
	return b.BeganAt
}

func buildTook(now time.Time, b api.Build) string {
	switch {
	case b.BeganAt.IsZero():
		return "-"
	case b.FinishedAt.IsZero():
		return seconds(now.Sub(b.BeganAt))
	}
	return seconds(b.FinishedAt.Sub(b.BeganAt))
}

func whyBuild(b api.Build) string {
	if b.Error == nil {
		return ""
	}
	text := b.Error.What
	if b.Error.Why != "" {
		text += ": " + b.Error.Why
	}
	return short(text, 100)
}

// first returns the first argument, "" where there is none.
func first(args []string) string {
	if len(args) == 0 {
		return ""
	}
	return args[0]
}

func (sh *shell) completeBuilds(cmd *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return sh.asking(cmd, func(ctx context.Context, c *client.Client) (names []string) {
		ref, _, err := sh.infer(nil)
		if err != nil {
			return nil
		}
		l, err := c.Builds(ctx, ref, api.Page{})
		if err != nil {
			return nil
		}
		for _, b := range l.Items {
			names = append(names, cobra.CompletionWithDesc(b.ID, number(b.Release)+", "+string(b.State)))
		}
		return names
	})
}
