package cli

import (
	"github.com/spf13/cobra"
)

func (sh *shell) fn() *cobra.Command {
	cmd := &cobra.Command{
		Use: "fn", Short: "Functions: code that runs inside pandabox, without a container", Args: nothing,
		Example: `  pandabox fn init hello && cd hello
  pandabox fn dev
  pandabox fn deploy
  pandabox fn invoke '/greet?name=Ada'`,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(sh.fnInit(), sh.fnDev(), sh.fnDeploy(), sh.fnInvoke(), sh.fnLogs())
	return cmd
}

// fnLogs is logs: a function's are read as those of any app.
func (sh *shell) fnLogs() *cobra.Command {
	cmd := sh.logs()
	cmd.Short = "What a function printed, and where it failed"
	cmd.Example = `  pandabox fn logs -f
  pandabox fn logs --since 1h`
	_ = cmd.Flags().MarkHidden("build") // a function is bundled, not built
	return cmd
}
