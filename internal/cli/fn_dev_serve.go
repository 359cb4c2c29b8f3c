//go:build linux

package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/pandabox/pandabox/pkg/edge"
	"github.com/pandabox/pandabox/pkg/edge/bundle"
	"github.com/pandabox/pandabox/pkg/edge/guest"
	"github.com/pandabox/pandabox/pkg/manifest"
	"github.com/pandabox/pandabox/pkg/model"
)

// development is a function served on this machine while it is being written.
type development struct {
	sh      *shell
	dir     string
	env     string
	address string
	temp    string // what the host keeps
	host    *edge.Host
	kv      *devKV
	next    http.Handler
	tried   chan struct{} // closed when the first version serves, or cannot

	mu     sync.Mutex
	name   string   // of the version that serves; "" for none
	wrong  error    // with the newest version; nil where it serves
	inputs []string // of the bundle made last
	warned string   // what was warned of last
	last   string   // what the version that serves was made of, to see whether anything changed
	count  int
}

func (sh *shell) newDevelopment(ctx context.Context, dir, env string, upstream *url.URL) (_ *development, err error) {
	d := &development{sh: sh, dir: dir, env: env, tried: make(chan struct{})}
	if d.temp, err = os.MkdirTemp("", "pandabox-dev-"); err != nil {
		return nil, model.Invalid("no temporary folder can be made").Wrap(err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.close(context.WithoutCancel(ctx)))
		}
	}()
	if d.kv, err = openDevKV(filepath.Join(dir, devFolder)); err != nil {
		return nil, err
	}
	same := func(b []byte) ([]byte, error) { return b, nil } // the folder is this user's alone, and gone at the end
	d.host, err = edge.New(ctx, edge.Config{
		DataDir: d.temp, KV: func(string) guest.KV { return d.kv }, Seal: same, Open: same, Logger: zerolog.Nop(),
		Log: func(_ model.Replica, stream, text string) { d.printed(stream, text) },
		Resolve: func(_ context.Context, _, host string) ([]netip.AddrPort, error) {
			return nil, model.NotFound("%s is not here", host).WithWhy("fn dev runs one function, without the other apps of its environment")
		},
	})
	if err != nil {
		return nil, err
	}
	d.next = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = fmt.Fprintf(w, "next: %s %s would go on to the app here; to see it, add --upstream URL\n", r.Method, r.URL.Path) // the client is gone
	})
	if upstream != nil {
		d.next = &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(upstream)
			r.SetXForwarded()
		}}
	}
	return d, nil
}

func (d *development) close(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, devGrace)
	defer cancel()
	var err error
	if d.host != nil {
		err = d.host.Close(ctx)
	}
	if d.kv != nil {
		err = errors.Join(err, d.kv.Close())
	}
	return errors.Join(err, os.RemoveAll(d.temp))
}

// reload makes the function of the folder's files and serves it in place of the version before.
func (d *development) reload(ctx context.Context, m *manifest.Manifest) {
	began := time.Now()
	if !m.AsFunction() {
		d.fail(model.Invalid("the folder's app is no function any more, its kind is %s", m.Kind))
		return
	}
	b, spec, err := d.make(ctx, m.For(d.env))
	if err != nil {
		d.fail(err)
		return
	}
	d.mu.Lock()
	old, was, broken := d.name, d.last, d.wrong != nil
	is := fmt.Sprintf("%+v %+v", *spec.Function, spec.Env)
	d.mu.Unlock()
	if was == is && old != "" {
		if broken {
			d.served(old, is)
			d.sh.say("  %s as before", d.sh.errStyle().good("✓"))
		}
		return
	}
	c, err := d.host.Start(ctx, spec)
	if err != nil {
		d.fail(err)
		return
	}
	d.served(spec.Name, is)
	d.announce(old == "", b, c, time.Since(began))
	if old != "" {
		if err := d.host.Remove(ctx, old, devGrace); err != nil {
			d.fail(err)
		}
	}
}

// make bundles the folder and says what to start.
func (d *development) make(ctx context.Context, s manifest.Settings) (*bundle.Bundle, model.ContainerSpec, error) {
	var none model.ContainerSpec
	b, err := bundle.Build(ctx, d.dir, bundle.Options{Main: s.Function.Main, Runtime: s.Function.Runtime})
	if err != nil {
		return nil, none, err
	}
	var tar bytes.Buffer
	if err := b.Write(&tar); err != nil {
		return nil, none, err
	}
	held, err := d.host.Import(ctx, &tar)
	if err != nil {
		return nil, none, err
	}
	env, missing, err := d.variables(s)
	if err != nil {
		return nil, none, err
	}
	d.warn(append(slices.Clone(b.Warnings), missing...))
	f := s.Function.Function
	f.Digest, f.Size, f.Runtime = held.Digest, held.Size, held.Runtime
	d.mu.Lock()
	defer d.mu.Unlock()
	d.count++
	d.inputs = b.Inputs
	app := model.Slug(filepath.Base(d.dir))
	if app == "" {
		app = "function"
	}
	return b, model.ContainerSpec{
		Name: fmt.Sprintf("dev-%d", d.count), Env: env, Function: &f,
		Replica: model.Replica{
			Role: model.RoleReplica, EnvID: "dev", WorkloadID: "dev", ReleaseID: fmt.Sprintf("dev-%d", d.count), Release: d.count,
			App: app, Process: model.ProcessWeb, Index: 1,
		},
	}, nil
}

// warn says what is probably not meant, once for each set of warnings.
func (d *development) warn(warnings []string) {
	all := strings.Join(warnings, "\n")
	d.mu.Lock()
	known := d.warned == all
	d.warned = all
	d.mu.Unlock()
	if known {
		return
	}
	for _, w := range warnings {
		d.sh.say("  %s %s", d.sh.errStyle().warn("warning:"), printable(w))
	}
}

// variables returns "NAME=value" of all variables, and a warning for each that is missing.
func (d *development) variables(s manifest.Settings) (env, missing []string, err error) {
	all := maps.Clone(s.Variables)
	if all == nil {
		all = map[string]string{}
	}
	for _, name := range variableFiles() {
		text, err := os.ReadFile(filepath.Join(d.dir, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, nil, model.Invalid("%s cannot be read", name).Wrap(err)
		}
		set, err := parseDotenv(name, string(text))
		if err != nil {
			return nil, nil, err
		}
		maps.Copy(all, set)
	}
	for _, name := range s.Required {
		if _, ok := all[name]; !ok {
			missing = append(missing, name+" has no value, and a deploy needs one; for here, write it to .dev.vars")
		}
	}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		env = append(env, name+"="+all[name])
	}
	return env, missing, nil
}

// variableFiles are read one over the other.
func variableFiles() []string { return []string{".env", ".dev.vars"} }

// made returns the files the newest version is made of, and whether that went well: else others may be missing.
func (d *development) made() (files []string, good bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	out := slices.Clone(d.inputs)
	for _, name := range append(variableFiles(), manifest.FileName, "package.json", "tsconfig.json") {
		out = append(out, filepath.Join(d.dir, name))
	}
	return out, d.wrong == nil
}

func (d *development) served(name, what string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.name, d.last, d.wrong = name, what, nil
}

func (d *development) fail(err error) {
	if errors.Is(err, context.Canceled) {
		return
	}
	d.mu.Lock()
	first, serving := d.wrong == nil || d.wrong.Error() != err.Error(), d.name != ""
	d.wrong = err
	d.mu.Unlock()
	if !first {
		return
	}
	writeError(d.sh.err, d.sh.errStyle(), d.sh.json, err)
	if serving {
		d.sh.say("  the version before goes on")
	}
}

// announce says that a version serves.
func (d *development) announce(first bool, b *bundle.Bundle, c model.Container, took time.Duration) {
	what := b.Source + ", " + c.Detail
	if c.Detail == "" {
		what = b.Source + ", " + string(b.Runtime)
	}
	d.sh.say("%s", stepLine(d.sh.errStyle().good("✓"), "serve", what, took))
	if first {
		_ = d.sh.line("  %s", d.sh.outStyle().bold(d.address)) // Ctrl-C tells who cannot read it
	}
}

// printed shows what the function printed.
func (d *development) printed(stream, text string) {
	mark, s := " ", d.sh.errStyle()
	if stream == "stderr" {
		mark = s.bad("!")
	}
	for line := range strings.Lines(text) {
		d.sh.say("  %s %s %s", s.faint(time.Now().Format("15:04:05")), mark, defuse(strings.TrimRight(line, "\r\n")))
	}
}
