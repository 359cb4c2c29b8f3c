package cli

import (
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/pandabox/pandabox/pkg/api"
	"github.com/pandabox/pandabox/pkg/client"
	"github.com/pandabox/pandabox/pkg/model"
)

const maxPublicKey = 16 << 10 // bytes

func (sh *shell) keys() *cobra.Command {
	cmd := &cobra.Command{Use: "keys", Short: "SSH keys that may push code", Args: nothing, RunE: sh.listKeys}
	list := &cobra.Command{Use: "list", Short: "List SSH keys", Aliases: []string{"ls"}, Args: nothing, RunE: sh.listKeys}
	cmd.AddCommand(list, sh.keysAdd(), sh.keysRemove())
	return cmd
}

func (sh *shell) allKeys(cmd *cobra.Command) (*client.Client, []api.Key, error) {
	c, err := sh.connect()
	if err != nil {
		return nil, nil, err
	}
	var items []api.Key
	for k, err := range client.All(cmd.Context(), c.SSHKeys) {
		if err != nil {
			return nil, nil, err
		}
		items = append(items, k)
	}
	return c, items, nil
}

func (sh *shell) listKeys(cmd *cobra.Command, _ []string) error {
	_, items, err := sh.allKeys(cmd)
	if err != nil {
		return err
	}
	now := time.Now()
	return list(&sh.output, items, "no key yet; add yours: pandabox keys add", []string{"NAME", "TYPE", "FINGERPRINT", "ADDED", "LAST USED"}, func(t *table, k api.Key) {
		t.add(k.Name, k.Type, k.Fingerprint, ago(now, k.CreatedAt), ago(now, k.LastUsed))
	})
}

func (sh *shell) keysAdd() *cobra.Command {
	var name string
	cmd := &cobra.Command{
		Use: "add [FILE]", Short: "Let the holder of an SSH key push (default: ~/.ssh/id_ed25519.pub)", Args: wants(0, 1, "pandabox keys add ~/.ssh/id_ed25519.pub"),
		Example: "  pandabox keys add\n  pandabox keys add ann.pub --name ann\n  ssh-add -L | head -1 | pandabox keys add -",
		RunE: func(cmd *cobra.Command, args []string) error {
			file := ""
			if len(args) > 0 {
				file = args[0]
			}
			text, err := sh.publicKey(file)
			if err != nil {
				return err
			}
			c, err := sh.connect()
			if err != nil {
				return err
			}
			k, err := c.AddSSHKey(cmd.Context(), api.NewKey{Name: name, Public: text})
			if err != nil {
				return err
			}
			if sh.json {
				return sh.writeJSON(k)
			}
			sh.done("key %s may push: pandabox git remote --ssh", k.Name)
			return nil
		},
	}
	cmd.Flags().StringVar(&name, "name", "", "what it is called (default: the comment in the file)")
	return cmd
}

// publicKey reads a file, "-" for the input and "" for the person's own.
func (sh *shell) publicKey(file string) (string, error) {
	in := sh.in
	if file != "-" {
		if file == "" {
			file = filepath.Join(sh.env("HOME"), ".ssh", "id_ed25519.pub")
		}
		f, err := os.Open(sh.path(file))
		if err != nil {
			return "", model.Invalid("the key cannot be read").Wrap(err).WithWhy("%s", err).WithHint("name its file: pandabox keys add FILE; or make one: ssh-keygen -t ed25519")
		}
		defer func() { _ = f.Close() }()
		in = f
	}
	b, err := io.ReadAll(io.LimitReader(in, maxPublicKey))
	if err != nil {
		return "", model.Invalid("the key cannot be read").Wrap(err).WithWhy("%s", err)
	}
	return string(b), nil
}

func (sh *shell) keysRemove() *cobra.Command {
	return &cobra.Command{
		Use: "rm KEY", Short: "End an SSH key at once, by its name, fingerprint or id", Aliases: []string{"remove"}, Args: wants(1, 1, "pandabox keys rm ann@laptop"),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, items, err := sh.allKeys(cmd)
			if err != nil {
				return err
			}
			for _, k := range items {
				if k.Name != args[0] && k.Fingerprint != args[0] && k.ID != args[0] {
					continue
				}
				if err := c.RemoveSSHKey(cmd.Context(), k.ID); err != nil {
					return err
				}
				if sh.json {
					return sh.writeJSON(k)
				}
				sh.done("key %s lets nobody in any more", k.Name)
				return nil
			}
			return model.NotFound("there is no key %q", args[0]).WithHint("see them with pandabox keys")
		},
	}
}
