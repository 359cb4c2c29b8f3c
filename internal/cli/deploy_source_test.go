package cli

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pandabox/pandabox/pkg/client"
	"github.com/pandabox/pandabox/pkg/model"
	"github.com/pandabox/pandabox/pkg/source/pack"
)

// uploadTo uploads a folder with a file of 8 MB that cannot be compressed to a box that takes it as take says.
func uploadTo(ctx context.Context, t *testing.T, change func(file string), take http.HandlerFunc) (said string, err error) {
	t.Helper()
	server := httptest.NewTLSServer(take)
	defer server.Close()
	c, err := client.New(client.Config{Address: server.URL, CA: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	dir, noise := t.TempDir(), make([]byte, 8<<20)
	_, _ = rand.Read(noise)
	put(t, dir, "big.bin", string(noise))
	tree, err := pack.Look(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(filepath.Join(dir, "big.bin"))
	}
	var b bytes.Buffer
	sh := &shell{output: output{out: &b, err: &b}}
	_, err = sh.uploadSource(ctx, c, tree)
	return b.String(), err
}

func put(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestUploadThatIsInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	gone := make(chan struct{})
	said, err := uploadTo(ctx, t, nil, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.ReadFull(r.Body, make([]byte, 1))
		cancel()
		_, _ = io.Copy(io.Discard, r.Body)
		close(gone)
	})
	<-gone
	if exitCode(err) != ExitInterrupted || !strings.Contains(err.Error(), "interrupted; nothing was deployed") || !strings.Contains(said, "✗ upload    1 file, 8.0 MB") {
		t.Errorf("got %v, said %s", err, said)
	}
}

func TestUploadThatIsRefused(t *testing.T) {
	_, err := uploadTo(t.Context(), t, nil, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(http.StatusForbidden)
		_, _ = io.WriteString(w, `{"title":"you may not deploy","status":403,"kind":"forbidden"}`)
	})
	if model.KindOf(err) != model.KindForbidden || !strings.Contains(err.Error(), "you may not deploy") {
		t.Errorf("got %v", err)
	}
}

func TestUploadOfAFileThatIsGone(t *testing.T) {
	var got error
	_, err := uploadTo(t.Context(), t, func(file string) {
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
	}, func(_ http.ResponseWriter, r *http.Request) { _, got = io.Copy(io.Discard, r.Body) })
	if err == nil || errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "big.bin") {
		t.Errorf("got %v", err)
	}
	if got == nil {
		t.Error("the box took it for the whole")
	}
}
