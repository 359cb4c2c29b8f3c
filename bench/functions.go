package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/pandabox/pandabox/pkg/api"
	"github.com/pandabox/pandabox/pkg/client"
	"github.com/pandabox/pandabox/pkg/edge/bundle"
	"github.com/pandabox/pandabox/pkg/model"
	"github.com/pandabox/pandabox/test/box"
)

// Servers are kept on one core and the load on the other, so that a server's share is the same for both sides.
const (
	serverCore = 0
	loadCore   = 1
)

// jsonPath is what the URL and JSON handler is asked for.
const jsonPath = "/items/42?q=cats&page=3"

// sides are two servers' figures, round by round.
type sides struct {
	ours, theirs       []float64 // req/s
	oursCPU, theirsCPU []float64 // µs of CPU per request
}

func (f *sides) rate() float64 { return median(f.ours) / median(f.theirs) }
func (f *sides) cpu() float64  { return median(f.oursCPU) / median(f.theirsCPU) }

func (f *sides) detail(peer string) string {
	return fmt.Sprintf("pandabox %.0f req/s, %.1f µs of CPU each; %s %.0f req/s, %.1f µs",
		median(f.ours), median(f.oursCPU), peer, median(f.theirs), median(f.theirsCPU))
}

func jsHelloCPU(ctx context.Context, s *setup) (result, error) {
	f, err := s.jsHello(ctx)
	if err != nil {
		return result{}, err
	}
	return result{value: f.cpu(), detail: f.detail("workerd")}, nil
}

func jsHelloRate(ctx context.Context, s *setup) (result, error) {
	f, err := s.jsHello(ctx)
	if err != nil {
		return result{}, err
	}
	return result{value: f.rate(), detail: f.detail("workerd")}, nil
}

func (s *setup) jsHello(ctx context.Context) (_ *sides, err error) {
	if s.hello == nil {
		s.hello, err = s.beside(ctx, "hello", "/", model.IsolationReuse)
	}
	return s.hello, err
}

func jsFresh(ctx context.Context, s *setup) (result, error) {
	f, err := s.beside(ctx, "hello", "/", model.IsolationRequest)
	if err != nil {
		return result{}, err
	}
	return result{value: f.rate(), detail: f.detail("workerd, which keeps its state,")}, nil
}

func jsJSON(ctx context.Context, s *setup) (result, error) {
	f, err := s.beside(ctx, "json", jsonPath, model.IsolationReuse)
	if err != nil {
		return result{}, err
	}
	return result{value: f.rate(), detail: f.detail("workerd")}, nil
}

// beside drives a function of bench/functions on a box and the same file in workerd, in turn.
func (s *setup) beside(ctx context.Context, name, path string, isolation model.Isolation) (_ *sides, err error) {
	module, err := os.ReadFile(filepath.Join("bench", "functions", name, "index.js"))
	if err != nil {
		return nil, fmt.Errorf("run it from the project's root: %w", err)
	}
	peer, addr, err := s.startWorkerd(ctx, string(module), serverCore)
	if err != nil {
		return nil, err
	}
	defer peer.stop(&err)
	b, err := s.pinned(ctx)
	if err != nil {
		return nil, err
	}
	defer b.end(ctx, &err)
	if err := b.deployFunction(ctx, "fn", filepath.Join("bench", "functions", name), model.Function{Isolation: isolation}); err != nil {
		return nil, err
	}
	if err := b.route(ctx, "fn", host(0)); err != nil {
		return nil, err
	}
	ours, err := get(ctx, b.HTTP, host(0), path)
	if err != nil {
		return nil, err
	}
	if theirs, err := get(ctx, addr, host(0), path); err != nil || theirs != ours {
		return nil, fmt.Errorf("the two sides answer %q and %q, %w", ours, theirs, err)
	}
	return s.compare(ctx, b, peer, addr, path)
}

// compare drives a box and a peer in turn.
func (s *setup) compare(ctx context.Context, b *bench, peer *peer, addr, path string) (*sides, error) {
	if err := need(ctx, "wrk", "wrk"); err != nil {
		return nil, err
	}
	type side struct {
		sample
		cpu float64
	}
	drive := func(addr string, pid int) func() (side, error) {
		return func() (side, error) {
			before, err := cpu(pid)
			if err != nil {
				return side{}, err
			}
			l, err := s.wrkCore(ctx, addr, path, loadCore)
			if err != nil {
				return side{}, err
			}
			after, err := cpu(pid)
			return side{l, float64((after - before).Microseconds()) / float64(l.Requests)}, err
		}
	}
	f := &sides{}
	for i := range s.times(5) + 1 {
		a, t, err := inTurn(i, drive(b.HTTP, b.Pid()), drive(addr, peer.cmd.Process.Pid))
		if err != nil {
			return nil, err
		}
		if i == 0 {
			continue // both sides warm up
		}
		f.ours, f.theirs = append(f.ours, a.rate()), append(f.theirs, t.rate())
		f.oursCPU, f.theirsCPU = append(f.oursCPU, a.cpu), append(f.theirsCPU, t.cpu)
	}
	return f, nil
}

// wasmHello compares a C guest with a Go server of its own, which has no ingress before it.
func wasmHello(ctx context.Context, s *setup) (_ result, err error) {
	program := filepath.Join(s.cache, "native")
	if err := goBuild(ctx, program, "./bench/peers/native"); err != nil {
		return result{}, err
	}
	addr, err := freeAddr()
	if err != nil {
		return result{}, err
	}
	peer, err := startPeer(ctx, addr, onCore(serverCore, program, addr))
	if err != nil {
		return result{}, err
	}
	defer peer.stop(&err)
	dir, err := s.guest(ctx, "guest")
	if err != nil {
		return result{}, err
	}
	b, err := s.pinned(ctx)
	if err != nil {
		return result{}, err
	}
	defer b.end(ctx, &err)
	if err := b.deployFunction(ctx, "fn", dir, model.Function{}); err != nil {
		return result{}, err
	}
	if err := b.route(ctx, "fn", host(0)); err != nil {
		return result{}, err
	}
	f, err := s.compare(ctx, b, peer, addr, "/")
	if err != nil {
		return result{}, err
	}
	return result{value: f.rate(), detail: f.detail("native")}, nil
}

// guest builds a guest in C of bench/functions with Debian's clang, and returns its folder.
func (s *setup) guest(ctx context.Context, name string) (string, error) {
	if err := need(ctx, "clang", "clang"); err != nil {
		return "", err
	}
	if err := need(ctx, "wasm-ld", "lld"); err != nil {
		return "", err
	}
	dir := filepath.Join(s.dir, name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, "clang", "--target=wasm32", "-O2", "-nostdlib", "-Wl,--no-entry",
		"-o", filepath.Join(dir, "main.wasm"), filepath.Join("bench", "functions", name, "main.c"))
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building the guest: %w\n%s", err, out)
	}
	return dir, nil
}

// pinned starts a box that is kept on one core.
func (s *setup) pinned(ctx context.Context) (*bench, error) {
	core := serverCore
	return s.boxOf(ctx, box.Options{Core: &core})
}

// route leads a host to an app over plain HTTP and waits until it answers.
func (b *bench) route(ctx context.Context, app, host string) error {
	if err := b.lead(ctx, app, host); err != nil {
		return err
	}
	return b.reached(ctx, host)
}

// lead leads a host to an app over plain HTTP.
func (b *bench) lead(ctx context.Context, app, host string) error {
	if _, err := b.AddDomain(ctx, client.Ref{App: app}, api.NewDomain{Host: host, TLS: model.TLSOff}); err != nil {
		return fmt.Errorf("adding a domain: %w", err)
	}
	return nil
}

// deployFunction bundles, uploads and deploys a folder. f says what the folder does not.
func (b *bench) deployFunction(ctx context.Context, app, dir string, f model.Function) error {
	made, err := bundle.Build(ctx, dir, bundle.Options{})
	if err != nil {
		return err
	}
	return b.deployBundle(ctx, app, made, f)
}

func (b *bench) deployBundle(ctx context.Context, app string, made *bundle.Bundle, f model.Function) error {
	var buf bytes.Buffer
	if err := made.Write(&buf); err != nil {
		return err
	}
	up, err := b.ImportFunction(ctx, &buf)
	if err != nil {
		return fmt.Errorf("uploading %s: %w", app, err)
	}
	f.Digest, f.Size, f.Runtime = up.Digest, up.Size, up.Runtime
	return b.deploy(ctx, app, api.NewDeploy{Kind: model.KindFunction, Function: &f})
}
