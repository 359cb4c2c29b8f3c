package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/pandabox/pandabox/bench/load"
	"github.com/pandabox/pandabox/pkg/api"
	"github.com/pandabox/pandabox/pkg/client"
	"github.com/pandabox/pandabox/pkg/model"
	"github.com/pandabox/pandabox/test/box"
)

// What is done to the app while requests come, and how many of those there are at least.
const (
	loadDeploys   = 20
	loadScales    = 5
	loadRollbacks = 3
	loadRequests  = 50_000
)

// deployUnderLoad counts the requests that fail while an app is deployed, scaled and rolled back.
func deployUnderLoad(ctx context.Context, s *setup) (_ result, err error) {
	b, err := s.serving(ctx, 1)
	if err != nil {
		return result{}, err
	}
	defer b.end(ctx, &err)
	img, err := b.upload(ctx, s.archive)
	if err != nil {
		return result{}, err
	}
	roots, err := b.roots()
	if err != nil {
		return result{}, err
	}
	began := time.Now()
	l := load.Start(roots, b.kinds("app."+box.Base))
	err = b.upheaval(ctx, img)
	for err == nil && l.Requests() < loadRequests {
		select {
		case <-ctx.Done():
			err = ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
	failed, first := l.Stop()
	if err != nil {
		return result{}, err
	}
	detail := fmt.Sprintf("%d requests in %.0f s, %d deploys, %d scale changes, %d rollbacks", l.Requests(), time.Since(began).Seconds(), loadDeploys, loadScales, loadRollbacks)
	if failed > 0 {
		detail += "; the first failures:\n    " + strings.Join(first, "\n    ")
	}
	return result{value: float64(failed), detail: detail}, nil
}

// kinds are HTTP/1.1 and 2, kept and new connections, plain and TLS, and a slow endpoint.
func (b *bench) kinds(name string) []load.Kind {
	tls := "https://" + name
	return []load.Kind{
		{Name: "http/1.1 kept", URL: tls + "/", Addr: b.HTTPS, Workers: 4, Pause: 5 * time.Millisecond, Want: "hello world"},
		{Name: "http/1.1 new", URL: tls + "/", Addr: b.HTTPS, Fresh: true, Workers: 1, Pause: 20 * time.Millisecond, Want: "hello world"},
		{Name: "http/2 kept", URL: tls + "/", Addr: b.HTTPS, HTTP2: true, Workers: 4, Pause: 5 * time.Millisecond, Want: "hello world"},
		{Name: "http/2 new", URL: tls + "/", Addr: b.HTTPS, HTTP2: true, Fresh: true, Workers: 1, Pause: 20 * time.Millisecond, Want: "hello world"},
		{Name: "plain kept", URL: "http://" + host(0) + "/", Addr: b.HTTP, Workers: 2, Pause: 5 * time.Millisecond, Want: "hello world"},
		{Name: "plain new", URL: "http://" + host(0) + "/", Addr: b.HTTP, Fresh: true, Workers: 2, Pause: 10 * time.Millisecond, Want: "hello world"},
		{Name: "slow", URL: tls + "/slow", Addr: b.HTTPS, HTTP2: true, Workers: 4, Want: "slow"},
	}
}

// upheaval deploys, scales and rolls back, one after the other.
func (b *bench) upheaval(ctx context.Context, img model.Image) error {
	ref := client.Ref{App: "app"}
	scales, rollbacks := 0, 0
	for i := range loadDeploys {
		if err := b.deploy(ctx, ref.App, plan(img)); err != nil {
			return err
		}
		if i%4 == 1 && scales < loadScales {
			scales++
			if err := b.scale(ctx, ref, scales%3+1); err != nil {
				return err
			}
		}
		if i%6 == 5 && rollbacks < loadRollbacks {
			rollbacks++
			d, err := b.Rollback(ctx, ref, api.Rollback{})
			if err != nil {
				return fmt.Errorf("rolling back: %w", err)
			}
			if err := b.settled(ctx, ref, d.ID); err != nil {
				return err
			}
		}
	}
	if scales != loadScales || rollbacks != loadRollbacks {
		return fmt.Errorf("%d scale changes and %d rollbacks were made", scales, rollbacks)
	}
	return nil
}

// scale sets the number of replicas and waits until so many are healthy.
func (b *bench) scale(ctx context.Context, ref client.Ref, n int) error {
	if _, err := b.Scale(ctx, ref, api.Scaling{Processes: map[string]model.Scale{model.ProcessWeb: {Replicas: &n}}}); err != nil {
		return fmt.Errorf("scaling to %d: %w", n, err)
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		w, err := b.Workload(ctx, ref)
		if err != nil {
			return fmt.Errorf("scaling to %d: %w", n, err)
		}
		healthy := 0
		for _, r := range w.Replicas {
			if r.State == model.ReplicaHealthy {
				healthy++
			}
		}
		if healthy == n && len(w.Replicas) == n {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("scaling to %d: %d of %d replicas healthy: %w", n, healthy, len(w.Replicas), ctx.Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// roots returns the box's own CA.
func (b *bench) roots() (*x509.CertPool, error) {
	pem, err := b.RootCA()
	if err != nil {
		return nil, fmt.Errorf("reading the box's CA: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, errors.New("the box's CA is no certificate")
	}
	return pool, nil
}
