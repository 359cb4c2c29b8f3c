package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
)

// siteFiles are the files of the site that is measured, with their sizes in bytes.
func siteFiles() map[string]int { return map[string]int{"small.css": 1 << 10, "large.js": 100 << 10} }

// staticVsNginx serves the same files from a box and from Debian's nginx; both may use all cores. The value is the lesser
// of the two files' ratios.
func staticVsNginx(ctx context.Context, s *setup) (_ result, err error) {
	for command, debian := range map[string]string{"wrk": "wrk", "nginx": "nginx-light"} {
		if err := need(ctx, command, debian); err != nil {
			return result{}, err
		}
	}
	dir, err := s.website()
	if err != nil {
		return result{}, err
	}
	b, err := s.box(ctx)
	if err != nil {
		return result{}, err
	}
	defer b.end(ctx, &err)
	if _, err := b.deployFolder(ctx, dir, "site"); err != nil {
		return result{}, err
	}
	if err := b.routeAll(ctx, "site", 1); err != nil {
		return result{}, err
	}
	addr, err := freeAddr()
	if err != nil {
		return result{}, err
	}
	peer, err := s.nginxFiles(ctx, addr, dir)
	if err != nil {
		return result{}, err
	}
	defer peer.stop(&err)
	out := result{}
	for _, name := range []string{"small.css", "large.js"} {
		var ratios, ours, theirs []float64
		for i := range s.times(7) + 1 {
			a, n, err := inTurn(i,
				func() (sample, error) { return s.wrkPath(ctx, b.HTTP, "/"+name, 1, "wrk") },
				func() (sample, error) { return s.wrkPath(ctx, addr, "/"+name, 1, "wrk") })
			if err != nil {
				return result{}, err
			}
			if i > 0 {
				ours, theirs, ratios = append(ours, a.rate()), append(theirs, n.rate()), append(ratios, a.rate()/n.rate())
			}
		}
		if out.value == 0 || median(ratios) < out.value {
			out.value = median(ratios)
		}
		if out.detail != "" {
			out.detail += "; "
		}
		out.detail += fmt.Sprintf("%d KB: pandabox %.0f req/s, nginx %.0f req/s, %.2f", siteFiles()[name]>>10, median(ours), median(theirs), median(ratios))
	}
	return out, nil
}

// website writes a folder of files that cannot be made smaller.
func (s *setup) website() (string, error) {
	dir := filepath.Join(s.dir, "site")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	if err := os.WriteFile(filepath.Join(dir, "index.html"), []byte("hello world"), 0o644); err != nil {
		return "", err
	}
	random := rand.NewChaCha8([32]byte{})
	for name, size := range siteFiles() {
		content := make([]byte, size)
		_, _ = random.Read(content) // it has no end
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
			return "", err
		}
	}
	return dir, nil
}

// nginxFiles starts Debian's nginx on a folder, with as many workers as there are cores.
func (s *setup) nginxFiles(ctx context.Context, addr, dir string) (*peer, error) {
	conf := filepath.Join(s.dir, "nginx-files.conf")
	text := fmt.Sprintf(`user root; daemon off; worker_processes auto; pid %[1]s/nginx-files.pid; error_log stderr error;
events { worker_connections 1024; }
http {
	access_log off; include /etc/nginx/mime.types; sendfile on; tcp_nopush on; client_body_temp_path %[1]s/body; proxy_temp_path %[1]s/proxy;
	fastcgi_temp_path %[1]s/fastcgi; uwsgi_temp_path %[1]s/uwsgi; scgi_temp_path %[1]s/scgi;
	server { listen %[2]s; server_name %[4]s; keepalive_requests 1000000000; root %[3]s; }
}
`, s.dir, addr, dir, host(0))
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		return nil, err
	}
	return startPeer(ctx, addr, exec.Command("nginx", "-c", conf, "-e", "stderr"))
}
