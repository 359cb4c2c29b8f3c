package cli

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/pandabox/pandabox/pkg/api"
	"github.com/pandabox/pandabox/pkg/client"
	"github.com/pandabox/pandabox/pkg/model"
)

func (sh *shell) jobAdd() *cobra.Command {
	var s api.JobSpec
	var timeout, backoff, jitter time.Duration
	var concurrency, misfire string
	cmd := &cobra.Command{
		Use: "add NAME SCHEDULE [-- COMMAND...]", Short: "Add a job, or change one",
		Long: `Add a job, or change one that was added before. What it runs is a command in a container of the release that
serves, a GET of a path of the app, or a function's scheduled handler.

SCHEDULE has five fields (minute, hour, day of the month, month, day of the week), six with seconds first, or is
@hourly, @daily, @weekly, @monthly, @yearly or "@every 10m".`,
		Example: `  pandabox job add nightly "0 3 * * *" --tz Europe/Berlin -- ./shop report
  pandabox job add tidy "@every 10m" --path /tasks/tidy
  pandabox job add sync @hourly --scheduled`,
		Args: wants(2, -1, `pandabox job add nightly "0 3 * * *" -- ./shop report`),
		RunE: func(cmd *cobra.Command, args []string) error {
			dash := cmd.ArgsLenAtDash()
			if dash != 2 && len(args) > 2 {
				return model.Invalid("%q is more than a schedule", args[2]).WithHint(`put the schedule into quotes and the command behind --: pandabox job add nightly "0 3 * * *" -- ./shop report`)
			}
			s.Name, s.Schedule, s.Command = args[0], args[1], args[2:]
			s.Timeout, s.Backoff, s.Jitter = model.Duration(timeout), model.Duration(backoff), model.Duration(jitter)
			s.Concurrency, s.Misfire = model.JobConcurrency(concurrency), model.JobMisfire(misfire)
			c, ref, err := sh.at()
			if err != nil {
				return err
			}
			j, err := c.SetJob(cmd.Context(), ref, s)
			if err != nil {
				return err
			}
			return sh.tellJob(ref, j)
		},
	}
	f := cmd.Flags()
	f.StringVar(&s.Timezone, "tz", "", "time zone of the schedule, like Europe/Berlin (default: UTC)")
	f.StringVar(&s.Path, "path", "", "ask the app for this path")
	f.BoolVar(&s.Scheduled, "scheduled", false, "call the function's scheduled handler")
	f.DurationVar(&timeout, "time-limit", 0, "of one attempt (default: 1h)")
	f.IntVar(&s.Retries, "retries", 0, "attempts after the first that failed")
	f.DurationVar(&backoff, "backoff", 0, "before the first retry, twice as long before each more (default: 10s)")
	f.StringVar(&concurrency, "concurrency", "", "while the run before goes on: forbid, allow or replace (default: forbid)")
	f.StringVar(&misfire, "misfire", "", "what of due times nobody was there for: once, skip or all (default: once)")
	f.IntVar(&s.MisfireMax, "misfire-max", 0, "with --misfire all: the newest so many (default: 10)")
	f.DurationVar(&jitter, "jitter", 0, "put each start off by up to this much, by chance")
	f.IntVar(&s.KeepRuns, "keep", 0, "runs to keep (default: 100)")
	complete(cmd, "concurrency", fixed("forbid", "allow", "replace"))
	complete(cmd, "misfire", fixed("once", "skip", "all"))
	return sh.aboutApp(cmd)
}

func (sh *shell) jobRemove() *cobra.Command {
	return sh.changesJob("remove", "Remove a job, and end what of it runs", []string{"rm"}, func(ctx context.Context, c *client.Client, ref client.Ref, name string) error {
		if err := c.RemoveJob(ctx, ref, name); err != nil {
			return err
		}
		sh.done("%s is removed", name)
		return nil
	})
}

func (sh *shell) jobPause() *cobra.Command {
	return sh.changesJob("pause", "Keep a job from being due", nil, func(ctx context.Context, c *client.Client, ref client.Ref, name string) error {
		if err := c.PauseJob(ctx, ref, name); err != nil {
			return err
		}
		sh.done("%s is paused; to go on: %s", name, hint("job resume "+name, ref))
		return nil
	})
}

func (sh *shell) jobResume() *cobra.Command {
	return sh.changesJob("resume", "Make a paused job due again, from now on", nil, func(ctx context.Context, c *client.Client, ref client.Ref, name string) error {
		if err := c.ResumeJob(ctx, ref, name); err != nil {
			return err
		}
		sh.done("%s goes on", name)
		return nil
	})
}

// changesJob is a command that does one thing to one job.
func (sh *shell) changesJob(verb, about string, also []string, do func(context.Context, *client.Client, client.Ref, string) error) *cobra.Command {
	return sh.aboutApp(&cobra.Command{
		Use: verb + " NAME", Short: about, Aliases: also, Args: wants(1, 1, "pandabox job "+verb+" nightly"), ValidArgsFunction: sh.completeJobs,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, ref, err := sh.at()
			if err != nil {
				return err
			}
			if err := do(cmd.Context(), c, ref, args[0]); err != nil || !sh.json {
				return err
			}
			return sh.writeJSON(map[string]string{"job": args[0], "done": verb})
		},
	})
}

func (sh *shell) jobExplain() *cobra.Command {
	var tz string
	cmd := &cobra.Command{
		Use: "explain SCHEDULE", Short: "Say a schedule in words, with its next five times", Args: wants(1, 1, `pandabox job explain "0 3 * * 1-5"`),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := sh.connect()
			if err != nil {
				return err
			}
			e, err := c.ExplainSchedule(cmd.Context(), args[0], tz)
			if err != nil {
				return err
			}
			if sh.json {
				return sh.writeJSON(e)
			}
			if err := sh.line("  %s, %s", e.Description, e.Timezone); err != nil {
				return err
			}
			return sh.line("  %s", times(e.Next))
		},
	}
	cmd.Flags().StringVar(&tz, "tz", "", "time zone, like Europe/Berlin (default: UTC)")
	return cmd
}
