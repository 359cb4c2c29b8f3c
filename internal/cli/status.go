package cli

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/pandabox/pandabox/pkg/api"
	"github.com/pandabox/pandabox/pkg/client"
	"github.com/pandabox/pandabox/pkg/model"
)

func (sh *shell) status() *cobra.Command {
	return sh.look(&cobra.Command{Use: "status", Short: "How an app is"}, sh.writeStatus)
}

// look is a command that shows one workload, or with --all sums up every one.
func (sh *shell) look(cmd *cobra.Command, show func(context.Context, *client.Client, api.Workload) error) *cobra.Command {
	var all bool
	cmd.Args = nothing
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if all {
			return sh.everything(cmd)
		}
		c, ref, err := sh.at()
		if err != nil {
			return err
		}
		w, err := c.Workload(cmd.Context(), ref)
		if err != nil {
			return err
		}
		if sh.json {
			return sh.writeJSON(w)
		}
		return show(cmd.Context(), c, w)
	}
	cmd.Flags().BoolVar(&all, "all", false, "every app in every environment")
	return sh.aboutApp(cmd)
}

// everything lists the org's workloads.
func (sh *shell) everything(cmd *cobra.Command) error {
	c, err := sh.connect()
	if err != nil {
		return err
	}
	var items []api.Workload
	for w, err := range client.All(cmd.Context(), c.Workloads) {
		if err != nil {
			return err
		}
		items = append(items, w)
	}
	return list(&sh.output, items, "no app runs here yet; begin with: pandabox deploy", []string{"APP", "ENV", "STATE", "RELEASE", "HEALTHY", "URL"}, func(t *table, w api.Workload) {
		wanted, healthy := 0, 0
		for _, p := range w.Processes {
			wanted, healthy = wanted+p.Replicas, healthy+p.Healthy
		}
		t.add(w.App, w.Env, stateOf(w), number(w.Serving), fmt.Sprintf("%d/%d", healthy, wanted), w.URL)
		t.paint(2, sh.outStyle().state)
	})
}

func stateOf(w api.Workload) string {
	if w.Deleting {
		return "removing"
	}
	return string(w.State)
}

func (sh *shell) writeStatus(ctx context.Context, c *client.Client, w api.Workload) error {
	s := sh.outStyle()
	if err := sh.line("%s, %s: %s", s.bold(w.App), w.Env, s.state(stateOf(w))); err != nil {
		return err
	}
	if w.URL != "" {
		if err := sh.line("  %s", w.URL); err != nil {
			return err
		}
	}
	switch {
	case w.Serving == 0 && w.Release == 0:
		if err := sh.line("  nothing deployed yet"); err != nil {
			return err
		}
	case w.Serving == 0:
		if err := sh.line("  no release serves yet, %s should", number(w.Release)); err != nil {
			return err
		}
	case w.Serving != w.Release:
		if err := sh.line("  release %s serves, %s should", number(w.Serving), number(w.Release)); err != nil {
			return err
		}
	default:
		if err := sh.line("  release %s serves", number(w.Serving)); err != nil {
			return err
		}
	}
	if text := servedRevision(ctx, c, w); text != "" {
		if err := sh.line("  %s%s", pad("code", nameWidth), printable(text)); err != nil {
			return err
		}
	}
	if d := w.Deploy; d != nil {
		if err := sh.line("  deploy %s is on its way: %s", d.ID, words(d.State)); err != nil {
			return err
		}
	}
	if f := w.Function; f != nil && f.On != "" {
		how := ""
		if f.Middleware {
			how = ", in front of it"
		}
		if err := sh.line("  %son %s: %s%s", pad("routes", nameWidth), f.On, strings.Join(f.Routes, " "), how); err != nil {
			return err
		}
	}
	for _, p := range w.Processes {
		if err := sh.line("  %s%s", pad(p.Name, nameWidth), healthOf(w, p)); err != nil {
			return err
		}
	}
	if w.Problem != nil {
		writeError(sh.out, s, false, w.Problem)
	}
	return nil
}

// servedRevision tells of which commit the release is that serves: "1a2b3c4 the subject, main". It is an addition, so
// that it cannot be had is no fault.
func servedRevision(ctx context.Context, c *client.Client, w api.Workload) string {
	if w.Serving == 0 {
		return ""
	}
	r, err := c.Release(ctx, client.Ref{App: w.App, Env: w.Env}, w.Serving)
	if err != nil || r.Revision == nil {
		return ""
	}
	text := revisionText(r.Revision)
	if text != "" && r.Revision.Branch != "" {
		text += ", " + r.Revision.Branch
	}
	return text
}

func healthOf(w api.Workload, p api.WorkloadProcess) string {
	if f := w.Function; f != nil {
		return functionText(*f, p.Healthy > 0)
	}
	if s := w.Static; s != nil {
		return siteText(*s)
	}
	text := fmt.Sprintf("%d of %d healthy", p.Healthy, p.Replicas)
	if p.Replicas == 0 {
		text = "stopped"
	}
	if p.Name == model.ProcessRelease {
		text = "runs once with each deploy"
	}
	if limits := p.Scale.Limits(); p.Replicas > 0 && p.Name != model.ProcessRelease {
		text += ", " + size(limits.Memory)
		if limits.MilliCPU > 0 {
			text += ", " + cores(limits.MilliCPU) + " cores"
		}
		text += " each"
	}
	return text
}

// siteText sums up a static site: "12 files, 3.4 MB, index.html for what is not there".
func siteText(s model.Static) string {
	text := "not built yet"
	if s.Digest != "" {
		text = s.String()
	}
	if s.SPA {
		text += ", index.html for what is not there"
	}
	return text
}

// functionText sums up a function: "js, 12 KB, loaded, up to 32 requests at once".
func functionText(f model.Function, loaded bool) string {
	state := "not loaded"
	if loaded {
		state = "loaded"
	}
	return fmt.Sprintf("%s, %s, %s, up to %s at once", f.Runtime, size(f.Size), state, count(f.Limits.Filled().Concurrency, "request"))
}

func (sh *shell) ps() *cobra.Command {
	return sh.look(&cobra.Command{Use: "ps", Short: "The replicas of an app"}, sh.writeReplicas)
}

func (sh *shell) writeReplicas(_ context.Context, _ *client.Client, w api.Workload) error {
	now := time.Now()
	head := []string{"PROCESS", "STATE", "RELEASE", "SINCE", "RESTARTS", "MEMORY", "LAST EXIT"}
	return list(&sh.output, w.Replicas, "no replica runs", head, func(t *table, r model.ReplicaStatus) {
		memory, exit := "-", "-"
		if u, ok := w.Usage[r.Name]; ok {
			memory = size(u.Memory)
		}
		if r.LastExit != nil {
			exit = exitText(*r.LastExit)
		}
		t.add(replicaName(r.Replica), string(r.State), number(r.Replica.Release), ago(now, r.Since), strconv.Itoa(r.Restarts), memory, exit)
		t.paint(1, sh.outStyle().state)
	})
}

// replicaName is how people name a replica: "web.1".
func replicaName(r model.Replica) string { return r.Process + "." + strconv.Itoa(r.Index) }

func exitText(e model.Exit) string {
	switch {
	case e.OOM:
		return "out of memory"
	case e.Message != "":
		return e.Message
	case !e.Known:
		return "unknown"
	}
	return "code " + strconv.Itoa(e.Code)
}
