// Package load keeps a steady load on an address and counts what fails.
package load

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// Kind is one way of asking.
type Kind struct {
	Name    string
	URL     string // its host is asked for at Addr
	Addr    string
	HTTP2   bool // over TLS
	Fresh   bool // a connection for every request
	Workers int
	Pause   time.Duration // between two requests of a worker
	Want    string        // the whole body of an answer that is right
}

// Load is a load that is on.
type Load struct {
	stop     chan struct{}
	wg       sync.WaitGroup
	requests atomic.Int64
	failed   atomic.Int64

	mu    sync.Mutex
	first []string // the first failures
}

// Start begins to ask, in every kind at once. roots checks certificates.
func Start(roots *x509.CertPool, kinds []Kind) *Load {
	l := &Load{stop: make(chan struct{})}
	for _, k := range kinds {
		for range k.Workers {
			l.wg.Add(1)
			go func() {
				defer l.wg.Done()
				l.work(roots, k)
			}()
		}
	}
	return l
}

// Requests returns how many requests have ended, well or badly.
func (l *Load) Requests() int { return int(l.requests.Load()) }

// Stop lets the requests on their way end, and returns how many failed and the first of the failures.
func (l *Load) Stop() (failed int, first []string) {
	close(l.stop)
	l.wg.Wait()
	return int(l.failed.Load()), l.first
}

func (l *Load) work(roots *x509.CertPool, k Kind) {
	c := caller(roots, k)
	for {
		select {
		case <-l.stop:
			c.CloseIdleConnections()
			return
		case <-time.After(k.Pause):
		}
		err := ask(c, k)
		l.requests.Add(1)
		if err != nil {
			l.failed.Add(1)
			l.note(fmt.Sprintf("%s: %v", k.Name, err))
		}
	}
}

func (l *Load) note(text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.first) < 10 {
		l.first = append(l.first, text)
	}
}

func caller(roots *x509.CertPool, k Kind) *http.Client {
	dialer := &net.Dialer{Timeout: 20 * time.Second}
	t := &http.Transport{
		DisableCompression: true,
		DisableKeepAlives:  k.Fresh,
		TLSClientConfig:    &tls.Config{RootCAs: roots},
		Protocols:          new(http.Protocols),
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, network, k.Addr)
		},
	}
	t.Protocols.SetHTTP1(!k.HTTP2)
	t.Protocols.SetHTTP2(k.HTTP2)
	return &http.Client{
		Transport: t, Timeout: time.Minute,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

func ask(c *http.Client, k Kind) error {
	res, err := c.Get(k.URL)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	switch {
	case err != nil:
		return fmt.Errorf("%s, then %w", res.Status, err)
	case res.StatusCode != http.StatusOK || string(body) != k.Want:
		return fmt.Errorf("%s %.100q", res.Status, body)
	case k.HTTP2 != (res.ProtoMajor == 2):
		return fmt.Errorf("answered in %s", res.Proto)
	}
	return nil
}
