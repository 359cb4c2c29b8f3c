package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pandabox/pandabox/pkg/control"
	"github.com/pandabox/pandabox/pkg/model"
)

// console is a pseudo-terminal with a command on it.
type console struct {
	t    *testing.T
	ptmx *os.File
	cmd  *exec.Cmd
	read sync.WaitGroup

	mu   sync.Mutex
	text bytes.Buffer // all that was shown
	more chan struct{}
}

// onConsole runs the program on a terminal of 100 columns and 30 rows, logged in to w.
func onConsole(t *testing.T, w *world, env []string, args ...string) *console {
	t.Helper()
	return onConsoleIn(t, w, t.TempDir(), env, args...)
}

// onConsoleIn is onConsole in a folder.
func onConsoleIn(t *testing.T, w *world, folder string, env []string, args ...string) *console {
	t.Helper()
	ptmx, tty := openPTY(t)
	dir := t.TempDir()
	ca := dir + "/ca.pem"
	if err := os.WriteFile(ca, w.caPEM, 0o600); err != nil {
		t.Fatal(err)
	}
	self, err := exec.LookPath("pandabox") // put into PATH by testscript.Main
	if err != nil {
		t.Fatal(err)
	}
	c := &console{t: t, ptmx: ptmx, more: make(chan struct{}, 1), cmd: exec.Command(self, args...)}
	c.cmd.Env = append([]string{"HOME=" + dir, "PATH=" + os.Getenv("PATH"), "TERM=xterm", "PANDABOX_SOCKET=" + dir + "/none", "PANDABOX_BOX=" + w.url, "PANDABOX_TOKEN=" + w.token, "PANDABOX_CA_FILE=" + ca}, env...)
	c.cmd.Dir = folder
	c.cmd.Stdin, c.cmd.Stdout, c.cmd.Stderr = tty, tty, tty
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = tty.Close()
	c.read.Go(func() {
		b := make([]byte, 4096)
		for {
			n, err := ptmx.Read(b)
			c.mu.Lock()
			c.text.Write(b[:n])
			c.mu.Unlock()
			select {
			case c.more <- struct{}{}:
			default:
			}
			if err != nil { // EIO once the command is gone
				return
			}
		}
	})
	t.Cleanup(func() {
		_ = c.cmd.Process.Kill()
		_ = ptmx.Close()
		c.read.Wait()
	})
	return c
}

func openPTY(t *testing.T) (ptmx, tty *os.File) {
	t.Helper()
	ptmx, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	fd := int(ptmx.Fd())
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Col: 100, Row: 30}); err != nil {
		t.Fatal(err)
	}
	tty, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	return ptmx, tty
}

func (c *console) shown() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.text.String()
}

// expect waits until the pattern is on the screen.
func (c *console) expect(pattern string) {
	c.t.Helper()
	re := regexp.MustCompile(pattern)
	deadline := time.After(patience)
	for !re.MatchString(c.shown()) {
		select {
		case <-c.more:
		case <-deadline:
			c.t.Fatalf("%q did not appear in\n%s", pattern, c.shown())
		}
	}
}

func (c *console) typed(text string) {
	c.t.Helper()
	if _, err := c.ptmx.WriteString(text); err != nil {
		c.t.Fatal(err)
	}
}

// ended waits for the command and checks its exit code.
func (c *console) ended(code int) {
	c.t.Helper()
	err := c.cmd.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		c.t.Fatal(err)
	}
	c.read.Wait()
	if got := c.cmd.ProcessState.ExitCode(); got != code {
		c.t.Errorf("exit code %d, want %d; the screen shows\n%s", got, code, c.shown())
	}
}

func TestDeployOnTerminal(t *testing.T) {
	w := startWorld(t)
	c := onConsole(t, w, nil, "deploy", "-a", "shop", "--image", "registry.test/shop:1")
	c.ended(0)
	c.expect("\x1b\\[32m✓\x1b\\[0m start     web ×1 healthy on /up")
	c.expect(`release v1, `)
	if s := c.shown(); strings.LastIndex(s, "⠋") > strings.LastIndex(s, "\r\x1b[K") {
		t.Errorf("a spinner is left on the screen:\n%q", s)
	}

	c = onConsole(t, w, []string{"NO_COLOR=1"}, "logs", "-a", "shop")
	c.ended(0)
	c.expect(`\d\d:04:05 web\.1  listening on 8080`)
	if s := c.shown(); strings.Contains(s, "]0;") && strings.Contains(s, "\x1b]") {
		t.Errorf("an app's escape sequence reached the terminal: %q", s)
	}
	c = onConsole(t, w, nil, "logs", "-a", "shop")
	c.ended(0)
	c.expect("\x1b\\[[0-9]+mweb\\.1 +\x1b\\[0m  GET / \x1b\\[32m200\x1b\\[0m")
}

// TestCtrlC types it while a deploy is watched.
func TestCtrlC(t *testing.T) {
	w := startWorld(t)
	c := onConsole(t, w, nil, "deploy", "-a", "shop", "--image", "registry.test/shop:sick")
	c.expect(`⠋|⠙|⠹`)
	c.expect(`start     web ×1`)
	c.typed("\x03")
	c.ended(ExitInterrupted)
	c.expect(`interrupted; deploy deploy-[0-9a-z]+ goes on in the background`)
}

func TestDestroyAsks(t *testing.T) {
	w := startWorld(t)
	onConsole(t, w, nil, "deploy", "-a", "shop", "--image", "registry.test/shop:1").ended(0)
	c := onConsole(t, w, nil, "destroy", "-a", "shop")
	c.expect(`Type shop to go on: `)
	c.typed("shop-\r")
	c.ended(ExitInterrupted)
	c.expect(`nothing was changed`)
	c = onConsole(t, w, nil, "destroy", "-a", "shop")
	c.expect(`Type shop to go on: `)
	c.typed("shop\r")
	c.ended(0)
	c.expect(`shop is being removed from production`)
}

func TestExecOnTerminal(t *testing.T) {
	w := startWorld(t)
	onConsole(t, w, nil, "deploy", "-a", "shop", "--image", "registry.test/shop:1").ended(0)
	c := onConsole(t, w, nil, "exec", "-a", "shop", "key")
	c.expect(`100x30 tty=true`)
	c.typed("\x03") // goes to the command, not to this program
	c.expect(`got 0x3`)
	c.ended(3)
	c = onConsole(t, w, nil, "exec", "-a", "shop", "-T", "echo", "plain")
	c.expect(`plain\r\n`)
	c.ended(0)
}

func TestLoginAsks(t *testing.T) {
	w := startWorld(t)
	none := []string{"PANDABOX_BOX=", "PANDABOX_TOKEN=", "PANDABOX_CA_FILE="}
	c := onConsole(t, w, none, "login", w.url)
	c.expect(fingerprint(w.ca))
	c.expect(`\[y/N\] $`)
	c.typed("y\r")
	c.expect(`Token for .*: $`)
	c.typed(w.token + "\r")
	c.ended(0)
	c.expect(`logged in to `)
	if strings.Contains(c.shown(), w.token) {
		t.Errorf("the token was shown:\n%s", c.shown())
	}
	for _, key := range []string{"\r", "no\r", "\x03", "\x04"} {
		c = onConsole(t, w, none, "login", w.url)
		c.expect(`\[y/N\] $`)
		c.typed(key)
		c.ended(ExitInterrupted)
		c.expect(`nothing was changed`)
	}
}

func TestSecretAsked(t *testing.T) {
	w := startWorld(t)
	c := onConsole(t, w, nil, "env", "set", "-a", "shop", "--secret", "KEY")
	c.expect(`KEY: $`)
	c.typed("hunter2\r")
	c.ended(0)
	if strings.Contains(c.shown(), "hunter2") {
		t.Errorf("the value was shown:\n%s", c.shown())
	}
	vars, err := w.control.Variables.List(context.Background(), model.Actor{ID: "root", Root: true}, control.Ref{App: "shop"})
	if err != nil || len(vars) != 1 || !vars[0].Secret {
		t.Errorf("variables: %+v, %v", vars, err)
	}
}

func TestEvents(t *testing.T) {
	w := startWorld(t)
	onConsole(t, w, nil, "deploy", "-a", "shop", "--image", "registry.test/shop:1").ended(0)
	c := onConsole(t, w, nil, "events", "--past", "--json")
	c.expect(`"kind":"deploy".*"state":"succeeded"`)
	onConsole(t, w, nil, "restart", "-a", "shop").ended(0)
	c.expect(`(?s)"state":"succeeded".*"state":"succeeded"`)
	c.typed("\x03")
	c.ended(ExitInterrupted)
	if strings.Contains(c.shown(), "error") {
		t.Errorf("Ctrl-C is an error:\n%s", c.shown())
	}
}
