package cli

import (
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/pandabox/pandabox/pkg/api"
	"github.com/pandabox/pandabox/pkg/client"
)

func (sh *shell) apps() *cobra.Command {
	cmd := &cobra.Command{Use: "apps", Short: "The org's apps", Args: nothing, RunE: sh.listApps}
	cmd.AddCommand(&cobra.Command{Use: "list", Short: "List apps", Aliases: []string{"ls"}, Args: nothing, RunE: sh.listApps})
	return cmd
}

func (sh *shell) listApps(cmd *cobra.Command, _ []string) error {
	c, err := sh.connect()
	if err != nil {
		return err
	}
	var items []api.App
	for a, err := range client.All(cmd.Context(), c.Apps) {
		if err != nil {
			return err
		}
		items = append(items, a)
	}
	now := time.Now()
	return list(&sh.output, items, "no app yet; begin with: pandabox deploy", []string{"APP", "PROJECT", "KIND", "ENVIRONMENTS", "MADE"}, func(t *table, a api.App) {
		var envs []string
		for _, w := range a.Workloads {
			envs = append(envs, w.Env)
		}
		t.add(a.Name, a.Project, string(a.Kind), strings.Join(envs, ", "), ago(now, a.CreatedAt))
	})
}

func (sh *shell) destroy() *cobra.Command {
	var whole bool
	cmd := &cobra.Command{
		Use: "destroy", Short: "Remove an app from an environment, with its volumes, logs and releases", Args: nothing,
		Long: "Remove an app from an environment, with its volumes, logs, domains and releases. This cannot be undone. It asks for\nthe app's name; --yes is for scripts.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, ref, err := sh.at()
			if err != nil {
				return err
			}
			from := ref.Env
			if whole {
				app, err := c.App(cmd.Context(), ref.App)
				if err != nil {
					return err
				}
				var envs []string
				for _, w := range app.Workloads {
					envs = append(envs, w.Env)
				}
				from = strings.Join(envs, ", ")
			} else if _, err := c.Workload(cmd.Context(), ref); err != nil {
				return err
			}
			if !sh.yes {
				if err := sh.confirmName("This removes "+ref.App+" from "+from+" with its volumes, logs and releases. It cannot be undone.", ref.App); err != nil {
					return err
				}
			}
			if whole {
				err = c.DestroyApp(cmd.Context(), ref.App)
			} else {
				err = c.DestroyEnv(cmd.Context(), ref)
			}
			if err != nil {
				return err
			}
			if sh.json {
				return sh.writeJSON(map[string]string{"destroyed": ref.App, "env": from})
			}
			sh.done("%s is being removed from %s", ref.App, from)
			return nil
		},
	}
	cmd.Flags().BoolVar(&whole, "all-envs", false, "from every environment")
	return sh.aboutApp(cmd)
}
