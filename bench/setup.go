package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/pandabox/pandabox/pkg/api"
	"github.com/pandabox/pandabox/pkg/client"
	"github.com/pandabox/pandabox/pkg/model"
	"github.com/pandabox/pandabox/test/box"
	"github.com/pandabox/pandabox/test/ociimage"
)

// patience bounds every wait for something to happen: it is no measure.
const patience = 2 * time.Minute

// setup is what rows share: programs built once, and the figures of a run that give two rows.
type setup struct {
	bin     string // the pandabox binary
	dir     string // scratch
	cache   string // programs that outlive a run
	archive string // the image of bench/app
	rounds  int    // 0: the row's own choice
	boxes   int    // made so far
	flat    *flatFigures
	control *controlFigures
	jobs    *schedulerFigures
	hello   *sides
	cold    []time.Duration
}

func newSetup(ctx context.Context, rounds int) (*setup, error) {
	if os.Geteuid() != 0 {
		return nil, errors.New("it starts real containers and needs root")
	}
	s := &setup{bin: os.Getenv("PANDABOX_BIN"), rounds: rounds}
	if s.bin == "" {
		return nil, errors.New("PANDABOX_BIN is not set: run make bench")
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return nil, fmt.Errorf("finding the cache: %w", err)
	}
	s.cache = filepath.Join(cache, "pandabox", "bench")
	if err := os.MkdirAll(s.cache, 0o755); err != nil {
		return nil, fmt.Errorf("making the cache: %w", err)
	}
	if s.dir, err = os.MkdirTemp("", "bench-"); err != nil {
		return nil, fmt.Errorf("making a directory: %w", err)
	}
	if err := s.buildApp(ctx); err != nil {
		return nil, errors.Join(err, os.RemoveAll(s.dir))
	}
	return s, nil
}

func (s *setup) close(context.Context) error { return os.RemoveAll(s.dir) }

func (s *setup) buildApp(ctx context.Context) error {
	program := filepath.Join(s.dir, "app")
	if err := goBuild(ctx, program, "./bench/app"); err != nil {
		return err
	}
	spec, err := ociimage.Static(program, 8080)
	if err != nil {
		return err
	}
	s.archive = filepath.Join(s.dir, "app.tar")
	_, err = ociimage.WriteFile(s.archive, spec)
	return err
}

// caddy returns stock Caddy, built on first use; the compiler decides whether what is in the cache is still right.
func (s *setup) caddy(ctx context.Context) (string, error) {
	program := filepath.Join(s.cache, "caddy")
	return program, goBuild(ctx, program, "./bench/peers/caddy")
}

func goBuild(ctx context.Context, out, pkg string) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-o", out, "github.com/pandabox/pandabox/"+pkg[len("./"):])
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if text, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("building %s: %w\n%s", pkg, err, text)
	}
	return nil
}

// need installs a Debian package that brings a command which is missing.
func need(ctx context.Context, command, debian string) error {
	if _, err := exec.LookPath(command); err == nil {
		return nil
	}
	for _, args := range [][]string{{"update", "-qq"}, {"install", "-y", "-qq", "--no-install-recommends", debian}} {
		cmd := exec.CommandContext(ctx, "apt-get", args...)
		cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
		if text, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("installing %s: %w\n%s", debian, err, text)
		}
	}
	return nil
}

// times returns how many rounds a row does.
func (s *setup) times(own int) int {
	if s.rounds > 0 {
		return s.rounds
	}
	return own
}

// bench is a box with a client.
type bench struct {
	*box.Box
	*client.Client
}

// box starts a new box with nothing on it.
func (s *setup) box(ctx context.Context) (*bench, error) { return s.boxWith(ctx, "info") }

func (s *setup) boxWith(ctx context.Context, logLevel string) (*bench, error) {
	return s.boxOf(ctx, box.Options{Extra: fmt.Sprintf("log_level = %q\n", logLevel)})
}

// boxOf starts a new box with a network of its own.
func (s *setup) boxOf(ctx context.Context, o box.Options) (*bench, error) {
	s.boxes++
	o.Extra += fmt.Sprintf("subnet = \"10.%d.0.0/16\"\n", 90+s.boxes)
	if !strings.Contains(o.Extra, "log_level =") {
		o.Extra += "log_level = \"info\"\n"
	}
	b, err := box.New(ctx, o)
	if err != nil {
		return nil, fmt.Errorf("starting a box: %w", err)
	}
	c, err := client.New(client.Config{Address: "unix://" + b.Socket()})
	if err != nil {
		return nil, errors.Join(err, b.Close(ctx))
	}
	return &bench{Box: b, Client: c}, nil
}

// end closes the box whatever ended ctx, and joins what goes wrong to *err.
func (b *bench) end(ctx context.Context, err *error) {
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	b.Client.Close()
	if cerr := b.Box.Close(end); cerr != nil {
		*err = errors.Join(*err, fmt.Errorf("closing the box: %w", cerr))
	}
}

// upload brings bench/app's image into the box.
func (b *bench) upload(ctx context.Context, archive string) (model.Image, error) {
	f, err := os.Open(archive)
	if err != nil {
		return model.Image{}, err
	}
	defer func() { _ = f.Close() }()
	img, err := b.ImportImage(ctx, f, nil)
	if err != nil {
		return model.Image{}, fmt.Errorf("importing the image: %w", err)
	}
	return img, nil
}

// plan is the deploy of an image as a web process with a health check that answers at once.
func plan(img model.Image) api.NewDeploy {
	return api.NewDeploy{
		Image:     img,
		Processes: []model.Process{{Name: model.ProcessWeb, Port: 8080, Health: model.HealthCheck{Path: "/up"}}},
	}
}

// deploy deploys and waits until the deploy has succeeded.
func (b *bench) deploy(ctx context.Context, app string, n api.NewDeploy) error {
	ref := client.Ref{App: app}
	d, err := b.CreateDeploy(ctx, ref, n)
	if err != nil {
		return fmt.Errorf("deploying %s: %w", app, err)
	}
	return b.settled(ctx, ref, d.ID)
}

// settled waits until a deploy has succeeded.
func (b *bench) settled(ctx context.Context, ref client.Ref, id string) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	d, err := b.WatchDeploy(ctx, ref, id, func(api.Deploy) error { return nil })
	if err != nil {
		return fmt.Errorf("waiting for the deploy of %s: %w", ref.App, err)
	}
	if d.State != model.DeploySucceeded {
		err := fmt.Errorf("the deploy of %s ended %s", ref.App, d.State)
		if d.Error != nil {
			err = fmt.Errorf("%w: %w", err, d.Error)
		}
		return err
	}
	return nil
}

// appHosts is how many hosts of a box with many lead to the app that serves: as many as an app may have besides its
// default one. The rest
// belong to apps with nothing deployed, fifty of them where there are 10,000 hosts.
const appHosts = 199

// routeAll routes n hosts over plain HTTP, host(0) … host(n-1), the first appHosts of them to app.
func (b *bench) routeAll(ctx context.Context, app string, n int) error {
	jobs := make(chan int)
	errs := make(chan error, 1)
	const workers = 16
	for range workers {
		go func() {
			var err error
			for i := range jobs {
				if err == nil {
					_, err = b.AddDomain(ctx, client.Ref{App: owner(app, i)}, api.NewDomain{Host: host(i), TLS: model.TLSOff})
				}
			}
			errs <- err
		}()
	}
	var all []error
	for i := 0; i < n; i++ {
		if i%appHosts == 0 && i > 0 {
			if _, err := b.SetVariables(ctx, client.Ref{App: owner(app, i)}, api.VariableChange{Set: map[string]string{"IDLE": "yes"}}); err != nil {
				all = append(all, err)
				break
			}
		}
		jobs <- i
	}
	close(jobs)
	for range workers {
		all = append(all, <-errs)
	}
	if err := errors.Join(all...); err != nil {
		return fmt.Errorf("adding domains: %w", err)
	}
	if n > appHosts {
		if err := b.idles(ctx, host(n-1)); err != nil {
			return err
		}
	}
	return b.answers(ctx, host(min(n, appHosts)-1))
}

// owner names the app of host(i).
func owner(app string, i int) string {
	if i < appHosts {
		return app
	}
	return fmt.Sprintf("idle%d", i/appHosts)
}

// idles waits until a host answers as that of an app which does not run: 503, where an unknown host gets 404.
func (b *bench) idles(ctx context.Context, host string) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		_, err := get(ctx, b.HTTP, host, "/")
		if err != nil && strings.Contains(err.Error(), "503 ") {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s was never routed: %w", host, err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func host(i int) string { return fmt.Sprintf("h%d.bench.example", i) }

// answers waits until a host answers with the app's eleven bytes over plain HTTP.
func (b *bench) answers(ctx context.Context, host string) error {
	return b.until(ctx, host, func(body string) bool { return body == "hello world" })
}

// reached waits until a host answers well, whatever it says.
func (b *bench) reached(ctx context.Context, host string) error {
	return b.until(ctx, host, func(string) bool { return true })
}

func (b *bench) until(ctx context.Context, host string, good func(body string) bool) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		body, err := get(ctx, b.HTTP, host, "/")
		if err == nil && good(body) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s never answered: %q, %w", host, body, errors.Join(ctx.Err(), err))
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// upstream returns the address of the one replica of an app.
func (b *bench) upstream(ctx context.Context, app string) (string, error) {
	w, err := b.Workload(ctx, client.Ref{App: app})
	if err != nil {
		return "", fmt.Errorf("looking at %s: %w", app, err)
	}
	if len(w.Replicas) != 1 || w.Replicas[0].Addr == "" {
		return "", fmt.Errorf("%s has no replica with an address: %+v", app, w.Replicas)
	}
	addr := w.Replicas[0].Addr
	if _, _, err := net.SplitHostPort(addr); err != nil {
		addr = net.JoinHostPort(addr, "8080")
	}
	return addr, nil
}
