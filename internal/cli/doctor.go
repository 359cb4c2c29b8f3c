package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/pandabox/pandabox/pkg/api"
	"github.com/pandabox/pandabox/pkg/model"
)

// What doctor wants of this machine where no daemon answers.
const (
	dataDir = "/var/lib/pandabox"
	minFree = 1 << 30 // bytes
)

func (sh *shell) doctor() *cobra.Command {
	return &cobra.Command{
		Use: "doctor", Short: "Look at everything the box needs to work, and say what to do", Args: nothing,
		Long: "Look at everything the box needs to work, and say what to do. Where the daemon does not answer, this machine is\nlooked at. Exit code 1 if something is not well.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			checks, err := sh.diagnose(cmd)
			if err != nil {
				return err
			}
			sick := 0
			for _, c := range checks {
				if !c.OK {
					sick++
				}
			}
			if err := sh.writeChecks(checks); err != nil {
				return err
			}
			if sick > 0 {
				return &exitError{code: ExitFailed}
			}
			return nil
		},
	}
}

// diagnose asks the daemon, or looks by itself where none answers on this machine.
func (sh *shell) diagnose(cmd *cobra.Command) ([]api.Check, error) {
	config, err := sh.address()
	if err != nil {
		if model.KindOf(err) == model.KindUnavailable {
			return localChecks(sh.socketFile()), nil
		}
		return nil, err
	}
	c, err := sh.connect()
	if err != nil {
		return nil, err
	}
	checks, err := c.Doctor(cmd.Context())
	if model.KindOf(err) == model.KindUnavailable && strings.HasPrefix(config.Address, "unix://") {
		return localChecks(strings.TrimPrefix(config.Address, "unix://")), nil
	}
	return checks, err
}

func (sh *shell) writeChecks(checks []api.Check) error {
	if sh.json {
		return sh.writeJSON(checks)
	}
	s := sh.outStyle()
	for _, c := range checks {
		mark := s.good("✓")
		if !c.OK {
			mark = s.bad("✗")
		}
		if err := sh.line("%s %s%s", mark, pad(c.Name, 14), printable(c.Detail)); err != nil {
			return err
		}
		if c.Hint != "" && !c.OK {
			if err := sh.line("  try: %s", printable(c.Hint)); err != nil {
				return err
			}
		}
	}
	return nil
}

// localChecks looks at this machine without the daemon's help.
func localChecks(socket string) []api.Check {
	return []api.Check{checkSocket(socket), checkDisk(dataDir)}
}

func checkSocket(socket string) api.Check {
	c := api.Check{Name: "daemon", Hint: "start it: pandabox start; see why it ended: journalctl -u pandabox -n 50"}
	conn, err := net.DialTimeout("unix", socket, 5*time.Second)
	switch {
	case err == nil:
		_ = conn.Close()
		c.Detail = "something listens on " + socket + " but does not answer"
	case errors.Is(err, fs.ErrNotExist):
		c.Detail = "not running: there is no " + socket
	case errors.Is(err, fs.ErrPermission):
		c.Detail, c.Hint = "only root may use "+socket, "use sudo"
	case errors.Is(err, syscall.ECONNREFUSED):
		c.Detail = "not running: nothing listens on " + socket
	default:
		c.Detail = err.Error()
	}
	return c
}

// checkDisk looks at the disk that holds dir, or the nearest folder above it that exists.
func checkDisk(dir string) api.Check {
	for dir != "/" && !exists(dir) {
		dir = dir[:max(strings.LastIndexByte(dir, '/'), 1)]
	}
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		return api.Check{Name: "disk", Detail: fmt.Sprintf("%s cannot be looked at: %v", dir, err), Hint: "use sudo"}
	}
	free, total := int64(st.Bavail)*int64(st.Bsize), int64(st.Blocks)*int64(st.Bsize) //nolint:unconvert // its type differs between systems
	c := api.Check{Name: "disk", OK: free >= minFree, Detail: fmt.Sprintf("%s free of %s at %s", size(free), size(total), dir)}
	if !c.OK {
		c.Hint = "make room: du -xh " + dir + " | sort -h | tail"
	}
	return c
}
