package e2e

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestEmbedded builds the example program that embeds pandabox, lets it deploy, and requests the app.
func TestEmbedded(t *testing.T) {
	dir, err := os.MkdirTemp("/tmp", "pbx-embed-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	bin := filepath.Join(dir, "embed")
	build := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-o", bin, "../../examples/embed")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building: %v\n%s", err, out)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	_ = l.Close()

	cmd := exec.Command(bin, dir, "embed.localhost", addr, archive(t, nil))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err != nil {
			t.Errorf("the program ended with %v", err)
		}
		config := filepath.Join(dir, "config.toml")
		text := fmt.Sprintf("data_dir = %q\nrun_dir = %q\n", filepath.Join(dir, "data"), filepath.Join(dir, "run"))
		if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
			t.Error(err)
		}
		if out, err := exec.Command(os.Getenv("PANDABOX_BIN"), "stop", "--all", "--config", config).CombinedOutput(); err != nil {
			t.Errorf("stopping everything: %v\n%s", err, out)
		}
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || !strings.HasPrefix(line, "shop succeeded: https://shop.embed.localhost") {
		t.Fatalf("%q %v", line, err)
	}
	client := &http.Client{Timeout: time.Minute, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true, ServerName: "shop.embed.localhost"},
	}}
	req, err := http.NewRequest(http.MethodGet, "https://"+addr+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = "shop.embed.localhost"
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	if b, err := io.ReadAll(res.Body); err != nil || strings.TrimSpace(string(b)) != "shop" {
		t.Fatalf("%d %q %v", res.StatusCode, b, err)
	}
}
