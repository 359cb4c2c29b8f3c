package cli

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/pandabox/pandabox/pkg/api"
	"github.com/pandabox/pandabox/pkg/client"
	"github.com/pandabox/pandabox/pkg/model"
)

func (sh *shell) previews() *cobra.Command {
	cmd := sh.aboutApp(&cobra.Command{
		Use: "previews", Short: "Environments of pull requests", Args: nothing,
		Long: `Environments of pull requests. A forge that is connected (pandabox repos) has one made when a pull request is opened,
deployed to at each push, and removed when it is closed, or when nobody pushed for some days.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, ref, err := sh.at()
			if err != nil {
				return err
			}
			all, err := c.Previews(cmd.Context(), ref.App)
			if err != nil {
				return err
			}
			now := time.Now()
			return list(&sh.output, all, "no preview", []string{"ENVIRONMENT", "PULL REQUEST", "BRANCH", "ADDRESS", "PUSHED", "ENDS"}, func(t *table, p api.AppPreview) {
				ends := ago(now, p.ExpiresAt)
				if p.Deleting {
					ends = "now"
				}
				t.add(p.Env, fmt.Sprintf("#%d %s", p.Number, short(p.Title, 40)), p.Branch, p.Address, ago(now, p.UpdatedAt), ends)
			})
		},
	})
	cmd.AddCommand(sh.previewRemove(), sh.previewConfig())
	return cmd
}

func (sh *shell) previewRemove() *cobra.Command {
	return sh.aboutApp(&cobra.Command{
		Use: "rm ENVIRONMENT", Short: "Remove a preview with all that is in it", Aliases: []string{"remove"}, Args: wants(1, 1, "pandabox previews rm pr-12"),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, ref, err := sh.at()
			if err != nil {
				return err
			}
			if err := c.RemovePreview(cmd.Context(), client.Ref{App: ref.App, Env: args[0]}); err != nil {
				return err
			}
			if sh.json {
				return sh.writeJSON(map[string]string{"app": ref.App, "env": args[0]})
			}
			sh.done("%s of %s is being removed", args[0], ref.App)
			return nil
		},
	})
}

func (sh *shell) previewConfig() *cobra.Command {
	var want model.Previewing
	var on bool
	cmd := sh.aboutApp(&cobra.Command{
		Use: "config", Short: "See, or say, how previews are made", Args: nothing,
		Example: `  pandabox previews config
  pandabox previews config --template staging --secrets --days 14
  pandabox previews config --on=false`,
	})
	f := cmd.Flags()
	f.BoolVar(&on, "on", true, "make previews at all")
	f.StringVar(&want.Template, "template", "", "the environment whose variables they begin with (default: staging, else production)")
	f.BoolVar(&want.Secrets, "secrets", false, "begin with its secret variables too; never for forks")
	f.BoolVar(&want.Forks, "forks", false, "make previews of pull requests from forks too: anybody's code runs here then")
	f.IntVar(&want.Days, "days", 0, fmt.Sprintf("remove one that nobody pushed to for so many days (default: %d)", model.DefaultPreviewDays))
	f.IntVar(&want.Max, "max", 0, fmt.Sprintf("at most so many at once (default: %d)", model.DefaultPreviews))
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, ref, err := sh.at()
		if err != nil {
			return err
		}
		is, err := c.Previewing(cmd.Context(), ref.App)
		if err != nil {
			return err
		}
		changed := false
		for name, take := range map[string]func(){
			"on": func() { is.Off = !on }, "template": func() { is.Template = want.Template }, "secrets": func() { is.Secrets = want.Secrets },
			"forks": func() { is.Forks = want.Forks }, "days": func() { is.Days = want.Days }, "max": func() { is.Max = want.Max },
		} {
			if f.Changed(name) {
				take()
				changed = true
			}
		}
		if changed {
			if err := c.SetPreviewing(cmd.Context(), ref.App, is); err != nil {
				return err
			}
		}
		if sh.json {
			return sh.writeJSON(is)
		}
		return sh.line("%s", previewingText(is.Filled()))
	}
	return cmd
}

func previewingText(p model.Previewing) string {
	if p.Off {
		return "pull requests make no previews"
	}
	template, secrets, forks := "staging, or production where there is none", "not its secrets", "not for forks"
	if p.Template != "" {
		template = p.Template
	}
	if p.Secrets {
		secrets = "its secrets too, but for forks"
	}
	if p.Forks {
		forks = "for forks too"
	}
	return fmt.Sprintf("pull requests make previews, %s; they begin with the variables of %s, %s;\nat most %d at once, each for %d days after the last push", forks, template, secrets, p.Max, p.Days)
}
