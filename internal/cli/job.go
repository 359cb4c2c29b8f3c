package cli

import (
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/pandabox/pandabox/pkg/api"
	"github.com/pandabox/pandabox/pkg/client"
	"github.com/pandabox/pandabox/pkg/model"
)

func (sh *shell) job() *cobra.Command {
	cmd := sh.aboutApp(&cobra.Command{
		Use: "job", Short: "What an app does at set times", Aliases: []string{"jobs"}, Args: nothing,
		Example: `  pandabox job add nightly "0 3 * * *" --tz Europe/Berlin -- ./shop report
  pandabox job add tidy "@every 10m" --path /tasks/tidy
  pandabox job history nightly`,
		RunE: sh.listJobs,
	})
	cmd.AddCommand(sh.jobAdd(), sh.jobList(), sh.jobShow(), sh.jobRun(), sh.jobPause(), sh.jobResume(), sh.jobHistory(), sh.jobLogs(), sh.jobCancel(), sh.jobRemove(), sh.jobExplain())
	return cmd
}

func (sh *shell) jobList() *cobra.Command {
	return sh.aboutApp(&cobra.Command{Use: "list", Short: "List jobs", Aliases: []string{"ls"}, Args: nothing, RunE: sh.listJobs})
}

func (sh *shell) listJobs(cmd *cobra.Command, _ []string) error {
	c, ref, err := sh.at()
	if err != nil {
		return err
	}
	items, err := c.Jobs(cmd.Context(), ref)
	if err != nil {
		return err
	}
	now := time.Now()
	return list(&sh.output, items, "no job yet; add one: "+hint(`job add nightly "0 3 * * *"`, ref)+" -- COMMAND", []string{"JOB", "SCHEDULE", "RUNS", "NEXT", "LAST"}, func(t *table, j api.Job) {
		t.add(j.Spec.Name, whenText(j), jobWhat(j.Spec), nextText(now, j), lastText(now, j.Last))
		if j.Last != nil {
			t.paint(4, sh.runPaint(j.Last.State))
		}
	})
}

// whenText says a job's schedule with its time zone.
func whenText(j api.Job) string {
	if strings.HasPrefix(j.Spec.Schedule, "@every") {
		return j.Description
	}
	return j.Description + ", " + zoneText(j.Spec.Timezone)
}

func zoneText(tz string) string {
	if tz == "" {
		return "UTC"
	}
	return tz
}

// jobWhat says what a job runs.
func jobWhat(s api.JobSpec) string {
	switch {
	case s.Scheduled:
		return "scheduled()"
	case s.Path != "":
		return "GET " + s.Path
	}
	return short(strings.Join(s.Command, " "), 40)
}

func short(text string, most int) string {
	if r := []rune(text); len(r) > most {
		return string(r[:most-1]) + "…"
	}
	return text
}

func nextText(now time.Time, j api.Job) string {
	switch {
	case j.Paused:
		return "paused"
	case len(j.Next) == 0:
		return "never"
	}
	return ago(now, j.Next[0])
}

func lastText(now time.Time, r *api.JobRun) string {
	if r == nil {
		return "-"
	}
	at := r.FinishedAt
	if at.IsZero() {
		at = r.CreatedAt
	}
	return runWords(*r) + " " + ago(now, at)
}

func runWords(r api.JobRun) string { return strings.ReplaceAll(string(r.State), "_", " ") }

func (sh *shell) runPaint(s model.JobRunState) func(string) string {
	switch s {
	case model.RunFailed, model.RunTimedOut:
		return sh.outStyle().bad
	case model.RunSucceeded:
		return sh.outStyle().good
	}
	return nil
}

// times writes the next due times as a person reads them, in the job's own time zone.
func times(next []time.Time) string {
	out := make([]string, len(next))
	for i, t := range next {
		form := "Mon 2 Jan 15:04"
		if t.Second() != 0 {
			form += ":05"
		}
		out[i] = t.Format(form)
	}
	if len(out) == 0 {
		return "never"
	}
	return strings.Join(out, " · ")
}

// tellJob prints what a job is.
func (sh *shell) tellJob(ref client.Ref, j api.Job) error {
	if sh.json {
		return sh.writeJSON(j)
	}
	s := sh.outStyle()
	name := j.Spec.Name
	width := max(len(name), len("runs"))
	rows := [][2]string{{name, whenText(j)}, {"runs", jobWhat(j.Spec)}}
	switch {
	case j.Paused:
		rows = append(rows, [2]string{"next", "paused; go on: " + hint("job resume "+name, ref)})
	default:
		rows = append(rows, [2]string{"next", times(j.Next)})
	}
	for _, r := range rows {
		if err := sh.line("  %s%s  %s", s.bold(r[0]), strings.Repeat(" ", width-len(r[0])), printable(r[1])); err != nil {
			return err
		}
	}
	return nil
}

func (sh *shell) completeJobs(cmd *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return sh.asking(cmd, sh.jobNames)
}
