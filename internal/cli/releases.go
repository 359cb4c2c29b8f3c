package cli

import (
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/pandabox/pandabox/pkg/api"
	"github.com/pandabox/pandabox/pkg/client"
)

func (sh *shell) releases() *cobra.Command {
	var limit int
	cmd := &cobra.Command{
		Use: "releases", Short: "What ran, runs and can be gone back to", Args: nothing,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, ref, err := sh.at()
			if err != nil {
				return err
			}
			l, err := c.Releases(cmd.Context(), ref, api.Page{Limit: limit})
			if err != nil {
				return err
			}
			now := time.Now()
			return list(&sh.output, l.Items, "no release yet", []string{"RELEASE", "STATE", "WHAT", "BY", "MADE"}, func(t *table, r api.Release) {
				what := r.Description
				if r.Function != nil && strings.HasPrefix(what, "Deploy ") {
					what += ", " + size(r.Function.Size)
				}
				t.add(number(r.Number), releaseState(r), what, r.CreatedBy, ago(now, r.CreatedAt))
				t.paint(1, sh.outStyle().state)
			})
		},
	}
	cmd.Flags().IntVarP(&limit, "limit", "n", 20, "only the newest")
	return sh.aboutApp(cmd)
}

func releaseState(r api.Release) string {
	switch {
	case r.Serving:
		return "running"
	case r.Wanted:
		return "starting"
	case r.Good:
		return "good"
	}
	return "-"
}

func (sh *shell) rollback() *cobra.Command {
	var message string
	var w waiting
	cmd := &cobra.Command{
		Use: "rollback [RELEASE]", Short: "Go back to an earlier release; without one, to the last good",
		Example: "  pandabox rollback\n  pandabox rollback v7",
		Args:    wants(0, 1, "pandabox rollback v7"),
		RunE: func(cmd *cobra.Command, args []string) error {
			began, n := time.Now(), 0
			if len(args) > 0 {
				var err error
				if n, err = parseRelease(args[0]); err != nil {
					return err
				}
			}
			return sh.begin(cmd, w, began, func(c *client.Client, ref client.Ref) (api.Deploy, error) {
				return c.Rollback(cmd.Context(), ref, api.Rollback{Release: n, Message: message})
			})
		},
	}
	cmd.Flags().StringVarP(&message, "message", "m", "", "why, for the record")
	w.flags(cmd)
	cmd.ValidArgsFunction = sh.completeReleases
	return sh.aboutApp(cmd)
}

func (sh *shell) restart() *cobra.Command {
	var message string
	var w waiting
	cmd := &cobra.Command{
		Use: "restart", Short: "Replace every replica by a fresh one", Args: nothing,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return sh.begin(cmd, w, time.Now(), func(c *client.Client, ref client.Ref) (api.Deploy, error) {
				return c.Restart(cmd.Context(), ref, api.DeployOptions{Message: message})
			})
		},
	}
	cmd.Flags().StringVarP(&message, "message", "m", "", "why, for the record")
	w.flags(cmd)
	return sh.aboutApp(cmd)
}

// begin starts a deploy and follows it.
func (sh *shell) begin(cmd *cobra.Command, w waiting, began time.Time, start func(*client.Client, client.Ref) (api.Deploy, error)) error {
	c, ref, err := sh.at()
	if err != nil {
		return err
	}
	d, err := start(c, ref)
	if err != nil {
		return unsure(cmd.Context(), err, ref)
	}
	return sh.follow(cmd.Context(), c, d, w, began)
}
