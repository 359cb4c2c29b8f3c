package cli

import (
	"encoding/base64"
	"io"
	"os"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/pandabox/pandabox/pkg/api"
	"github.com/pandabox/pandabox/pkg/model"
)

func (sh *shell) kv() *cobra.Command {
	cmd := &cobra.Command{
		Use: "kv", Short: "The environment's key-value store: env.KV in functions", Args: nothing,
		Long: "The environment's key-value store: env.KV in functions. All functions of a project's environment share it; -a names the\nenvironment by any app in it.",
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(sh.kvGet(), sh.kvPut(), sh.kvDelete(), sh.kvList())
	return cmd
}

func (sh *shell) kvGet() *cobra.Command {
	return sh.aboutApp(&cobra.Command{
		Use: "get KEY", Short: "Print the value of a key, as it is", Args: wants(1, 1, "pandabox kv get greeting"),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, ref, err := sh.at()
			if err != nil {
				return err
			}
			value, err := c.Key(cmd.Context(), ref, args[0])
			if err != nil {
				return err
			}
			if sh.json {
				out := map[string]string{"key": args[0]}
				if utf8.Valid(value) {
					out["value"] = string(value)
				} else {
					out["base64"] = base64.StdEncoding.EncodeToString(value)
				}
				return sh.writeJSON(out)
			}
			if terminal(sh.out) != nil && !strings.HasSuffix(string(value), "\n") {
				value = append(value, '\n') // the prompt begins a line of its own
			}
			_, err = sh.out.Write(value)
			return err
		},
	})
}

func (sh *shell) kvPut() *cobra.Command {
	var file, ttl string
	cmd := &cobra.Command{
		Use: "put KEY [VALUE]", Short: "Write a key",
		Long: "Write a key: the value given, or that of a file, or standard input. A value has at most 1 MB, a key at most 512 bytes.",
		Example: `  pandabox kv put greeting hello
  pandabox kv put logo --file logo.png
  date | pandabox kv put today --ttl 24h`,
		Args: wants(1, 2, "pandabox kv put greeting hello"),
		RunE: func(cmd *cobra.Command, args []string) error {
			keep, err := parseTTL(ttl)
			if err != nil {
				return err
			}
			value, err := sh.kvValue(args, file)
			if err != nil {
				return err
			}
			c, ref, err := sh.at()
			if err != nil {
				return err
			}
			if err := c.PutKey(cmd.Context(), ref, args[0], value, keep); err != nil {
				return err
			}
			if sh.json {
				return sh.writeJSON(map[string]any{"key": args[0], "bytes": len(value)})
			}
			till := ""
			if keep > 0 {
				till = ", for " + ttl
			}
			sh.done("%s is %s%s", args[0], size(int64(len(value))), till)
			return nil
		},
	}
	cmd.Flags().StringVarP(&file, "file", "f", "", "read the value from a file; - for standard input")
	cmd.Flags().StringVar(&ttl, "ttl", "", "forget it after so long: 10m, 24h, 30d (default: never)")
	return sh.aboutApp(cmd)
}

// kvValue returns the value to write: the argument, a file's content, or standard input.
func (sh *shell) kvValue(args []string, file string) ([]byte, error) {
	switch {
	case len(args) == 2 && file != "":
		return nil, model.Invalid("there are two values: %q and --file %s", args[1], file).WithHint("keep one of the two")
	case len(args) == 2:
		return []byte(args[1]), nil
	case file == "" && terminal(sh.in) != nil:
		return nil, model.Invalid("%s has no value", args[0]).WithHint("pandabox kv put %s VALUE, or --file FILE", args[0])
	}
	in, name := sh.in, "standard input"
	if file != "" && file != "-" {
		f, err := os.Open(sh.path(file))
		if err != nil {
			return nil, model.NotFound("%s cannot be read", file).Wrap(err)
		}
		defer func() { _ = f.Close() }()
		in, name = f, file
	}
	value, err := io.ReadAll(io.LimitReader(in, api.MaxKVValue+1))
	if err != nil {
		return nil, model.Invalid("%s cannot be read", name).Wrap(err)
	}
	if len(value) > api.MaxKVValue {
		return nil, model.Errorf(model.KindTooLarge, "%s is larger than %s", name, size(api.MaxKVValue)).WithHint("keep what is large elsewhere, and its address here")
	}
	return value, nil
}

// parseTTL reads "10m", "24h" or "30d"; "" is 0, for ever.
func parseTTL(s string) (time.Duration, error) {
	if s == "" {
		return 0, nil
	}
	d, err := time.ParseDuration(s)
	if days, ok := strings.CutSuffix(s, "d"); err != nil && ok {
		var n int
		if n, err = strconv.Atoi(days); err == nil && n <= 36500 {
			d = time.Duration(n) * 24 * time.Hour
		}
	}
	if err != nil || d < time.Second {
		return 0, model.Invalid("--ttl %s is no length of time", s).WithHint("write 10m, 24h or 30d; a second at least")
	}
	return d, nil
}

func (sh *shell) kvDelete() *cobra.Command {
	return sh.aboutApp(&cobra.Command{
		Use: "delete KEY...", Short: "Remove keys", Aliases: []string{"rm"}, Args: wants(1, -1, "pandabox kv delete greeting"),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, ref, err := sh.at()
			if err != nil {
				return err
			}
			for _, key := range args {
				if err := c.DeleteKey(cmd.Context(), ref, key); err != nil {
					return err
				}
			}
			if sh.json {
				return sh.writeJSON(map[string]any{"deleted": args})
			}
			sh.done("deleted %s", count(len(args), "key"))
			return nil
		},
	})
}

func (sh *shell) kvList() *cobra.Command {
	var prefix string
	var limit int
	cmd := &cobra.Command{
		Use: "list", Short: "List keys, in order", Aliases: []string{"ls"}, Args: nothing,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if limit < 1 {
				return model.Invalid("--limit %d is no number of keys", limit).WithHint("choose 1 or more")
			}
			c, ref, err := sh.at()
			if err != nil {
				return err
			}
			var keys []api.KVKey
			var more bool
			for page := (api.Page{}); ; {
				page.Limit = min(limit-len(keys), api.MaxLimit)
				l, err := c.Keys(cmd.Context(), ref, prefix, page)
				if err != nil {
					return err
				}
				keys = append(keys, l.Items...)
				if more = l.Next != ""; !more || len(keys) >= limit {
					break
				}
				page.After = l.Next
			}
			now := time.Now()
			empty := "no key yet; write one: " + hint("kv put KEY VALUE", ref)
			if prefix != "" {
				empty = "no key begins with " + prefix
			}
			err = list(&sh.output, keys, empty, []string{"KEY", "EXPIRES"}, func(t *table, k api.KVKey) {
				expires := "never"
				if !k.ExpiresAt.IsZero() {
					expires = ago(now, k.ExpiresAt)
				}
				t.add(k.Name, expires)
			})
			if err == nil && more && !sh.json {
				sh.say("  there are more: add -n %d, or --prefix", 10*limit)
			}
			return err
		},
	}
	cmd.Flags().StringVar(&prefix, "prefix", "", "only keys that begin with it")
	cmd.Flags().IntVarP(&limit, "limit", "n", 1000, "at most so many")
	return sh.aboutApp(cmd)
}
