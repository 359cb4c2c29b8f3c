package cli

import (
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/pandabox/pandabox/pkg/api"
)

func (sh *shell) promote() *cobra.Command {
	var message string
	var w waiting
	cmd := &cobra.Command{
		Use: "promote FROM TO", Short: "Deploy to one environment what another one serves", Args: wants(2, 2, "pandabox promote staging production"),
		Long: `Deploy to one environment what another one serves: the same image, site or code, nothing is built again. Processes and
jobs come with it; variables, domains and scale stay those of the environment. What would change is shown first.`,
		Example: `  pandabox promote staging production
  pandabox promote staging production --yes --message "release 12"`,
		RunE: func(cmd *cobra.Command, args []string) error {
			began := time.Now()
			c, ref, err := sh.at()
			if err != nil {
				return err
			}
			ref.Env = args[1]
			p, err := c.PlanPromote(cmd.Context(), ref, args[0])
			if err != nil {
				return err
			}
			if !sh.json {
				sh.tellPromotion(p)
			}
			if !sh.yes {
				if err := sh.confirm("Promote?", "--yes"); err != nil {
					return err
				}
			}
			d, err := c.Promote(cmd.Context(), ref, api.Promote{From: args[0], Release: p.Release, Message: message})
			if err != nil {
				return unsure(cmd.Context(), err, ref)
			}
			return sh.follow(cmd.Context(), c, d, w, began)
		},
	}
	cmd.Flags().StringVarP(&message, "message", "m", "", "why, for the record")
	w.flags(cmd)
	return sh.aboutApp(cmd)
}

// tellPromotion shows what a promote would do.
func (sh *shell) tellPromotion(p api.Promotion) {
	to := p.To
	if p.Current > 0 {
		to += ", in the place of " + number(p.Current)
	}
	sh.say("  %s: %s of %s to %s", p.App, number(p.Release), p.From, to)
	sh.say("    %s, %s", printable(p.What), shortDigest(p.Digest))
	if p.Same {
		sh.say("    %s runs that already: only processes, jobs and volumes can differ", p.To)
	}
	for _, change := range p.Changes {
		sh.say("    %s", printable(change))
	}
	if len(p.Missing) > 0 {
		sh.say("    warning: set in %s and not in %s: %s", p.From, p.To, strings.Join(p.Missing, ", "))
	}
	if p.Approval {
		sh.say("    %s is protected: it will wait for approval", p.To)
	}
}
