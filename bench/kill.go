package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/pandabox/pandabox/pkg/api"
	"github.com/pandabox/pandabox/pkg/client"
	"github.com/pandabox/pandabox/pkg/model"
)

// killApps is how many apps run while the daemon is killed.
const killApps = 5

// daemonKill kills the daemon over and over: seconds until the ingress answers again, and no container restarts.
func daemonKill(ctx context.Context, s *setup) (_ result, err error) {
	b, err := s.box(ctx)
	if err != nil {
		return result{}, err
	}
	defer b.end(ctx, &err)
	img, err := b.upload(ctx, s.archive)
	if err != nil {
		return result{}, err
	}
	var before []string
	for i := range killApps {
		id, err := b.plainApp(ctx, i, img)
		if err != nil {
			return result{}, err
		}
		before = append(before, id)
	}
	sup, err := b.supervise(ctx)
	if err != nil {
		return result{}, err
	}
	defer sup.end(&err)
	var all []float64
	restarted := 0
	for range s.times(5) {
		if err := rest(ctx); err != nil {
			return result{}, err
		}
		d, err := b.killOnce(ctx, sup)
		if err != nil {
			return result{}, err
		}
		all = append(all, d.Seconds())
		for i := range before {
			if err := b.answers(ctx, host(i)); err != nil {
				return result{}, err
			}
			body, err := get(ctx, b.HTTP, host(i), "/who")
			if err != nil {
				return result{}, err
			}
			if id, _, _ := strings.Cut(body, " "); id != before[i] {
				restarted++
				before[i] = id
			}
		}
	}
	return result{value: median(all), broken: restarted > 0, detail: fmt.Sprintf("%d apps, %d containers restarted, s: %s", killApps, restarted, list(all))}, nil
}

// rest lets the daemon run for longer than the ten seconds after which its supervisor takes it for steady: before that,
// it would be started again later and later.
func rest(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(11 * time.Second):
		return nil
	}
}

// plainApp deploys an app on host(i) over plain HTTP and returns its replica's id.
func (b *bench) plainApp(ctx context.Context, i int, img model.Image) (string, error) {
	name := fmt.Sprintf("app%d", i)
	if err := b.deploy(ctx, name, plan(img)); err != nil {
		return "", err
	}
	if _, err := b.AddDomain(ctx, client.Ref{App: name}, api.NewDomain{Host: host(i), TLS: model.TLSOff}); err != nil {
		return "", fmt.Errorf("adding a domain: %w", err)
	}
	if err := b.answers(ctx, host(i)); err != nil {
		return "", err
	}
	body, err := get(ctx, b.HTTP, host(i), "/who")
	id, _, _ := strings.Cut(body, " ")
	return id, err
}

// killOnce kills the daemon and returns the time until the ingress answers again.
func (b *bench) killOnce(ctx context.Context, sup *supervisor) (time.Duration, error) {
	pid := childOf(sup.cmd.Process.Pid)
	if pid == 0 {
		return 0, errors.New("the supervisor has no daemon")
	}
	began := time.Now()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		return 0, fmt.Errorf("killing the daemon: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		// The old daemon's last breath is no answer.
		if f, err := stat(pid); err != nil || f[0] == "Z" {
			if body, err := get(ctx, b.HTTP, host(0), "/"); err == nil && body == "hello world" {
				return time.Since(began), nil
			}
		}
		select {
		case <-ctx.Done():
			return 0, fmt.Errorf("the ingress never answered again: %w\n%s", ctx.Err(), b.Log())
		case <-time.After(time.Millisecond):
		}
	}
}

// supervisor keeps the box's daemon running, as `pandabox start` has it.
type supervisor struct {
	cmd  *exec.Cmd
	done chan struct{}
}

// supervise ends the box's daemon and starts it under a supervisor.
func (b *bench) supervise(ctx context.Context) (*supervisor, error) {
	if err := b.Signal(syscall.SIGTERM); err != nil {
		return nil, err
	}
	s := &supervisor{cmd: exec.Command(b.Bin, "supervise", "--config", b.Config), done: make(chan struct{})}
	out, err := os.Create(b.Dir + "/supervisor.out")
	if err != nil {
		return nil, err
	}
	defer func() { _ = out.Close() }()
	s.cmd.Stdout, s.cmd.Stderr = out, out
	if err := s.cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting the supervisor: %w", err)
	}
	go func() {
		_ = s.cmd.Wait()
		close(s.done)
	}()
	limit, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		if _, err := b.Info(limit); err == nil {
			return s, nil
		}
		select {
		case <-s.done:
			return nil, fmt.Errorf("the supervisor ended: %s\n%s", s.cmd.ProcessState, b.Log())
		case <-limit.Done():
			s.end(&err)
			return nil, errors.Join(fmt.Errorf("the daemon never answered: %w\n%s", limit.Err(), b.Log()), err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// end stops the supervisor and with it the daemon.
func (s *supervisor) end(err *error) {
	if kerr := s.cmd.Process.Signal(syscall.SIGTERM); kerr != nil && !errors.Is(kerr, os.ErrProcessDone) {
		*err = errors.Join(*err, kerr)
	}
	select {
	case <-s.done:
	case <-time.After(patience):
		*err = errors.Join(*err, errors.New("the supervisor outlived SIGTERM"), s.cmd.Process.Kill())
		<-s.done
	}
}
