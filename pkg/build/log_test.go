//go:build linux

package build

import (
	"strings"
	"testing"
	"time"

	"github.com/moby/buildkit/client"
	"github.com/opencontainers/go-digest"
	"pgregory.net/rapid"
)

// TestNoSecretInTheLog prints secrets in pieces, within long lines and short ones.
func TestNoSecretInTheLog(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		secrets := map[string][]byte{"a": []byte("tell-nobody"), "b": []byte("tell-nobody-else"), "c": []byte("first line of a key\nsecond line of a key")}
		var out strings.Builder
		l := newLog(Request{Secrets: secrets, Log: func(x Line) { out.WriteString(x.Text + "\n") }}, 1<<30)
		text := ""
		for range rapid.IntRange(1, 8).Draw(t, "parts") {
			text += strings.Repeat("x", rapid.IntRange(0, maxLine+100).Draw(t, "before"))
			text += rapid.SampledFrom([]string{"tell-nobody", "tell-nobody-else", "second line of a key", "\n", ""}).Draw(t, "then")
		}
		one := digest.FromString("step")
		start := &client.Vertex{Digest: one, Name: "[1/1] RUN x"}
		l.take(&client.SolveStatus{Vertexes: []*client.Vertex{start}})
		for len(text) > 0 {
			n := rapid.IntRange(1, len(text)).Draw(t, "piece")
			l.take(&client.SolveStatus{Logs: []*client.VertexLog{{Vertex: one, Data: []byte(text[:n])}}})
			text = text[n:]
		}
		now := time.Now()
		at := &now
		l.take(&client.SolveStatus{Vertexes: []*client.Vertex{{Digest: one, Name: start.Name, Started: at, Completed: at}}})
		whole := strings.ReplaceAll(out.String(), "\n", "")
		for _, bad := range []string{"nobody", "else", "line of a key", "tell"} {
			if strings.Contains(whole, bad) {
				t.Fatalf("%q is in the log", bad)
			}
		}
		for row := range strings.Lines(out.String()) {
			if len(row) > maxLine+1 {
				t.Fatalf("a line of %d bytes", len(row))
			}
		}
	})
}
