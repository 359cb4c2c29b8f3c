package cli

import (
	"time"

	"github.com/spf13/cobra"

	"github.com/pandabox/pandabox/pkg/api"
	"github.com/pandabox/pandabox/pkg/client"
	"github.com/pandabox/pandabox/pkg/model"
)

func (sh *shell) protect(on bool) *cobra.Command {
	cmd := &cobra.Command{
		Use: "protect", Short: "Have deploys to an environment approved by an admin", Args: nothing,
		Long: `Protect the environment of the app's project. A deploy to it by somebody who is no admin waits until one approves it;
other changes of what runs there are refused to members. It is meant for all apps of the project.`,
		Example: "  pandabox protect -e production",
	}
	if !on {
		cmd.Use, cmd.Short, cmd.Example = "unprotect", "Let members change an environment again", "  pandabox unprotect -e production"
		cmd.Long = "Let every member deploy to the environment, and change it."
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, ref, err := sh.at()
		if err != nil {
			return err
		}
		e, err := c.Protect(cmd.Context(), ref, on)
		if err != nil {
			return err
		}
		switch {
		case sh.json:
			return sh.writeJSON(e)
		case on:
			sh.done("%s is protected: deploys of members wait for approval", e.Name)
		default:
			sh.done("%s is open to every member", e.Name)
		}
		return nil
	}
	return sh.aboutApp(cmd)
}

func (sh *shell) approvals() *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use: "approvals", Short: "Deploys that wait for approval", Args: nothing,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := sh.connect()
			if err != nil {
				return err
			}
			var items []api.Approval
			for a, err := range client.All(cmd.Context(), c.Approvals) {
				if err != nil {
					return err
				}
				if all || a.State == model.ApprovalWaiting {
					items = append(items, a)
				}
			}
			now := time.Now()
			return list(&sh.output, items, "nothing waits for approval", []string{"APPROVAL", "APP", "ENVIRONMENT", "WHAT", "ASKED BY", "ASKED", "STATE"}, func(t *table, a api.Approval) {
				t.add(a.ID, a.App, a.Env, short(a.What, 60), a.AskedBy, ago(now, a.CreatedAt), string(a.State))
			})
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "those that are over too")
	cmd.AddCommand(sh.approve(), sh.refuse())
	return cmd
}

func (sh *shell) approve() *cobra.Command {
	var w waiting
	cmd := &cobra.Command{
		Use: "approve APPROVAL", Short: "Begin a deploy that waits, and watch it to its end", Args: wants(1, 1, "pandabox approvals approve ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := sh.connect()
			if err != nil {
				return err
			}
			began := time.Now()
			d, err := c.Approve(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return sh.follow(cmd.Context(), c, d, w, began)
		},
	}
	w.flags(cmd)
	return cmd
}

func (sh *shell) refuse() *cobra.Command {
	return &cobra.Command{
		Use: "refuse APPROVAL", Short: "End the waiting of a deploy without it", Args: wants(1, 1, "pandabox approvals refuse ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := sh.connect()
			if err != nil {
				return err
			}
			a, err := c.Refuse(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if sh.json {
				return sh.writeJSON(a)
			}
			sh.done("%s is not deployed to %s in %s", a.What, a.App, a.Env)
			return nil
		},
	}
}
