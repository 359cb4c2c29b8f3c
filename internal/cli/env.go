package cli

import (
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/pandabox/pandabox/pkg/api"
	"github.com/pandabox/pandabox/pkg/client"
	"github.com/pandabox/pandabox/pkg/model"
)

// maxInput bounds what is read as variables, in bytes.
const maxInput = 4 << 20

func (sh *shell) environ() *cobra.Command {
	cmd := sh.aboutApp(&cobra.Command{Use: "env", Short: "The app's variables and secrets", Args: nothing, RunE: sh.listVariables})
	cmd.AddCommand(sh.envList(), sh.envGet(), sh.envSet(), sh.envUnset())
	return cmd
}

func (sh *shell) envList() *cobra.Command {
	return sh.aboutApp(&cobra.Command{Use: "list", Short: "List variables; secrets without their value", Aliases: []string{"ls"}, Args: nothing, RunE: sh.listVariables})
}

func (sh *shell) listVariables(cmd *cobra.Command, _ []string) error {
	c, ref, err := sh.at()
	if err != nil {
		return err
	}
	items, err := c.Variables(cmd.Context(), ref)
	if err != nil {
		return err
	}
	return list(&sh.output, items, "no variable is set; set one: "+hint("env set NAME=value", ref), []string{"NAME", "VALUE"}, func(t *table, v api.Variable) {
		t.add(v.Name, strings.ReplaceAll(v.Value, "\n", `\n`))
		if v.Secret {
			t.rows[len(t.rows)-1][1] = cell{"(secret)", sh.outStyle().faint}
		}
	})
}

func (sh *shell) envGet() *cobra.Command {
	return sh.aboutApp(&cobra.Command{
		Use: "get NAME", Short: "Print one variable's value", Args: wants(1, 1, "pandabox env get LOG_LEVEL"),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, ref, err := sh.at()
			if err != nil {
				return err
			}
			items, err := c.Variables(cmd.Context(), ref)
			if err != nil {
				return err
			}
			for _, v := range items {
				switch {
				case v.Name != args[0]:
				case v.Secret:
					return model.Errorf(model.KindForbidden, "%s is a secret: it can be set, not read", v.Name)
				case sh.json:
					return sh.writeJSON(v)
				default:
					return sh.line("%s", v.Value)
				}
			}
			return model.NotFound("%s is not set", args[0]).WithHint("%s", hint("env set "+args[0]+"=value", ref))
		},
	})
}

func (sh *shell) envSet() *cobra.Command {
	var file string
	var secret bool
	var w waiting
	cmd := &cobra.Command{
		Use: "set [NAME=value...]", Short: "Set variables, and restart what runs with them",
		Long: `Set variables. What runs is replaced by a release with the new values, one replica after the other.

NAME alone asks for the value without showing it, or reads it from standard input. --from-file reads a .env file,
- for standard input.`,
		Example: `  pandabox env set LOG_LEVEL=debug GREETING="Good day"
  pandabox env set --secret STRIPE_KEY
  pandabox env set --from-file .env`,
		Args: wants(0, -1, ""),
		RunE: func(cmd *cobra.Command, args []string) error {
			began := time.Now()
			set, err := sh.readVariables(args, file)
			if err != nil {
				return err
			}
			change := api.VariableChange{Set: set}
			if secret {
				change.Secrets = slices.Sorted(maps.Keys(set))
			}
			return sh.changeVariables(cmd, change, w, began, "set "+count(len(set), "variable"))
		},
	}
	cmd.Flags().StringVar(&file, "from-file", "", "read a .env file; - for standard input")
	cmd.Flags().BoolVar(&secret, "secret", false, "write-only from now on")
	w.flags(cmd)
	return sh.aboutApp(cmd)
}

func (sh *shell) envUnset() *cobra.Command {
	var w waiting
	cmd := &cobra.Command{
		Use: "unset NAME...", Short: "Unset variables, and restart what runs without them", Args: wants(1, -1, "pandabox env unset LOG_LEVEL"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return sh.changeVariables(cmd, api.VariableChange{Unset: args}, w, time.Now(), "unset "+count(len(args), "variable"))
		},
	}
	w.flags(cmd)
	return sh.aboutApp(cmd)
}

func (sh *shell) changeVariables(cmd *cobra.Command, change api.VariableChange, w waiting, began time.Time, what string) error {
	c, ref, err := sh.at()
	if err != nil {
		return err
	}
	changed, err := c.SetVariables(cmd.Context(), ref, change)
	if err != nil {
		return err
	}
	if changed.Deploy != nil {
		if !sh.json {
			sh.say("  %s %s", sh.errStyle().good("✓"), what)
		}
		return sh.follow(cmd.Context(), c, named(*changed.Deploy, ref), w, began)
	}
	if sh.json {
		return sh.writeJSON(changed)
	}
	sh.done("%s", what)
	return nil
}

// named fills in the names of a deploy, where the box left them out.
func named(d api.Deploy, ref client.Ref) api.Deploy {
	if d.App == "" {
		d.App, d.Env = ref.App, ref.Env
	}
	return d
}

// readVariables gathers what is to be set from arguments, a file, and standard input.
func (sh *shell) readVariables(args []string, file string) (map[string]string, error) {
	set := map[string]string{}
	if file != "" {
		text, err := sh.readInput(file)
		if err != nil {
			return nil, err
		}
		if set, err = parseDotenv(file, text); err != nil {
			return nil, err
		}
	}
	for _, a := range args {
		name, value, ok := strings.Cut(a, "=")
		if !ok {
			var err error
			if value, err = sh.readValue(name, len(args) == 1 && file == ""); err != nil {
				return nil, err
			}
		}
		if err := model.CheckVariable(name, value); err != nil {
			return nil, err
		}
		set[name] = value
	}
	if len(set) == 0 {
		return nil, model.Invalid("set what?").WithHint("pandabox env set NAME=value, or --from-file .env")
	}
	return set, nil
}

// readValue reads one value that is not on the command line.
func (sh *shell) readValue(name string, alone bool) (string, error) {
	if err := model.CheckVariable(name, ""); err != nil {
		return "", err
	}
	if sh.interactive() {
		return sh.askSecret(name+": ", name+"=value")
	}
	if !alone {
		return "", model.Invalid("%s has no value", name).WithHint("write %s=value; only a single NAME is read from standard input", name)
	}
	text, err := sh.readInput("-")
	return strings.TrimSuffix(strings.TrimSuffix(text, "\n"), "\r"), err
}

func (sh *shell) readInput(file string) (string, error) {
	in := sh.in
	if file != "-" {
		f, err := os.Open(sh.path(file))
		if err != nil {
			return "", model.NotFound("%s cannot be read", file).Wrap(err)
		}
		defer func() { _ = f.Close() }()
		in = f
	}
	b, err := io.ReadAll(io.LimitReader(in, maxInput+1))
	if err != nil {
		return "", model.Invalid("%s cannot be read", file).Wrap(err)
	}
	if len(b) > maxInput {
		return "", model.Errorf(model.KindTooLarge, "%s is larger than %s", file, size(maxInput))
	}
	return string(b), nil
}
