package cli

import (
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/pandabox/pandabox/pkg/api"
	"github.com/pandabox/pandabox/pkg/client"
)

func (sh *shell) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", Args: nothing,
		RunE: func(*cobra.Command, []string) error {
			if sh.json {
				return sh.writeJSON(map[string]string{"version": sh.version, "os": runtime.GOOS, "arch": runtime.GOARCH, "go": runtime.Version()})
			}
			return sh.line("pandabox %s", sh.version)
		},
	}
}

func (sh *shell) backup() *cobra.Command {
	return &cobra.Command{
		Use: "backup [FILE]", Short: "Save the box's control state; - for standard output", Args: wants(0, 1, "pandabox backup box.tar"),
		Long: "Save the box's control state: apps, releases, variables, domains, tokens, and the keys that open them. Keep it safe.\nVolumes and images are not in it. Put it back with: pandabox restore FILE",
		RunE: func(cmd *cobra.Command, args []string) error {
			name := "pandabox-" + time.Now().UTC().Format("20060102-150405") + ".tar"
			if len(args) > 0 {
				name = args[0]
			}
			c, err := sh.connect()
			if err != nil {
				return err
			}
			if name == "-" {
				return c.Backup(cmd.Context(), sh.out)
			}
			var n int64
			err = writeFile(sh.path(name), func(f *os.File) error {
				if err := c.Backup(cmd.Context(), f); err != nil {
					return err
				}
				st, err := f.Stat()
				if err != nil {
					return fmt.Errorf("looking at the backup: %w", err)
				}
				n = st.Size()
				return nil
			})
			if err != nil {
				return err
			}
			if sh.json {
				return sh.writeJSON(map[string]any{"file": name, "bytes": n})
			}
			sh.done("%s, %s; it holds secrets: keep it safe", name, size(n))
			return nil
		},
	}
}

func (sh *shell) events() *cobra.Command {
	var past bool
	cmd := &cobra.Command{
		Use: "events", Short: "What happens, as it happens", Args: nothing,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := sh.connect()
			if err != nil {
				return err
			}
			after := client.FromNow
			if past {
				after = 0
			}
			encoder, s := json.NewEncoder(sh.out), sh.outStyle()
			err = c.Events(cmd.Context(), after, func(e api.Event) error {
				if sh.json {
					return encoder.Encode(e)
				}
				about := e.DeployID
				if about == "" {
					about = e.WorkloadID
				}
				text := strings.TrimRight(e.Kind+" "+about+"  "+e.State+"  "+e.Detail, " ")
				return sh.line("%s  %s", s.faint(e.At.UTC().Format(time.RFC3339)), printable(text))
			})
			if interrupted(cmd.Context(), err) {
				return &exitError{code: ExitInterrupted}
			}
			return err
		},
	}
	cmd.Flags().BoolVar(&past, "past", false, "begin with the oldest that are kept")
	return cmd
}

func (sh *shell) audit() *cobra.Command {
	var limit int
	cmd := &cobra.Command{
		Use: "audit", Short: "Who changed what", Args: nothing,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := sh.connect()
			if err != nil {
				return err
			}
			l, err := c.Audit(cmd.Context(), api.Page{Limit: limit})
			if err != nil {
				return err
			}
			now := time.Now()
			return list(&sh.output, l.Items, "nothing was changed yet", []string{"WHEN", "WHO", "WHAT", "OF", "DETAIL"}, func(t *table, e api.AuditEvent) {
				t.add(ago(now, e.At), e.Actor, e.Action, e.Target, e.Detail)
			})
		},
	}
	cmd.Flags().IntVarP(&limit, "limit", "n", 50, "only the newest, at most 1000")
	return cmd
}
