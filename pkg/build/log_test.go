//go:build linux

package build

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/moby/buildkit/client"
	gateway "github.com/moby/buildkit/frontend/gateway/pb"
	solvererrors "github.com/moby/buildkit/solver/errdefs"
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

// TestNoHalfSecretInTheLog has two streams meet within a line, and BuildKit cut one.
func TestNoHalfSecretInTheLog(t *testing.T) {
	for name, parts := range map[string][]client.VertexLog{
		"two streams": {{Stream: 1, Data: []byte("correct-ho")}, {Stream: 2, Data: []byte("careful\n")}, {Stream: 1, Data: []byte("rse-battery\n")}},
		"cut": {
			{Stream: 1, Data: []byte("first\ncorrect-h")}, {Stream: 2, Data: []byte("careful\n")}, {Stream: 1, Data: []byte("orse\n[output clipped, log limit 2MiB reached]\n")},
			{Stream: 1, Data: []byte("battery")}, {Stream: 1, Data: []byte("\nlast\n")},
		},
	} {
		var out strings.Builder
		l := newLog(Request{Mask: []string{"correct-horse-battery"}, Log: func(x Line) { out.WriteString(x.Text + "\n") }}, 1<<20)
		for _, p := range parts {
			p.Vertex = digest.FromString("step")
			l.take(&client.SolveStatus{Logs: []*client.VertexLog{&p}})
		}
		for _, bad := range []string{"correct", "horse", "battery"} {
			if strings.Contains(out.String(), bad) {
				t.Errorf("%s: %q is in the log:\n%s", name, bad, out.String())
			}
		}
		if !strings.Contains(out.String(), "careful\n") || name == "cut" && (!strings.Contains(out.String(), "first\n") || name == "cut" && !strings.Contains(out.String(), "[output clipped") || !strings.Contains(out.String(), "last\n")) {
			t.Errorf("%s: lines are missing:\n%s", name, out.String())
		}
	}
}

// TestFailureIsOfTheStepThatFailed, not of one beside it that was canceled and had more to say.
func TestFailureIsOfTheStepThatFailed(t *testing.T) {
	one, two := digest.FromString("one"), digest.FromString("two")
	l := newLog(Request{}, 1<<20)
	l.take(&client.SolveStatus{
		Logs: []*client.VertexLog{{Vertex: one, Data: []byte("a\nb\nc\n")}, {Vertex: two, Data: []byte("the reason\n")}},
	})
	l.take(&client.SolveStatus{Vertexes: []*client.Vertex{
		{Digest: one, Name: "[one 1/1] RUN sleep", Error: "process did not complete: context canceled"}, {Digest: two, Name: "[two 1/1] RUN exit 7", Error: "exit code: 7"},
	}})
	exit := &gateway.ExitError{ExitCode: 7}
	for name, err := range map[string]error{"with its digest": solvererrors.WrapVertex(exit, two), "without": fmt.Errorf("failed: %w", exit)} {
		if got := l.failure(err); !strings.Contains(got.Error(), "RUN exit 7") || !strings.Contains(got.Error(), "the reason") {
			t.Errorf("%s: %v", name, got)
		}
	}
	if got := l.failure(errors.New("something else")); !strings.Contains(got.Error(), "something else") {
		t.Errorf("%v", got)
	}
}
