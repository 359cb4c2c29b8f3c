package cli

import (
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/pandabox/pandabox/pkg/api"
	"github.com/pandabox/pandabox/pkg/model"
)

func (sh *shell) repos() *cobra.Command {
	cmd := sh.aboutApp(&cobra.Command{
		Use: "repos", Short: "Repositories at GitHub, GitLab, Gitea and Forgejo", Args: nothing,
		Long: `Repositories at forges whose pushes and pull requests are deployed. Which branch goes where is said by pandabox track;
without -a the repositories of all apps are listed.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := sh.connect()
			if err != nil {
				return err
			}
			all, err := c.Repositories(cmd.Context(), sh.app)
			if err != nil {
				return err
			}
			now := time.Now()
			return list(&sh.output, all, "no repository; begin with: pandabox repos connect URL", []string{"REPOSITORY", "FORGE", "APP", "ADDRESS", "CONNECTED"}, func(t *table, r api.Repository) {
				t.add(r.Name, string(r.Forge), r.App, r.URL, ago(now, r.CreatedAt))
			})
		},
	})
	cmd.AddCommand(sh.reposConnect(), sh.reposShow(), sh.reposRemove(), sh.reposApp())
	return cmd
}

func (sh *shell) reposConnect() *cobra.Command {
	var n api.NewRepository
	var forge, token string
	cmd := sh.aboutApp(&cobra.Command{
		Use: "connect URL", Short: "Deploy what is pushed to a repository", Args: wants(1, 1, "pandabox repos connect https://github.com/acme/shop"),
		Long: `Connect a repository: pushes to the branches that are tracked are deployed, and pull requests get previews. It prints
the webhook to enter at the forge. With a token the box fetches private repositories and reports back what became of
each commit; a deploy key fetches over ssh.`,
		Example: `  pandabox repos connect https://github.com/acme/shop --token - < token.txt
  pandabox repos connect git@gitlab.com:acme/shop.git --deploy-key
  pandabox repos connect https://git.example.com/acme/shop --forge gitea`,
		RunE: func(cmd *cobra.Command, args []string) error {
			n.URL, n.Forge = args[0], model.Forge(forge)
			if token != "" && token != "-" {
				return model.Invalid("a token on the command line is seen by everybody on this machine").WithHint("give it on standard input: --token - < token.txt")
			}
			if token == "-" {
				b, err := io.ReadAll(io.LimitReader(sh.in, 4097))
				if err != nil {
					return model.Invalid("the token cannot be read").Wrap(err)
				}
				if n.Token = strings.TrimSpace(string(b)); n.Token == "" {
					return model.Invalid("no token came on standard input").WithHint("--token - < token.txt")
				}
			}
			c, ref, err := sh.at()
			if err != nil {
				return err
			}
			r, err := c.ConnectRepository(cmd.Context(), ref.App, n)
			if err != nil {
				return err
			}
			if sh.json {
				return sh.writeJSON(r)
			}
			sh.done("%s at %s is connected to %s; enter this there:", r.Name, r.Forge, r.App)
			lines := []string{"webhook  " + r.Hook, "secret   " + r.Signed, "sends    application/json, for pushes and pull (merge) requests"}
			if r.GitHubApp != "" {
				lines = []string{"the GitHub App's webhook is the one that counts: " + r.Hook}
			}
			if r.PublicKey != "" {
				lines = append(lines, "key      "+r.PublicKey)
			}
			for _, l := range lines {
				if err := sh.line("  %s", l); err != nil {
					return err
				}
			}
			return nil
		},
	})
	f := cmd.Flags()
	f.StringVar(&forge, "forge", "", "github, gitlab or gitea, which is Forgejo too (default: as the host's name says)")
	f.StringVar(&token, "token", "", "- reads a token to fetch and to report with from standard input")
	f.StringVar(&n.GitHubApp, "github-app", "", "open it with this GitHub App: pandabox repos app")
	f.BoolVar(&n.DeployKey, "deploy-key", false, "make a key pair to fetch with over ssh")
	complete(cmd, "forge", fixed("github", "gitlab", "gitea"))
	return cmd
}

func (sh *shell) reposShow() *cobra.Command {
	return &cobra.Command{
		Use: "show REPOSITORY", Short: "What its forge told of, and what became of it", Args: wants(1, 1, "pandabox repos show acme/shop"),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := sh.connect()
			if err != nil {
				return err
			}
			all, err := c.Deliveries(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			now := time.Now()
			return list(&sh.output, all, "its forge has told of nothing yet; does the webhook work?", []string{"TOLD", "EVENT", "BRANCH", "COMMIT", "STATE", "WHAT BECAME OF IT"}, func(t *table, d api.Delivery) {
				branch, commit := "-", "-"
				if a := d.Arrival; a != nil {
					branch, commit = a.Branch, short(a.Commit, 8)
				}
				t.add(ago(now, d.At), d.Event, branch, commit, string(d.State), d.Detail)
				t.paint(4, sh.outStyle().state)
			})
		},
	}
}

func (sh *shell) reposRemove() *cobra.Command {
	return &cobra.Command{
		Use: "rm REPOSITORY", Short: "Forget a repository; what runs stays", Aliases: []string{"remove"}, Args: wants(1, 1, "pandabox repos rm acme/shop"),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := sh.connect()
			if err != nil {
				return err
			}
			if err := c.RemoveRepository(cmd.Context(), args[0]); err != nil {
				return err
			}
			if sh.json {
				return sh.writeJSON(map[string]string{"repository": args[0]})
			}
			sh.done("%s is forgotten; remove the webhook at the forge too", args[0])
			return nil
		},
	}
}
