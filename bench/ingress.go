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
)

// manyHosts is how many hosts the ingress rows route.
const manyHosts = 10_000

// flatFigures are the ratios of many hosts to one.
type flatFigures struct {
	rate, p99 []float64
	detail    string
}

func ingressFlat(ctx context.Context, s *setup) (result, error) {
	f, err := s.measureFlat(ctx)
	if err != nil {
		return result{}, err
	}
	return result{value: median(f.rate), detail: f.detail}, nil
}

func ingressFlatP99(ctx context.Context, s *setup) (result, error) {
	f, err := s.measureFlat(ctx)
	if err != nil {
		return result{}, err
	}
	return result{value: median(f.p99), detail: f.detail}, nil
}

// measureFlat drives two boxes in turn, one with a single host and one with many.
func (s *setup) measureFlat(ctx context.Context) (_ *flatFigures, err error) {
	if s.flat != nil {
		return s.flat, nil
	}
	if err := need(ctx, "wrk", "wrk"); err != nil {
		return nil, err
	}
	one, err := s.serving(ctx, 1)
	if err != nil {
		return nil, err
	}
	defer one.end(ctx, &err)
	many, err := s.serving(ctx, manyHosts)
	if err != nil {
		return nil, err
	}
	defer many.end(ctx, &err)
	f := &flatFigures{}
	var ones, manies []sample
	for i := range s.times(9) + 1 {
		a, b, err := inTurn(i, func() (sample, error) { return s.wrk(ctx, one.HTTP, 1) }, func() (sample, error) { return s.wrk(ctx, many.HTTP, appHosts) })
		if err != nil {
			return nil, err
		}
		if i == 0 {
			continue // both sides warm up
		}
		ones, manies = append(ones, a), append(manies, b)
		f.rate, f.p99 = append(f.rate, b.rate()/a.rate()), append(f.p99, b.P99/a.P99)
	}
	f.detail = fmt.Sprintf("%d hosts %.0f req/s, p99 %.1f ms; 1 host %.0f req/s, p99 %.1f ms",
		manyHosts, medianOf(manies, sample.rate), medianOf(manies, sample.p99), medianOf(ones, sample.rate), medianOf(ones, sample.p99))
	s.flat = f
	return f, nil
}

func (l sample) p99() float64 { return l.P99 / 1000 }

func medianOf(all []sample, f func(sample) float64) float64 {
	var v []float64
	for _, l := range all {
		v = append(v, f(l))
	}
	return median(v)
}

// inTurn measures two sides, the second first in every other round.
func inTurn[T any](round int, a, b func() (T, error)) (x, y T, err error) {
	if round%2 == 0 {
		if x, err = a(); err == nil {
			y, err = b()
		}
		return x, y, err
	}
	if y, err = b(); err == nil {
		x, err = a()
	}
	return x, y, err
}

// serving starts a box with one app on hosts hosts.
func (s *setup) serving(ctx context.Context, hosts int) (_ *bench, err error) {
	b, err := s.box(ctx)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			b.end(ctx, &err)
		}
	}()
	img, err := b.upload(ctx, s.archive)
	if err != nil {
		return nil, err
	}
	if err := b.deploy(ctx, "app", plan(img)); err != nil {
		return nil, err
	}
	return b, b.routeAll(ctx, "app", hosts)
}

func ingressVsCaddy(ctx context.Context, s *setup) (_ result, err error) {
	if err := need(ctx, "wrk", "wrk"); err != nil {
		return result{}, err
	}
	program, err := s.caddy(ctx)
	if err != nil {
		return result{}, err
	}
	b, err := s.serving(ctx, 1)
	if err != nil {
		return result{}, err
	}
	defer b.end(ctx, &err)
	up, err := b.upstream(ctx, "app")
	if err != nil {
		return result{}, err
	}
	addr, err := freeAddr()
	if err != nil {
		return result{}, err
	}
	conf := filepath.Join(s.dir, "Caddyfile")
	text := fmt.Sprintf("{\n\tadmin off\n\tauto_https off\n\tlog {\n\t\tlevel ERROR\n\t}\n}\nhttp://%s:%s {\n\treverse_proxy %s\n}\n", host(0), port(addr), up)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		return result{}, err
	}
	peer, err := startPeer(ctx, addr, exec.Command(program, "run", "--config", conf, "--adapter", "caddyfile"))
	if err != nil {
		return result{}, err
	}
	defer peer.stop(&err)
	var ratios []float64
	var ours, theirs []sample
	for i := range s.times(9) + 1 {
		a, c, err := inTurn(i, func() (sample, error) { return s.wrk(ctx, b.HTTP, 1) }, func() (sample, error) { return s.wrk(ctx, addr, 1) })
		if err != nil {
			return result{}, err
		}
		if i > 0 {
			ours, theirs, ratios = append(ours, a), append(theirs, c), append(ratios, a.rate()/c.rate())
		}
	}
	return result{value: median(ratios), detail: fmt.Sprintf("pandabox %.0f req/s, Caddy %.0f req/s", medianOf(ours, sample.rate), medianOf(theirs, sample.rate))}, nil
}

func ingressVsNginx(ctx context.Context, s *setup) (_ result, err error) {
	if err := need(ctx, "wrk", "wrk"); err != nil {
		return result{}, err
	}
	if err := need(ctx, "nginx", "nginx-light"); err != nil {
		return result{}, err
	}
	b, err := s.serving(ctx, 1)
	if err != nil {
		return result{}, err
	}
	defer b.end(ctx, &err)
	up, err := b.upstream(ctx, "app")
	if err != nil {
		return result{}, err
	}
	addr, err := freeAddr()
	if err != nil {
		return result{}, err
	}
	peer, err := s.nginx(ctx, addr, up)
	if err != nil {
		return result{}, err
	}
	defer peer.stop(&err)
	var ratios, ours, theirs []float64
	for i := range s.times(7) + 1 {
		a, n, err := inTurn(i,
			func() (float64, error) { return s.cpuPerRequest(ctx, b.HTTP, b.Pid()) },
			func() (float64, error) { return s.cpuPerRequest(ctx, addr, childOf(peer.cmd.Process.Pid)) })
		if err != nil {
			return result{}, err
		}
		if i > 0 {
			ours, theirs, ratios = append(ours, a), append(theirs, n), append(ratios, a/n)
		}
	}
	return result{value: median(ratios), detail: fmt.Sprintf("CPU per request: pandabox %.0f µs, nginx %.0f µs", median(ours), median(theirs))}, nil
}

// nginx starts Debian's nginx with one worker, which is the process whose time counts.
func (s *setup) nginx(ctx context.Context, addr, upstream string) (*peer, error) {
	conf := filepath.Join(s.dir, "nginx.conf")
	text := fmt.Sprintf(`daemon off; worker_processes 1; pid %[1]s/nginx.pid; error_log stderr error;
events { worker_connections 1024; }
http {
	access_log off; client_body_temp_path %[1]s/body; proxy_temp_path %[1]s/proxy;
	fastcgi_temp_path %[1]s/fastcgi; uwsgi_temp_path %[1]s/uwsgi; scgi_temp_path %[1]s/scgi;
	upstream app { server %[3]s; keepalive 64; }
	server {
		listen %[2]s; server_name %[4]s; keepalive_requests 1000000000;
		location / { proxy_pass http://app; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $host; }
	}
}
`, s.dir, addr, upstream, host(0))
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		return nil, err
	}
	return startPeer(ctx, addr, exec.Command("nginx", "-c", conf, "-e", "stderr"))
}

// cpuPerRequest returns the µs of CPU a process uses per request of a run of wrk.
func (s *setup) cpuPerRequest(ctx context.Context, addr string, pid int) (float64, error) {
	before, err := cpu(pid)
	if err != nil {
		return 0, err
	}
	l, err := s.wrk(ctx, addr, 1)
	if err != nil {
		return 0, err
	}
	after, err := cpu(pid)
	if err != nil {
		return 0, err
	}
	return float64((after - before).Microseconds()) / float64(l.Requests), nil
}

// peer is a rival's process.
type peer struct {
	cmd  *exec.Cmd
	done chan struct{}
	out  *strings.Builder
}

// startPeer starts a rival and waits until it listens on addr.
func startPeer(ctx context.Context, addr string, cmd *exec.Cmd) (*peer, error) {
	p := &peer{cmd: cmd, done: make(chan struct{}), out: &strings.Builder{}}
	cmd.Stdout, cmd.Stderr = p.out, p.out
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", filepath.Base(cmd.Path), err)
	}
	go func() {
		_ = cmd.Wait()
		close(p.done)
	}()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		if c, err := net.Dial("tcp", addr); err == nil {
			_ = c.Close()
			return p, nil
		}
		select {
		case <-p.done:
			return nil, fmt.Errorf("%s ended: %s", filepath.Base(cmd.Path), p.out)
		case <-ctx.Done():
			var err error
			p.stop(&err)
			return nil, errors.Join(fmt.Errorf("%s does not listen on %s", filepath.Base(cmd.Path), addr), err)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func (p *peer) stop(err *error) {
	if kerr := p.cmd.Process.Signal(os.Interrupt); kerr != nil && !errors.Is(kerr, os.ErrProcessDone) {
		*err = errors.Join(*err, kerr)
	}
	select {
	case <-p.done:
	case <-time.After(10 * time.Second):
		_ = p.cmd.Process.Kill()
		<-p.done
	}
}

func freeAddr() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("finding a free port: %w", err)
	}
	return l.Addr().String(), l.Close()
}

func port(addr string) string { return addr[strings.LastIndexByte(addr, ':')+1:] }
