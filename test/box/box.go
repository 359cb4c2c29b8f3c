// Package box runs a whole pandabox (the built binary, real containerd, real Caddy) in a directory of its own on high
// ports, for end-to-end tests and benchmarks.
package box

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Base is the base domain of every box made here.
const Base = "box.localhost"

// Box is one pandabox.
type Box struct {
	Bin         string // the pandabox binary
	Dir         string // holds all below
	DataDir     string
	RunDir      string
	HTTP, HTTPS string // addresses, "127.0.0.1:PORT"
	Config      string // the daemon's configuration file

	under  []string // what starts the daemon, and becomes it: the pid stays
	daemon *exec.Cmd
	done   chan struct{} // closed when daemon has ended
}

// Options change a box. The zero value is a box without internet, named Base.
type Options struct {
	DataDir string // "" makes one
	Extra   string // lines of the daemon's configuration file, in place of New's own of the same key
	Core    *int   // the one core the daemon may use, with all it starts; nil: all
	// Confined has each life of the daemon see the files in a mount namespace of its own, where only the box's directory and
	// these folders can be written to, and with a /tmp of its own: as under systemd.
	Confined []string
}

// confine is a shell's: it takes folders, "--" and a command.
const confine = `while [ "$1" != -- ]; do mkdir -p "$1" && mount --bind "$1" "$1" || exit; shift; done; shift; mount -t tmpfs none /tmp && mount -o remount,bind,ro / && exec "$@"`

func (o Options) under(dir string) []string {
	switch {
	case o.Core != nil:
		return []string{"taskset", "-c", strconv.Itoa(*o.Core)}
	case o.Confined != nil:
		return slices.Concat([]string{"unshare", "--mount", "--propagation", "slave", "sh", "-c", confine, "sh", dir}, o.Confined, []string{"--"})
	}
	return nil
}

// New prepares a box in a new directory and starts its daemon. The binary is $PANDABOX_BIN.
func New(ctx context.Context, o Options) (*Box, error) {
	bin := os.Getenv("PANDABOX_BIN")
	if bin == "" {
		return nil, errors.New("PANDABOX_BIN is not set: run make test, or make and PANDABOX_BIN=$PWD/bin/pandabox go test …")
	}
	parent := "/tmp" // short: Unix sockets below it
	if o.Confined != nil {
		parent = "/var"
	}
	dir, err := os.MkdirTemp(parent, "pbx-")
	if err != nil {
		return nil, fmt.Errorf("making the box's directory: %w", err)
	}
	if err := os.Chmod(dir, 0o711); err != nil { // the users of containers pass through it
		return nil, fmt.Errorf("opening the box's directory: %w", err)
	}
	b := &Box{Bin: bin, Dir: dir, DataDir: filepath.Join(dir, "data"), RunDir: filepath.Join(dir, "run"), Config: filepath.Join(dir, "config.toml"), under: o.under(dir)}
	if o.DataDir != "" {
		b.DataDir = o.DataDir
	}
	if o.Confined != nil { // the program may be in /tmp
		b.Bin = filepath.Join(dir, "pandabox")
		if out, err := exec.CommandContext(ctx, "cp", bin, b.Bin).CombinedOutput(); err != nil {
			return nil, errors.Join(fmt.Errorf("copying the program: %w: %s", err, out), os.RemoveAll(dir))
		}
	}
	if err := b.configure(o.Extra); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	if err := b.Start(ctx); err != nil {
		return nil, errors.Join(err, b.Close(context.WithoutCancel(ctx)))
	}
	return b, nil
}

func (b *Box) configure(extra string) error {
	ports, err := freePorts(2)
	if err != nil {
		return err
	}
	b.HTTP, b.HTTPS = fmt.Sprintf("127.0.0.1:%d", ports[0]), fmt.Sprintf("127.0.0.1:%d", ports[1])
	text := fmt.Sprintf("data_dir = %q\nrun_dir = %q\nhttp_addr = %q\nhttps_addr = %q\nlog_file = %q\n",
		b.DataDir, b.RunDir, b.HTTP, b.HTTPS, b.LogFile())
	for key, line := range map[string]string{
		"base_domain": fmt.Sprintf("base_domain = %q\n", Base),
		"log_level":   "log_level = \"debug\"\n",
		"offline":     "offline = true\n",
		"subnet":      fmt.Sprintf("subnet = \"10.%d.0.0/16\"\n", 128+os.Getpid()%100),
	} {
		if !strings.Contains(extra, key+" =") {
			text += line
		}
	}
	return os.WriteFile(b.Config, []byte(text+extra), 0o600)
}

// freePorts returns n ports of the loopback address nobody listens on, TCP and UDP.
func freePorts(n int) ([]int, error) {
	var out []int
	for len(out) < n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, fmt.Errorf("finding a free port: %w", err)
		}
		defer func() { _ = l.Close() }()
		out = append(out, l.Addr().(*net.TCPAddr).Port)
	}
	return out, nil
}

// LogFile is where the daemon logs.
func (b *Box) LogFile() string { return filepath.Join(b.Dir, "daemon.log") }

// Socket is the control socket.
func (b *Box) Socket() string { return filepath.Join(b.RunDir, "pandabox.sock") }

// Start starts the daemon and waits until its API answers.
func (b *Box) Start(ctx context.Context) error {
	if err := b.StartOnly(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	for {
		if c, err := net.Dial("unix", b.Socket()); err == nil {
			_ = c.Close()
			return nil
		}
		select {
		case <-b.done:
			return fmt.Errorf("the daemon ended: %v\n%s", b.daemon.ProcessState, b.tail())
		case <-ctx.Done():
			return fmt.Errorf("the daemon never answered: %w\n%s", ctx.Err(), b.tail())
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// StartOnly starts the daemon and does not wait.
func (b *Box) StartOnly() error {
	out, err := os.OpenFile(filepath.Join(b.Dir, "daemon.out"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("starting the daemon: %w", err)
	}
	defer func() { _ = out.Close() }()
	argv := append(slices.Clip(b.under), b.Bin, "daemon", "--config", b.Config)
	b.daemon = exec.Command(argv[0], argv[1:]...)
	b.daemon.Stdout, b.daemon.Stderr = out, out
	if err := b.daemon.Start(); err != nil {
		return fmt.Errorf("starting the daemon: %w", err)
	}
	b.done = make(chan struct{})
	go func(cmd *exec.Cmd, done chan struct{}) {
		_ = cmd.Wait()
		close(done)
	}(b.daemon, b.done)
	return nil
}

// Pid is the daemon's.
func (b *Box) Pid() int { return b.daemon.Process.Pid }

// Signal sends the daemon a signal and, unless it is signal 0, waits for its end.
func (b *Box) Signal(sig syscall.Signal) error {
	if err := b.daemon.Process.Signal(sig); err != nil {
		return fmt.Errorf("signalling the daemon: %w", err)
	}
	select {
	case <-b.done:
		return nil
	case <-time.After(2 * time.Minute):
		return fmt.Errorf("the daemon outlived %s", sig)
	}
}

// Close ends the daemon, all containers and containerd, and removes the directory.
func (b *Box) Close(ctx context.Context) error {
	var errs []error
	if b.daemon != nil {
		_ = b.daemon.Process.Signal(syscall.SIGTERM)
		select {
		case <-b.done:
		case <-time.After(time.Minute):
			errs = append(errs, errors.New("the daemon outlived SIGTERM by a minute"), b.daemon.Process.Kill())
			<-b.done
		}
	}
	if r := b.Run(ctx, "stop", "--all", "--config", b.Config); r.Code != 0 {
		errs = append(errs, fmt.Errorf("stopping everything: exit %d\n%s%s", r.Code, r.Out, r.Err))
	}
	return errors.Join(append(errs, os.RemoveAll(b.Dir))...)
}

// Result is what a command printed and its exit code.
type Result struct {
	Out, Err string
	Code     int
}

// Run runs the CLI as root of the box.
func (b *Box) Run(ctx context.Context, args ...string) Result { return b.RunInput(ctx, "", args...) }

// RunInput runs the CLI with standard input, in an empty directory.
func (b *Box) RunInput(ctx context.Context, input string, args ...string) Result {
	dir := filepath.Join(b.Dir, "cwd")
	_ = os.MkdirAll(dir, 0o700)
	return b.RunIn(ctx, dir, input, args...)
}

// RunIn runs the CLI in dir.
func (b *Box) RunIn(ctx context.Context, dir, input string, args ...string) Result {
	cmd := exec.CommandContext(ctx, b.Bin, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "PANDABOX_SOCKET="+b.Socket(), "HOME="+filepath.Join(b.Dir, "home"), "XDG_CONFIG_HOME="+filepath.Join(b.Dir, "home"))
	var out, errOut bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(input), &out, &errOut
	err := cmd.Run()
	r := Result{Out: out.String(), Err: errOut.String(), Code: cmd.ProcessState.ExitCode()}
	if cmd.ProcessState == nil {
		r.Err, r.Code = err.Error(), -1
	}
	return r
}

// HTTPClient returns a client that reaches every host name at this box and trusts its own CA. It does not follow
// redirects and asks for no compression.
func (b *Box) HTTPClient() (*http.Client, error) {
	pem, err := b.RootCA()
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, errors.New("the box's CA is no certificate")
	}
	dialer := &net.Dialer{Timeout: 10 * time.Second}
	return &http.Client{
		Transport: &http.Transport{
			TLSClientConfig:     &tls.Config{RootCAs: pool},
			ForceAttemptHTTP2:   true,
			DisableCompression:  true,
			MaxIdleConnsPerHost: 64,
			DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
				if strings.HasSuffix(addr, ":80") {
					return dialer.DialContext(ctx, network, b.HTTP)
				}
				return dialer.DialContext(ctx, network, b.HTTPS)
			},
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, nil
}

// RootCA returns the PEM of the box's own CA.
func (b *Box) RootCA() ([]byte, error) { return os.ReadFile(filepath.Join(b.DataDir, "ca.crt")) }

func (b *Box) tail() string {
	var all []byte
	for _, name := range []string{filepath.Join(b.Dir, "daemon.out"), b.LogFile()} {
		if f, err := os.Open(name); err == nil {
			text, _ := io.ReadAll(f)
			_ = f.Close()
			if len(text) > 4000 {
				text = text[len(text)-4000:]
			}
			all = append(all, text...)
		}
	}
	return string(all)
}

// Log returns the end of the daemon's output, for the message of a failed test.
func (b *Box) Log() string { return b.tail() }
