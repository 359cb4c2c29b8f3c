package cli

import (
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/pandabox/pandabox/pkg/model"
)

// wants takes from least to most arguments; most -1 means any number. example shows a right command line.
func wants(least, most int, example string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		var what string
		switch {
		case len(args) < least:
			what = fmt.Sprintf("%s needs %s", cmd.CommandPath(), count(least, "argument"))
			if least != most {
				what = fmt.Sprintf("%s needs at least %s", cmd.CommandPath(), count(least, "argument"))
			}
		case most >= 0 && len(args) > most:
			what = fmt.Sprintf("%s does not know what to do with %q", cmd.CommandPath(), args[most])
		default:
			return nil
		}
		e := model.Invalid("%s", what)
		if example == "" {
			return e.WithHint("see: %s --help", cmd.CommandPath())
		}
		return e.WithHint("for example: %s", example)
	}
}

// nothing takes no arguments. On a command with others below it, an argument is taken for a slip of one of them.
func nothing(cmd *cobra.Command, args []string) error {
	if len(args) > 0 && cmd.HasAvailableSubCommands() {
		return unknownCommand(cmd, args[0])
	}
	return wants(0, 0, "")(cmd, args)
}

func flagNames(cmd *cobra.Command) (names []string) {
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if !f.Hidden {
			names = append(names, f.Name)
		}
	})
	return names
}

// aboutApp gives a command the flags that choose an app and an environment.
func (sh *shell) aboutApp(cmd *cobra.Command) *cobra.Command {
	cmd.Flags().StringVarP(&sh.app, "app", "a", "", "the app (PANDABOX_APP; default: as pandabox.toml, the git remote or the folder says)")
	cmd.Flags().StringVarP(&sh.appEnv, "env", "e", "", "the environment (PANDABOX_ENV; default: production)")
	complete(cmd, "app", sh.completeApps)
	complete(cmd, "env", sh.completeEnvs)
	return cmd
}
