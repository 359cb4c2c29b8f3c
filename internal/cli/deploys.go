package cli

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/pandabox/pandabox/pkg/api"
	"github.com/pandabox/pandabox/pkg/client"
	"github.com/pandabox/pandabox/pkg/model"
)

func (sh *shell) deploys() *cobra.Command {
	cmd := sh.aboutApp(&cobra.Command{
		Use: "deploys", Short: "See, watch and cancel deploys", Args: nothing,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, ref, err := sh.at()
			if err != nil {
				return err
			}
			l, err := c.Deploys(cmd.Context(), ref, api.Page{})
			if err != nil {
				return err
			}
			revisions, err := sh.revisions(cmd.Context(), c, ref)
			if err != nil {
				return err
			}
			now := time.Now()
			head := []string{"DEPLOY", "KIND", "RELEASE", "STATE", "BY", "BEGAN", "TOOK", "MESSAGE"}
			return list(&sh.output, l.Items, "nothing was deployed yet", head, func(t *table, d api.Deploy) {
				took := "-"
				if !d.FinishedAt.IsZero() {
					took = seconds(d.FinishedAt.Sub(d.CreatedAt))
				}
				about := d.Message
				if about == "" {
					about = revisions[d.Release]
				}
				t.add(d.ID, string(d.Kind), number(d.Release), words(d.State), d.Actor, ago(now, d.CreatedAt), took, about)
				t.paint(3, sh.outStyle().state)
			})
		},
	})
	watch := sh.aboutApp(&cobra.Command{
		Use: "watch [DEPLOY]", Short: "Watch a deploy to its end; without an id the newest", Args: wants(0, 1, "pandabox deploys watch"),
	})
	var w waiting
	watch.Flags().DurationVar(&w.timeout, "timeout", 0, "watch at most this long, then exit with code 6 (default: to the end)")
	w.verboseFlag(watch)
	watch.RunE = func(cmd *cobra.Command, args []string) error {
		c, ref, err := sh.at()
		if err != nil {
			return err
		}
		d, err := pickDeploy(cmd, c, ref, args)
		if err != nil {
			return err
		}
		return sh.follow(cmd.Context(), c, d, w, d.CreatedAt)
	}
	cancel := sh.aboutApp(&cobra.Command{
		Use: "cancel [DEPLOY]", Short: "Give up a deploy and go back to what served; without an id the newest", Args: wants(0, 1, "pandabox deploys cancel"),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, ref, err := sh.at()
			if err != nil {
				return err
			}
			d, err := pickDeploy(cmd, c, ref, args)
			if err != nil {
				return err
			}
			if d, err = c.CancelDeploy(cmd.Context(), ref, d.ID); err != nil {
				return err
			}
			if sh.json {
				return sh.writeJSON(d)
			}
			sh.done("deploy %s is being canceled", d.ID)
			return nil
		},
	})
	cmd.AddCommand(watch, cancel)
	return cmd
}

// revisions tells of which commit the newest releases are, by number. Nobody is asked where JSON is printed.
func (sh *shell) revisions(ctx context.Context, c *client.Client, ref client.Ref) (map[int]string, error) {
	out := map[int]string{}
	if sh.json {
		return out, nil
	}
	l, err := c.Releases(ctx, ref, api.Page{})
	for _, r := range l.Items {
		out[r.Number] = revisionText(r.Revision)
	}
	return out, err
}

// revisionText writes "1a2b3c4 the subject", "" where nothing is known.
func revisionText(r *model.Revision) string {
	if r == nil {
		return ""
	}
	return short(r.Short(), 60)
}

// pickDeploy returns the deploy that is named, or the newest.
func pickDeploy(cmd *cobra.Command, c *client.Client, ref client.Ref, args []string) (api.Deploy, error) {
	if len(args) > 0 {
		return c.Deploy(cmd.Context(), ref, args[0])
	}
	l, err := c.Deploys(cmd.Context(), ref, api.Page{Limit: 1})
	if err == nil && len(l.Items) == 0 {
		err = model.NotFound("nothing was deployed yet").WithHint("%s", hint("deploy", ref))
	}
	if err != nil {
		return api.Deploy{}, err
	}
	return l.Items[0], nil
}
