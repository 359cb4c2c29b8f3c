package cli

import (
	"time"

	"github.com/spf13/cobra"

	"github.com/pandabox/pandabox/pkg/api"
)

func (sh *shell) hooks() *cobra.Command {
	cmd := sh.aboutApp(&cobra.Command{
		Use: "hooks", Short: "Addresses that deploy when they are asked, for any CI", Args: nothing,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := sh.connect()
			if err != nil {
				return err
			}
			all, err := c.DeployHooks(cmd.Context(), sh.app)
			if err != nil {
				return err
			}
			now := time.Now()
			return list(&sh.output, all, "no deploy hook; make one: pandabox hooks add ci", []string{"HOOK", "NAME", "APP", "ENVIRONMENT", "MADE", "LAST USED"}, func(t *table, h api.DeployHook) {
				t.add(h.ID, h.Name, h.App, h.Env, ago(now, h.CreatedAt), ago(now, h.LastUsed))
			})
		},
	})
	add := sh.aboutApp(&cobra.Command{
		Use: "add NAME", Short: "Make a deploy hook; its address is shown this once", Args: wants(1, 1, "pandabox hooks add ci"),
		Example: `  pandabox hooks add ci
  curl -X POST ADDRESS -d '{"image": "registry.example.com/shop:2"}'`,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, ref, err := sh.at()
			if err != nil {
				return err
			}
			h, err := c.CreateDeployHook(cmd.Context(), ref, args[0])
			if err != nil {
				return err
			}
			if sh.json {
				return sh.writeJSON(h)
			}
			sh.done("whoever has this address may deploy %s to %s; it is shown this once:", h.App, h.Env)
			return sh.line("%s", h.Address)
		},
	})
	rm := sh.aboutApp(&cobra.Command{
		Use: "rm HOOK", Short: "End a deploy hook, by its id or name", Aliases: []string{"remove"}, Args: wants(1, 1, "pandabox hooks rm ci"),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, ref, err := sh.at()
			if err != nil {
				return err
			}
			if err := c.RemoveDeployHook(cmd.Context(), ref, args[0]); err != nil {
				return err
			}
			if sh.json {
				return sh.writeJSON(map[string]string{"hook": args[0]})
			}
			sh.done("the deploy hook %s deploys nothing any more", args[0])
			return nil
		},
	})
	cmd.AddCommand(add, rm)
	return cmd
}
