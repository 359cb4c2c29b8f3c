package cli

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/pandabox/pandabox/pkg/api"
	"github.com/pandabox/pandabox/pkg/client"
	"github.com/pandabox/pandabox/pkg/model"
)

func (sh *shell) track() *cobra.Command {
	var t model.Tracking
	var auto string
	cmd := sh.aboutApp(&cobra.Command{
		Use: "track [BRANCH]", Short: "Which pushes are deployed to an environment", Args: wants(0, 1, "pandabox track main"),
		Long: `Which pushes of the app's code are deployed to an environment: of git push and of forges. Without arguments and flags
it lists what the app's environments track. Where nothing is said, production tracks main and master, and the others
nothing. What is not named here goes back to its default. A commit whose message has [skip deploy] or [skip ci] in it is
not deployed.`,
		Example: `  pandabox track
  pandabox track develop -e staging
  pandabox track main --dir apps/web --paths 'apps/web/**' --paths 'packages/**'
  pandabox track main --auto off`,
	})
	flags := cmd.Flags()
	flags.StringVar(&auto, "auto", "on", "on or off: whether a push is deployed by itself")
	flags.StringVar(&t.Dir, "dir", "", "the folder of the repository that is the app (default: the whole)")
	flags.StringArrayVar(&t.Paths, "paths", nil, "only pushes that change these paths, as in .gitignore; may be repeated (default: all below --dir)")
	complete(cmd, "auto", fixed("on", "off"))
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, ref, err := sh.at()
		if err != nil {
			return err
		}
		if len(args) == 0 && !flags.Changed("auto") && !flags.Changed("dir") && !flags.Changed("paths") {
			return sh.listTracking(cmd, c, ref)
		}
		switch auto {
		case "on":
		case "off":
			t.Manual = true
		default:
			return model.Invalid("--auto %s is neither on nor off", auto)
		}
		t.Branch = first(args)
		is, err := c.Track(cmd.Context(), ref, t)
		if err != nil {
			return err
		}
		if sh.json {
			return sh.writeJSON(is)
		}
		sh.done("%s in %s: %s", ref.App, ref.Env, trackText(is))
		return nil
	}
	return cmd
}

func (sh *shell) listTracking(cmd *cobra.Command, c *client.Client, ref client.Ref) error {
	all, err := c.Tracking(cmd.Context(), ref.App)
	if err != nil {
		return err
	}
	return list(&sh.output, all, "nothing is tracked", []string{"ENVIRONMENT", "BRANCH", "AUTO", "FOLDER", "PATHS"}, func(tab *table, t api.EnvTracking) {
		auto, dir, paths := "on", t.Dir, strings.Join(t.Paths, ", ")
		if t.Manual {
			auto = "off"
		}
		if dir == "" {
			dir = "-"
		}
		if paths == "" {
			paths = "all"
		}
		tab.add(t.Env, trackedBranch(t), auto, dir, paths)
	})
}

// trackedBranch names the branch an environment tracks.
func trackedBranch(t api.EnvTracking) string {
	switch {
	case t.Branch != "":
		return t.Branch
	case t.Tracks(t.Env, "main"):
		return "main, master"
	}
	return "-"
}

func trackText(t api.EnvTracking) string {
	text := "pushes to " + trackedBranch(t) + " are deployed"
	switch {
	case t.Manual:
		return "pushes are not deployed"
	case trackedBranch(t) == "-":
		return "no branch is tracked"
	case t.Dir != "":
		text += " from " + t.Dir
	}
	if len(t.Paths) > 0 {
		text += " when they change " + strings.Join(t.Paths, ", ")
	}
	return text
}
