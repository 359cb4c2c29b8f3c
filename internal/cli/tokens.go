package cli

import (
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/pandabox/pandabox/pkg/api"
	"github.com/pandabox/pandabox/pkg/client"
	"github.com/pandabox/pandabox/pkg/model"
)

func (sh *shell) tokens() *cobra.Command {
	cmd := &cobra.Command{Use: "tokens", Short: "Let machines and people in", Args: nothing, RunE: sh.listTokens}
	list := &cobra.Command{Use: "list", Short: "List tokens", Aliases: []string{"ls"}, Args: nothing, RunE: sh.listTokens}
	cmd.AddCommand(list, sh.tokensCreate(), sh.tokensRevoke())
	return cmd
}

func (sh *shell) allTokens(cmd *cobra.Command) (*client.Client, []api.Token, error) {
	c, err := sh.connect()
	if err != nil {
		return nil, nil, err
	}
	var items []api.Token
	for t, err := range client.All(cmd.Context(), c.Tokens) {
		if err != nil {
			return nil, nil, err
		}
		items = append(items, t)
	}
	return c, items, nil
}

func (sh *shell) listTokens(cmd *cobra.Command, _ []string) error {
	_, items, err := sh.allTokens(cmd)
	if err != nil {
		return err
	}
	now := time.Now()
	return list(&sh.output, items, "no token yet; make one: pandabox tokens create NAME", []string{"ID", "NAME", "ROLE", "MADE", "LAST USED", "ENDS"}, func(t *table, k api.Token) {
		ends := "never"
		if !k.ExpiresAt.IsZero() {
			ends = ago(now, k.ExpiresAt)
		}
		t.add(k.ID, k.Name, string(k.Role), ago(now, k.CreatedAt), ago(now, k.LastUsed), ends)
	})
}

func (sh *shell) tokensCreate() *cobra.Command {
	var role, ends string
	cmd := &cobra.Command{
		Use: "create NAME", Short: "Make a token; its secret is shown this once", Args: wants(1, 1, "pandabox tokens create ci"),
		Example: "  pandabox tokens create ci --role member --expires 90d",
		RunE: func(cmd *cobra.Command, args []string) error {
			n := api.NewToken{Name: args[0], Role: model.RoleName(role)}
			if ends != "" {
				d, err := parseDays(ends)
				if err != nil {
					return err
				}
				n.ExpiresAt = time.Now().Add(d)
			}
			c, err := sh.connect()
			if err != nil {
				return err
			}
			t, err := c.CreateToken(cmd.Context(), n)
			if err != nil {
				return err
			}
			if sh.json {
				return sh.writeJSON(t)
			}
			sh.say("  %s token %s, %s; this is its secret, shown this once:", sh.errStyle().good("✓"), t.Name, t.Role)
			return sh.line("%s", t.Secret)
		},
	}
	cmd.Flags().StringVar(&role, "role", "", "owner, admin or member (default: member)")
	cmd.Flags().StringVar(&ends, "expires", "", "how long it is good: 90d, 12h (default: for ever)")
	complete(cmd, "role", fixed("owner", "admin", "member"))
	return cmd
}

func (sh *shell) tokensRevoke() *cobra.Command {
	return &cobra.Command{
		Use: "revoke TOKEN", Short: "End a token at once, by its id or name", Args: wants(1, 1, "pandabox tokens revoke ci"),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, items, err := sh.allTokens(cmd)
			if err != nil {
				return err
			}
			var found []api.Token
			for _, t := range items {
				if t.ID == args[0] || t.Name == args[0] {
					found = append(found, t)
				}
			}
			switch len(found) {
			case 0:
				return model.NotFound("there is no token %q", args[0]).WithHint("see them with pandabox tokens")
			case 1:
			default:
				return model.Conflict("%d tokens are named %q", len(found), args[0]).WithHint("name it by its id: pandabox tokens revoke %s", found[0].ID)
			}
			if err := c.RevokeToken(cmd.Context(), found[0].ID); err != nil {
				return err
			}
			if sh.json {
				return sh.writeJSON(found[0])
			}
			sh.done("token %s lets nobody in any more", found[0].Name)
			return nil
		},
	}
}

// parseDays reads a duration, with d for days too.
func parseDays(s string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(s, "d"); ok {
		if n, err := strconv.Atoi(days); err == nil && n > 0 && n < 36500 {
			return time.Duration(n) * 24 * time.Hour, nil
		}
	}
	if d, err := time.ParseDuration(s); err == nil && d > 0 {
		return d, nil
	}
	return 0, model.Invalid("%q is no length of time", s).WithHint("write 90d or 12h")
}
