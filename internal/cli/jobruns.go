package cli

import (
	"context"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/pandabox/pandabox/pkg/api"
	"github.com/pandabox/pandabox/pkg/client"
	"github.com/pandabox/pandabox/pkg/model"
)

// runPoll is how often a run is looked at while somebody waits for it.
const runPoll = 300 * time.Millisecond

func (sh *shell) jobNames(ctx context.Context, c *client.Client) (names []string) {
	ref, _, err := sh.infer(nil)
	if err != nil {
		return nil
	}
	items, err := c.Jobs(ctx, ref)
	if err != nil {
		return nil
	}
	for _, j := range items {
		names = append(names, cobra.CompletionWithDesc(j.Spec.Name, j.Description))
	}
	return names
}

func (sh *shell) jobShow() *cobra.Command {
	return sh.aboutApp(&cobra.Command{
		Use: "show NAME", Short: "Show a job, its next times and its newest runs", Args: wants(1, 1, "pandabox job show nightly"), ValidArgsFunction: sh.completeJobs,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, ref, err := sh.at()
			if err != nil {
				return err
			}
			j, err := c.Job(cmd.Context(), ref, args[0])
			if err != nil {
				return err
			}
			if err := sh.tellJob(ref, j); err != nil || sh.json {
				return err
			}
			l, err := c.JobRuns(cmd.Context(), ref, args[0], api.Page{Limit: 5})
			if err != nil || len(l.Items) == 0 {
				return err
			}
			return sh.listRuns(l.Items, "")
		},
	})
}

func (sh *shell) jobHistory() *cobra.Command {
	var most int
	cmd := &cobra.Command{
		Use: "history NAME", Short: "The runs of a job, newest first", Args: wants(1, 1, "pandabox job history nightly"), ValidArgsFunction: sh.completeJobs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if most < 1 || most > api.MaxLimit {
				return model.Invalid("%d is no number of runs to show", most).WithHint("choose 1 to %d", api.MaxLimit)
			}
			c, ref, err := sh.at()
			if err != nil {
				return err
			}
			l, err := c.JobRuns(cmd.Context(), ref, args[0], api.Page{Limit: most})
			if err != nil {
				return err
			}
			return sh.listRuns(l.Items, "no run yet; start one: "+hint("job run "+args[0], ref))
		},
	}
	cmd.Flags().IntVarP(&most, "number", "n", 20, "how many")
	return sh.aboutApp(cmd)
}

func (sh *shell) listRuns(runs []api.JobRun, empty string) error {
	now := time.Now()
	return list(&sh.output, runs, empty, []string{"RUN", "DUE", "STATE", "EXIT", "TOOK", "WHY"}, func(t *table, r api.JobRun) {
		exit := "-"
		if r.ExitCode != nil {
			exit = strconv.Itoa(*r.ExitCode)
		}
		why := r.Why
		if r.Attempt > 1 {
			why = joinWhy(why, "attempt "+strconv.Itoa(r.Attempt))
		}
		t.add(strconv.Itoa(r.Number), dueText(r), runWords(r), exit, tookText(now, r), why)
		if p := sh.runPaint(r.State); p != nil {
			t.paint(2, p)
		}
	})
}

func joinWhy(a, b string) string {
	if a == "" {
		return b
	}
	return a + "; " + b
}

func dueText(r api.JobRun) string {
	if r.Due.IsZero() {
		return "by " + r.By
	}
	text := r.Due.Local().Format("2006-01-02 15:04:05")
	if !r.Until.IsZero() {
		text += " to " + r.Until.Local().Format("2006-01-02 15:04:05")
		if r.Count > 0 {
			text += " (" + strconv.Itoa(r.Count) + ")"
		}
	}
	return text
}

func tookText(now time.Time, r api.JobRun) string {
	switch {
	case r.StartedAt.IsZero():
		return "-"
	case r.FinishedAt.IsZero():
		return seconds(now.Sub(r.StartedAt))
	}
	return seconds(r.FinishedAt.Sub(r.StartedAt))
}

func (sh *shell) jobRun() *cobra.Command {
	var detach bool
	cmd := &cobra.Command{
		Use: "run NAME", Short: "Start a job now and wait for its end",
		Long: "Start a job now, paused or not, and wait for its end. The exit code is 0 when it succeeded, else 1.",
		Args: wants(1, 1, "pandabox job run nightly"), ValidArgsFunction: sh.completeJobs,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, ref, err := sh.at()
			if err != nil {
				return err
			}
			r, err := c.RunJob(cmd.Context(), ref, args[0])
			if err != nil {
				return err
			}
			if detach {
				if sh.json {
					return sh.writeJSON(r)
				}
				sh.done("%s runs as number %d; see it: %s", r.Job, r.Number, hint("job history "+r.Job, ref))
				return nil
			}
			return sh.awaitRun(cmd.Context(), c, ref, r)
		},
	}
	cmd.Flags().BoolVar(&detach, "detach", false, "do not wait")
	return sh.aboutApp(cmd)
}

// awaitRun waits for a run's end, prints what it printed, and says how it ended.
func (sh *shell) awaitRun(ctx context.Context, c *client.Client, ref client.Ref, r api.JobRun) (err error) {
	for !r.State.Final() {
		select {
		case <-ctx.Done():
			sh.say("%s goes on as run %d; see it: %s", r.Job, r.Number, hint("job history "+r.Job, ref))
			return ctx.Err()
		case <-time.After(runPoll):
		}
		if r, err = c.JobRun(ctx, ref, r.Job, r.Number); err != nil {
			return err
		}
	}
	if sh.json {
		if err := sh.writeJSON(r); err != nil {
			return err
		}
	} else if err := sh.runLogs(ctx, c, ref, r, api.LogQuery{Tail: -1}); err != nil {
		return err
	}
	if r.State == model.RunSucceeded {
		sh.done("%s succeeded, %s", r.Job, tookText(time.Now(), r))
		return nil
	}
	return model.Errorf(model.KindInternal, "run %d of %s %s", r.Number, r.Job, endWords(r)).WithWhy("%s", r.Why).WithHint("its log: %s", hint("job logs "+r.Job+" "+strconv.Itoa(r.Number), ref))
}

func endWords(r api.JobRun) string {
	switch r.State {
	case model.RunFailed, model.RunTimedOut:
		return runWords(r)
	}
	return "was " + runWords(r)
}

func (sh *shell) jobLogs() *cobra.Command {
	q := api.LogQuery{}
	cmd := &cobra.Command{
		Use: "logs NAME [RUN]", Short: "What a run of a job printed, the newest unless one is named", Args: wants(1, 2, "pandabox job logs nightly 12"), ValidArgsFunction: sh.completeJobs,
		RunE: func(cmd *cobra.Command, args []string) error {
			number, err := runNumber(args[1:])
			if err != nil {
				return err
			}
			c, ref, err := sh.at()
			if err != nil {
				return err
			}
			r, err := c.JobRun(cmd.Context(), ref, args[0], number)
			if err != nil {
				return err
			}
			err = sh.runLogs(cmd.Context(), c, ref, r, q)
			if q.Follow && interrupted(cmd.Context(), err) {
				return &exitError{code: ExitInterrupted}
			}
			return err
		},
	}
	cmd.Flags().BoolVarP(&q.Follow, "follow", "f", false, "go on as lines are written")
	cmd.Flags().IntVarP(&q.Tail, "tail", "n", -1, "only the last lines of each attempt; -1 for all that are kept")
	return sh.aboutApp(cmd)
}

// runLogs prints the log of each attempt of a run, oldest first.
func (sh *shell) runLogs(ctx context.Context, c *client.Client, ref client.Ref, r api.JobRun, q api.LogQuery) error {
	if r.Container == "" {
		if r.Attempt > 0 {
			sh.say("run %d of %s is no command: what it did is in the app's own log: %s", r.Number, r.Job, hint("logs", ref))
		}
		return nil
	}
	follow := q.Follow
	for n := 1; n <= r.Attempt; n++ {
		q.Container, q.Follow = r.ContainerOf(n), follow && n == r.Attempt && !r.State.Final()
		if err := c.Logs(ctx, ref, q, sh.printer()); err != nil {
			return err
		}
	}
	return nil
}

func runNumber(args []string) (int, error) {
	if len(args) == 0 {
		return 0, nil
	}
	n, err := strconv.Atoi(args[0])
	if err != nil || n < 1 {
		return 0, model.Invalid("%q is no number of a run", args[0]).WithHint("see them with: pandabox job history NAME")
	}
	return n, nil
}

func (sh *shell) jobCancel() *cobra.Command {
	return sh.aboutApp(&cobra.Command{
		Use: "cancel NAME [RUN]", Short: "End a run of a job, the newest unless one is named", Args: wants(1, 2, "pandabox job cancel nightly"), ValidArgsFunction: sh.completeJobs,
		RunE: func(cmd *cobra.Command, args []string) error {
			number, err := runNumber(args[1:])
			if err != nil {
				return err
			}
			c, ref, err := sh.at()
			if err != nil {
				return err
			}
			r, err := c.CancelJobRun(cmd.Context(), ref, args[0], number)
			if err != nil {
				return err
			}
			if sh.json {
				return sh.writeJSON(r)
			}
			sh.done("run %d of %s is being ended", r.Number, r.Job)
			return nil
		},
	})
}
