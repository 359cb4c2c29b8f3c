package proxy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pandabox/pandabox/pkg/model"
)

// TestBodiesArriveWhole sends bodies of all sizes and framings through shared connections, many at once, and compares
// what arrives at either end.
func TestBodiesArriveWhole(t *testing.T) {
	p := start(t)
	b := app(t, "b-1", func(w http.ResponseWriter, r *http.Request) {
		sum := crc32.NewIEEE()
		n, err := io.Copy(sum, r.Body)
		size, perr := strconv.Atoi(r.URL.Query().Get("answer"))
		if err = errors.Join(err, perr); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		w.Header().Set("X-Got", fmt.Sprintf("%d %08x", n, sum.Sum32()))
		w.Header().Set("Content-Type", []string{"text/plain", "application/octet-stream"}[size%2])
		if size%3 == 0 {
			w.Header().Set("Content-Length", strconv.Itoa(size))
		}
		rnd := rand.New(rand.NewPCG(uint64(size), 1))
		for left := size; left > 0; {
			piece := min(left, 1+rnd.IntN(20_000))
			_, _ = w.Write(bytes.Repeat([]byte{byte(left)}, piece))
			if rnd.IntN(4) == 0 {
				_ = http.NewResponseController(w).Flush()
			}
			left -= piece
		}
	})
	publish(t, p, plain(serving("a.localhost", b)), serving("b.localhost", b))
	want := func(size int) []byte {
		var out []byte
		rnd := rand.New(rand.NewPCG(uint64(size), 1))
		for left := size; left > 0; {
			piece := min(left, 1+rnd.IntN(20_000))
			out = append(out, bytes.Repeat([]byte{byte(left)}, piece)...)
			rnd.IntN(4)
			left -= piece
		}
		return out
	}
	sizes := []int{0, 1, 5, 1023, 1024, 4095, 4096, 4097, 16 << 10, 16<<10 + 1, 32 << 10, 65_537, 300_000}
	c := client(t, p)
	var wg sync.WaitGroup
	for worker := range 6 {
		wg.Go(func() {
			rnd := rand.New(rand.NewPCG(uint64(worker), 2))
			for range 60 {
				body := bytes.Repeat([]byte{byte(worker)}, sizes[rnd.IntN(len(sizes))])
				size := sizes[rnd.IntN(len(sizes))] + rnd.IntN(3)
				var in io.Reader = bytes.NewReader(body)
				if rnd.IntN(2) == 0 {
					in = io.MultiReader(in) // of unknown length
				}
				url := []string{"http://a.localhost", "https://b.localhost"}[rnd.IntN(2)] + "/?answer=" + strconv.Itoa(size)
				req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, url, in)
				if err != nil {
					t.Error(err)
					return
				}
				res, err := c.Do(req)
				if err != nil {
					t.Errorf("%s with %d bytes: %v", url, len(body), err)
					return
				}
				got, err := io.ReadAll(res.Body)
				_ = res.Body.Close()
				if sent := fmt.Sprintf("%d %08x", len(body), crc32.ChecksumIEEE(body)); res.Header.Get("X-Got") != sent {
					t.Errorf("%s: the app got %q of %q", url, res.Header.Get("X-Got"), sent)
				}
				if err != nil || !bytes.Equal(got, want(size)) {
					t.Errorf("%s: %d of %d bytes came back: %v", url, len(got), size, err)
				}
			}
		})
	}
	wg.Wait()
}

// TestReplicaComesBack: one that was left out gets requests again once it answers.
func TestReplicaComesBack(t *testing.T) {
	p := start(t)
	late := refusing(t, "late")
	publish(t, p, plain(serving("a.localhost", late, app(t, "b-1", hello("b-1")))))
	c := client(t, p)
	b := p.named([]string{"late"})[0]
	eventually(t, "left out", func() bool {
		fetch(t, c, "http://a.localhost/")
		return b.out(time.Now())
	})
	ln, err := net.Listen("tcp", late.Addr.String())
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{ReadHeaderTimeout: time.Minute, Handler: hello("late")}
	go func() { _ = s.Serve(ln) }()
	t.Cleanup(func() { _ = s.Close() })
	eventually(t, "back", func() bool {
		_, body := fetch(t, c, "http://a.localhost/")
		return body == "late" && b.failures.Load() == 0
	})
}

// full is Storage on a disk without room.
type full struct{ *memory }

func (f full) SaveBlob(key string, value []byte) error {
	if strings.HasPrefix(key, "certificates/") {
		return errors.New("no space left on device")
	}
	return f.memory.SaveBlob(key, value)
}

func TestFullDisk(t *testing.T) {
	p := start(t, func(c *Config) { c.Storage = full{newMemory()} })
	publish(t, p, serving("a.localhost", app(t, "b-1", hello("ok"))))
	if status, body := fetch(t, client(t, p), "https://a.localhost/"); status != 200 || body != "ok" {
		t.Errorf("%d %q", status, body)
	}
}

// TestNothingIsLeftRunning starts and closes again and again.
func TestNothingIsLeftRunning(t *testing.T) {
	routes := []model.Route{serving("a.localhost", app(t, "b-1", hello("ok")))}
	before := 0
	for i := range 4 {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			p := start(t)
			publish(t, p, routes...)
			if status, _ := fetch(t, client(t, p), "https://a.localhost/"); status != 200 {
				t.Fatal(status)
			}
		})
		if i == 0 { // what Caddy keeps for good
			eventually(t, "settled", settled())
			before = runtime.NumGoroutine()
		}
	}
	eventually(t, "no goroutine is left", func() bool { return runtime.NumGoroutine() <= before+1 })
}

// settled tells when the number of goroutines has not changed for a while.
func settled() func() bool {
	last, since := 0, time.Now()
	return func() bool {
		if n := runtime.NumGoroutine(); n != last {
			last, since = n, time.Now()
		}
		return time.Since(since) > 2*time.Second
	}
}

func TestBindIPs(t *testing.T) {
	p := start(t, func(c *Config) {
		c.BindIPs = []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("127.0.0.2")}
	})
	for _, a := range append(p.httpAddrs, p.httpsAddrs...) {
		c, err := new(net.Dialer).DialContext(context.Background(), "tcp", a.String())
		if err != nil {
			t.Error(err)
			continue
		}
		_ = c.Close()
	}
	if len(p.httpAddrs) != 2 || p.httpAddrs[0].Port() != p.httpAddrs[1].Port() {
		t.Errorf("listening on %v", p.httpAddrs)
	}
}

func TestConfigIsChecked(t *testing.T) {
	for name, c := range map[string]Config{
		"no storage": {}, "no address": {Storage: newMemory(), HTTPAddr: "80"}, "no domain": {Storage: newMemory(), BaseDomain: "_"},
		"both challenges only": {Storage: newMemory(), ACME: ACME{HTTP01Only: true, TLSALPN01Only: true}},
	} {
		if _, err := New(c); model.KindOf(err) != model.KindInvalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}
