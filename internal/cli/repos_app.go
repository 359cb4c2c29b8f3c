package cli

import (
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/pandabox/pandabox/pkg/api"
	"github.com/pandabox/pandabox/pkg/model"
)

func (sh *shell) reposApp() *cobra.Command {
	cmd := &cobra.Command{
		Use: "app", Short: "GitHub Apps that repositories are opened with", Args: nothing,
		Long: `A GitHub App opens all repositories it is installed at: one webhook and one key for them, and no token of a person's.
Make it at GitHub (Settings, Developer settings, GitHub Apps) with the permissions contents: read, commit statuses:
write, deployments: write, pull requests: read, and the events push and pull request.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := sh.connect()
			if err != nil {
				return err
			}
			all, err := c.GitHubApps(cmd.Context())
			if err != nil {
				return err
			}
			now := time.Now()
			return list(&sh.output, all, "no GitHub App; add one: pandabox repos app add NAME", []string{"NAME", "APP ID", "WEBHOOK", "ADDED"}, func(t *table, g api.GitHubApp) {
				t.add(g.Name, strconv.FormatInt(g.AppID, 10), g.Hook, ago(now, g.CreatedAt))
			})
		},
	}
	var n api.NewGitHubApp
	var file string
	add := &cobra.Command{
		Use: "add NAME", Short: "Keep a GitHub App's key; prints the webhook to enter there", Args: wants(1, 1, "pandabox repos app add acme --id 12345 --private-key key.pem"),
		Example: `  pandabox repos app add acme --id 12345 --private-key acme.private-key.pem
  pandabox repos connect https://github.com/acme/shop --github-app acme`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if file == "" {
				return model.Invalid("no private key is named").WithHint("--private-key FILE, the .pem that GitHub made")
			}
			key, err := os.ReadFile(sh.path(file))
			if err != nil {
				return model.NotFound("the private key cannot be read").Wrap(err).WithWhy("%s", err)
			}
			n.Name, n.PrivateKey = args[0], string(key)
			c, err := sh.connect()
			if err != nil {
				return err
			}
			g, err := c.AddGitHubApp(cmd.Context(), n)
			if err != nil {
				return err
			}
			if sh.json {
				return sh.writeJSON(g)
			}
			sh.done("the GitHub App %s is kept; enter this on its page:", g.Name)
			for _, l := range []string{"webhook  " + g.Hook, "secret   " + g.Signed} {
				if err := sh.line("  %s", l); err != nil {
					return err
				}
			}
			return nil
		},
	}
	add.Flags().Int64Var(&n.AppID, "id", 0, "the App ID, as GitHub shows it")
	add.Flags().StringVar(&file, "private-key", "", "the .pem file that GitHub made")
	rm := &cobra.Command{
		Use: "rm NAME", Short: "Forget a GitHub App", Aliases: []string{"remove"}, Args: wants(1, 1, "pandabox repos app rm acme"),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := sh.connect()
			if err != nil {
				return err
			}
			if err := c.RemoveGitHubApp(cmd.Context(), args[0]); err != nil {
				return err
			}
			if sh.json {
				return sh.writeJSON(map[string]string{"name": args[0]})
			}
			sh.done("the GitHub App %s is forgotten", args[0])
			return nil
		},
	}
	cmd.AddCommand(add, rm)
	return cmd
}
