package cli

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/pandabox/pandabox/pkg/api"
	"github.com/pandabox/pandabox/pkg/client"
	"github.com/pandabox/pandabox/pkg/model"
)

// patience bounds every poll: far more than anything takes.
const patience = 60 * time.Second

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"pandabox": func() {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
		code := Run(ctx, Config{Version: "0.0.1"}, os.Args[1:])
		stop()
		os.Exit(code)
	}})
}

type worldKey struct{}

// TestScripts runs each story of testdata/scripts against a box of its own. A story is logged in as the owner through
// PANDABOX_BOX, PANDABOX_TOKEN and PANDABOX_CA_FILE; $CLAIM, $URL and $FINGERPRINT are for stories about logging in.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/scripts",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(e *testscript.Env) error {
			dir := filepath.Join(e.WorkDir, ".box")
			if err := os.Mkdir(dir, 0o700); err != nil {
				return err
			}
			w, err := newWorld(dir)
			if err != nil {
				return err
			}
			e.Defer(w.end)
			e.Values[worldKey{}] = w
			ca := filepath.Join(dir, "ca.pem")
			if err := os.WriteFile(ca, w.caPEM, 0o600); err != nil {
				return err
			}
			if err := w.writeCertificate(dir, "www.example.com"); err != nil {
				return err
			}
			home := filepath.Join(e.WorkDir, ".home")
			for k, v := range map[string]string{
				"PANDABOX_SOCKET": filepath.Join(dir, "none.sock"), "PANDABOX_BOX": w.url, "PANDABOX_TOKEN": w.token, "PANDABOX_CA_FILE": ca,
				"HOME": home, "XDG_CONFIG_HOME": "", "URL": w.url, "CLAIM": w.claim, "FINGERPRINT": fingerprint(w.ca), "TOKEN": w.token, "HASH": "#", "CA": ca,
			} {
				e.Setenv(k, v)
			}
			return os.Mkdir(home, 0o700)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exits": exits, "until": until},
	})
}

// exits runs a command that must end with a code: exits 4 pandabox status -a nothing.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND...")
	}
	got := 0
	err := ts.Exec(args[1], args[2:]...)
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		got = exit.ExitCode()
	case err != nil:
		ts.Fatalf("%v", err)
	}
	if strconv.Itoa(got) != args[0] {
		ts.Fatalf("exit code %d, want %s", got, args[0])
	}
}

// until waits for the newest deploy of an app to be in one of some states: until shop starting.
func until(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: until APP STATE...")
	}
	w := ts.Value(worldKey{}).(*world)
	c, err := client.New(client.Config{Address: w.url, Token: w.token, CA: w.caPEM})
	ts.Check(err)
	defer c.Close()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		d, err := newest(ctx, c, client.Ref{App: args[0]})
		if err == nil && strings.Contains(" "+strings.Join(args[1:], " ")+" ", " "+string(d)+" ") {
			return
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			ts.Fatalf("the newest deploy of %s is %q (%v)", args[0], d, err)
		}
	}
}

func newest(ctx context.Context, c *client.Client, ref client.Ref) (model.DeployState, error) {
	l, err := c.Deploys(ctx, ref, api.Page{Limit: 1})
	if err != nil || len(l.Items) == 0 {
		return "", err
	}
	return l.Items[0].State, nil
}
