//go:build linux

package cli

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/pandabox/pandabox/pkg/daemon"
	"github.com/pandabox/pandabox/pkg/daemon/supervise"
	"github.com/pandabox/pandabox/pkg/model"
)

// startWait bounds how long start waits for the daemon's first answer.
const startWait = 2 * time.Minute

// serviceCommands returns the commands that are the daemon, or start and stop it, on the box itself.
func serviceCommands(version string) []*cobra.Command {
	var file string
	withConfig := func(c *cobra.Command) *cobra.Command {
		c.Flags().StringVar(&file, "config", daemon.DefaultConfigFile, "the daemon's configuration file")
		return c
	}
	load := func() (daemon.Config, error) {
		c, err := daemon.LoadConfig(file)
		c.Version = version
		return c, err
	}
	run := withConfig(&cobra.Command{
		Use: "daemon", Short: "Run the daemon in the foreground", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := load()
			if err != nil {
				return err
			}
			d, err := daemon.New(c)
			if err != nil {
				return err
			}
			ctx, cancel := context.WithCancel(cmd.Context())
			tended := make(chan struct{})
			go func() { defer close(tended); tendHeap(ctx) }()
			defer func() { cancel(); <-tended }()
			return d.Run(ctx)
		},
	})
	start := withConfig(&cobra.Command{
		Use: "start", Short: "Start the daemon in the background", Args: cobra.NoArgs,
		Long: "Start the daemon: through systemd where it knows pandabox, otherwise as a supervised background process.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := load()
			if err != nil {
				return err
			}
			return startDaemon(cmd, c, file)
		},
	})
	var all bool
	stop := withConfig(&cobra.Command{
		Use: "stop", Short: "Stop the daemon; apps keep running", Args: cobra.NoArgs,
		Long: "Stop the daemon. Containers keep running, though nothing outside reaches them, and the next start takes them over.\nWith --all the containers, containerd and the network rules go too; data stays.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := load()
			if err != nil {
				return err
			}
			return stopDaemon(cmd, c, all)
		},
	})
	stop.Flags().BoolVar(&all, "all", false, "stop every app, containerd and the network too")
	supervised := withConfig(&cobra.Command{
		Use: "supervise", Short: "Keep the daemon running (used by start)", Args: cobra.NoArgs, Hidden: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := load()
			if err != nil {
				return err
			}
			self, err := os.Executable()
			if err != nil {
				return fmt.Errorf("finding this program: %w", err)
			}
			return supervise.Run(cmd.Context(), daemon.RunDir(c), []string{self, "daemon", "--config", file})
		},
	})
	restore := withConfig(&cobra.Command{
		Use: "restore FILE", Short: "Put a backup of the control state in place; the daemon must be stopped", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := load()
			if err != nil {
				return err
			}
			f, err := os.Open(args[0])
			if err != nil {
				return model.NotFound("the backup cannot be read").Wrap(err)
			}
			defer func() { _ = f.Close() }()
			if err := daemon.Restore(cmd.Context(), c, f); err != nil {
				return err
			}
			cmd.Println("✓ restored; start the daemon: pandabox start")
			return nil
		},
	})
	return []*cobra.Command{run, start, stop, supervised, restore, child("containerd"), child("buildkitd")}
}

// child is what the daemon starts this program again as.
func child(name string) *cobra.Command {
	return &cobra.Command{
		Use: name, Short: "Run " + name + " (used by the daemon)", Hidden: true, DisableFlagParsing: true,
		RunE: func(_ *cobra.Command, args []string) error {
			if code := daemon.ChildMain(append([]string{name}, args...)); code != 0 {
				return fmt.Errorf("%s ended with code %d", name, code)
			}
			return nil
		},
	}
}

// systemdUnit tells whether systemd runs this box and knows pandabox.
func systemdUnit() bool {
	if _, err := os.Stat("/run/systemd/system"); err != nil {
		return false
	}
	return exec.Command("systemctl", "cat", "--quiet", "pandabox.service").Run() == nil
}

func answers(runDir string) bool {
	c, err := net.Dial("unix", daemon.Socket(runDir))
	if err != nil {
		return false
	}
	return c.Close() == nil
}

func startDaemon(cmd *cobra.Command, c daemon.Config, file string) error {
	runDir := daemon.RunDir(c)
	if answers(runDir) {
		cmd.Println("✓ pandabox is running already")
		return nil
	}
	if systemdUnit() && file == daemon.DefaultConfigFile {
		if out, err := exec.CommandContext(cmd.Context(), "systemctl", "start", "pandabox").CombinedOutput(); err != nil {
			return model.Errorf(model.KindUnavailable, "systemd could not start pandabox").WithWhy("%s", out).WithHint("see: journalctl -u pandabox -n 50")
		}
		cmd.Println("✓ pandabox is running")
		return nil
	}
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("finding this program: %w", err)
	}
	if file, err = filepath.Abs(file); err != nil {
		return fmt.Errorf("finding %s: %w", file, err)
	}
	if err := os.MkdirAll(runDir, 0o700); err != nil {
		return fmt.Errorf("making %s: %w", runDir, err)
	}
	log := filepath.Join(runDir, "supervisor.log")
	p, err := supervise.Start([]string{self, "supervise", "--config", file}, log)
	if err != nil {
		return err
	}
	ended := make(chan struct{})
	go func() { _, _ = p.Wait(); close(ended) }()
	ctx, cancel := context.WithTimeout(cmd.Context(), startWait)
	defer cancel()
	for !answers(runDir) {
		select {
		case <-ended:
			return model.Errorf(model.KindUnavailable, "the daemon did not start").WithWhy("%s", lastLine(log)).WithHint("see the whole of it with: pandabox daemon")
		case <-ctx.Done():
			return model.Errorf(model.KindTimeout, "the daemon has not answered for %s", startWait).WithWhy("%s", lastLine(log)).WithHint("see %s; end it with: pandabox stop", log)
		case <-time.After(10 * time.Millisecond):
		}
	}
	cmd.Println("✓ pandabox is running")
	return nil
}

func stopDaemon(cmd *cobra.Command, c daemon.Config, all bool) error {
	ctx, cancel := context.WithTimeout(cmd.Context(), supervise.StopGrace+10*time.Second)
	defer cancel()
	runDir := daemon.RunDir(c)
	was := answers(runDir)
	if was && systemdUnit() && runDir == daemon.DefaultRunDir {
		if out, err := exec.CommandContext(ctx, "systemctl", "stop", "pandabox").CombinedOutput(); err != nil {
			return model.Errorf(model.KindUnavailable, "systemd could not stop pandabox").WithWhy("%s", out)
		}
	}
	supervised, err := supervise.Stop(ctx, runDir)
	if err != nil {
		return err
	}
	if answers(runDir) {
		return model.Conflict("the daemon was not started by pandabox start").WithHint("end the process that runs pandabox daemon")
	}
	if all {
		if err := daemon.StopAll(ctx, c); err != nil {
			return err
		}
		cmd.Println("✓ stopped the daemon, every app, containerd and the network")
		return nil
	}
	if was || supervised {
		cmd.Println("✓ pandabox is stopped; apps keep running")
	} else {
		cmd.Println("✓ pandabox was not running")
	}
	return nil
}

// lastLine returns the last line of a file, "" if it cannot be read.
func lastLine(file string) string {
	b, err := os.ReadFile(file)
	if err != nil {
		return ""
	}
	end := len(b)
	for end > 0 && b[end-1] == '\n' {
		end--
	}
	begin := end
	for begin > 0 && b[begin-1] != '\n' {
		begin--
	}
	return string(b[begin:end])
}
