//go:build linux

package build

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/moby/buildkit/client"
	gateway "github.com/moby/buildkit/frontend/gateway/pb"
	solvererrors "github.com/moby/buildkit/solver/errdefs"
	"github.com/opencontainers/go-digest"
	"google.golang.org/grpc/status"

	"github.com/pandabox/pandabox/pkg/model"
)

const (
	lastLines = 20      // of a failing step, kept for its error
	maxLine   = 8 << 10 // bytes; longer ones are cut in two
	masked    = "•••••" // stands for a secret
	minSecret = 4       // bytes: shorter values would mask half the log
)

// buildLog turns BuildKit's progress into lines, masks secrets, and keeps what an error should show.
type buildLog struct {
	out     func(Line)
	mask    *strings.Replacer
	secrets []string // the longest first
	secret  int      // bytes of the longest
	left    int64
	steps   int
	cached  int
	seen    map[digest.Digest]*step
}

// step is one step of the build.
type step struct {
	name    string
	said    bool // its name was written
	counted bool
	streams map[int]*stream // by number: 1 is its output, 2 its errors
	last    []string
	failed  string
}

// stream is one of the two that a step prints to.
type stream struct {
	partial []byte // what it printed behind the last newline
	cut     bool   // what comes next begins in the middle of a line
}

// clipped is what BuildKit puts in place of what a step prints beyond 2 MiB, which may be half a line and half a secret. Of
// that, the last 256 KiB follow when the step is over, and they begin anywhere.
const clipped = "\n[output clipped, log limit "

func newLog(r Request, most int64) *buildLog {
	l := &buildLog{out: r.Log, left: most, seen: map[digest.Digest]*step{}}
	var secrets []string
	values := slices.Clone(r.Mask)
	for _, v := range r.Secrets {
		values = append(values, string(v))
	}
	for _, v := range values {
		for row := range strings.SplitSeq(v, "\n") {
			if s := strings.TrimSpace(row); len(s) >= minSecret {
				secrets = append(secrets, s)
				l.secret = max(l.secret, len(s))
			}
		}
	}
	// Longer ones first: one may begin like another.
	slices.SortFunc(secrets, func(a, b string) int { return cmp.Or(cmp.Compare(len(b), len(a)), strings.Compare(a, b)) })
	l.secrets = secrets
	var pairs []string
	for _, s := range secrets {
		pairs = append(pairs, s, masked)
	}
	l.mask = strings.NewReplacer(pairs...)
	if l.out == nil {
		l.out = func(Line) {}
	}
	return l
}

// say writes one line. What is over the log's bound is dropped, and one line says so.
func (l *buildLog) say(step, text string) {
	if l.left <= 0 {
		return
	}
	text = l.mask.Replace(text)
	if l.left -= int64(len(step) + len(text) + 2); l.left <= 0 {
		text, step = "the log is full: what the build prints from here on is not kept", ""
	}
	l.out(Line{At: time.Now().UTC(), Step: step, Text: text})
}

// stepForm is how BuildKit names the steps of a Dockerfile: "[build 3/6] RUN go build".
var stepForm = regexp.MustCompile(`^(\[[^\]]*\d+/\d+\]) (.*)$`)

// missingForm is how BuildKit says that a file of COPY is not there.
var missingForm = regexp.MustCompile(`failed to calculate checksum of ref [^"]*"/?([^"]*)": not found`)

// take reads one report of progress.
func (l *buildLog) take(s *client.SolveStatus) {
	for _, v := range s.Vertexes {
		st := l.step(v.Digest)
		st.name = v.Name
		if v.Error != "" {
			st.failed = v.Error
		}
		l.vertex(st, v)
	}
	for _, e := range s.Logs {
		l.printed(l.step(e.Vertex), e.Stream, e.Data)
	}
	for _, w := range s.Warnings {
		l.say("", "warning: "+string(w.Short))
	}
}

func (l *buildLog) step(d digest.Digest) *step {
	st := l.seen[d]
	if st == nil {
		st = &step{streams: map[int]*stream{}}
		l.seen[d] = st
	}
	return st
}

func (l *buildLog) vertex(st *step, v *client.Vertex) {
	m := stepForm.FindStringSubmatch(v.Name)
	if v.Started != nil && !st.said && m != nil {
		st.said = true
		l.say(m[1], m[2])
	}
	if v.Completed == nil || st.counted {
		return
	}
	st.counted = true
	for _, n := range slices.Sorted(maps.Keys(st.streams)) {
		if rest := st.streams[n].partial; len(rest) > 0 {
			l.pieces(st, l.mask.Replace(string(rest)))
		}
	}
	st.streams = map[int]*stream{}
	if v.Error == "" {
		st.last = nil
	}
	if m == nil {
		return
	}
	l.steps++
	if v.Cached {
		l.cached++
		l.say(m[1], "cached")
	}
}

// printed takes what a step printed to a stream.
func (l *buildLog) printed(st *step, number int, data []byte) {
	s := st.streams[number]
	if s == nil {
		s = &stream{}
		st.streams[number] = s
	}
	if s.cut {
		i := bytes.IndexByte(data, '\n')
		if i < 0 {
			return
		}
		data, s.cut = data[i+1:], false
	}
	s.partial = append(s.partial, data...)
	if i := bytes.Index(s.partial, []byte(clipped)); i >= 0 {
		s.partial = slices.Delete(s.partial, bytes.LastIndexByte(s.partial[:i], '\n')+1, i+1)
		s.cut = true
	}
	for {
		i := bytes.IndexByte(s.partial, '\n')
		switch {
		case i >= 0:
			l.pieces(st, l.mask.Replace(string(bytes.TrimRight(s.partial[:i], "\r"))))
			s.partial = s.partial[i+1:]
		case len(s.partial) > maxLine+l.secret:
			text, n := l.begins(string(s.partial))
			s.partial = s.partial[n:]
			l.pieces(st, text)
		default:
			return
		}
	}
}

// pieces writes a line of any length, which is masked already, as lines of at most maxLine bytes.
func (l *buildLog) pieces(st *step, text string) {
	for len(text) > maxLine {
		cut := maxLine
		for cut > 1 && !utf8.RuneStart(text[cut]) {
			cut--
		}
		l.line(st, text[:cut])
		text = text[cut:]
	}
	l.line(st, text)
}

// begins masks the beginning of a line that is not whole yet, and returns it with how many bytes of the line it stands for.
// What it leaves is shorter than a secret may be: where one begins there, the next bytes tell which, and it stays whole.
func (l *buildLog) begins(line string) (text string, n int) {
	var out strings.Builder
	for n <= len(line)-max(l.secret, 1) {
		i := slices.IndexFunc(l.secrets, func(s string) bool { return strings.HasPrefix(line[n:], s) })
		if i < 0 {
			out.WriteByte(line[n])
			n++
			continue
		}
		out.WriteString(masked)
		n += len(l.secrets[i])
	}
	return out.String(), n
}

func (l *buildLog) line(st *step, text string) {
	if i := strings.LastIndexByte(text, '\r'); i >= 0 { // a progress bar: only its last state
		text = text[i+1:]
	}
	if st.last = append(st.last, text); len(st.last) > lastLines {
		st.last = st.last[1:]
	}
	name := ""
	if m := stepForm.FindStringSubmatch(st.name); m != nil {
		name = m[1]
	}
	l.say(name, text)
}

// failure tells what went wrong with a build.
func (l *buildLog) failure(err error) error {
	failed := l.failed(err)
	text := l.mask.Replace(plainText(err))
	instruction := ""
	if failed != nil {
		instruction = l.mask.Replace(failed.instruction())
	}
	var exit *gateway.ExitError
	switch {
	case errors.As(err, &exit) && failed != nil:
		return l.stepFailure(failed, exit.ExitCode, err)
	case strings.Contains(text, "no space left on device"):
		return model.Errorf(model.KindNoSpace, "the build filled the disk").WithWhy("%s", text).WithHint("make room, or remove the build cache: pandabox build prune").Wrap(err)
	case strings.Contains(text, "dockerfile parse error"), strings.Contains(text, "unknown instruction"), strings.Contains(text, "failed to read dockerfile"):
		return model.Invalid("the Dockerfile cannot be read").WithWhy("%s", text).WithHint("correct it; pandabox build plan shows what is built").Wrap(err)
	case strings.HasPrefix(instruction, "ADD ") && !missingForm.MatchString(text):
		return model.Invalid("the build cannot fetch what it adds").WithWhy("%s: %s", clip(instruction), text).
			WithHint("check the address; a git repository is cloned in a RUN step").Wrap(err)
	case strings.Contains(text, "failed to resolve source metadata"), strings.Contains(text, "failed to do request"), strings.Contains(text, "no such host"):
		return model.Errorf(model.KindUnavailable, "a base image is not here and cannot be fetched").WithWhy("%s", text).
			WithHint("check the name behind FROM and the network; offline, add it first: pandabox build base add FILE").Wrap(err)
	case strings.HasPrefix(instruction, "COPY --from=") && unmade(text) != "":
		return model.Invalid("the build has not made %s", unmade(text)).WithWhy("%s", clip(instruction)).
			WithHint("look in the log for where it writes; of a static site, that is dir of [static] in pandabox.toml").Wrap(err)
	case missingForm.MatchString(text):
		return model.Invalid("the build copies %s, which is not in the source", missingForm.FindStringSubmatch(text)[1]).WithWhy("%s", text).
			WithHint("is it left out by .gitignore, .pandaboxignore or .dockerignore?").Wrap(err)
	}
	return model.Invalid("the build failed").WithWhy("%s", text).WithHint("the log has more").Wrap(err)
}

// lstatForm is how BuildKit says that a file of COPY --from is not there where nothing was put into the stage.
var lstatForm = regexp.MustCompile(`lstat /(\S+): no such file or directory`)

// unmade returns the file of COPY --from that is not there, "" where an error is of something else.
func unmade(text string) string {
	for _, form := range []*regexp.Regexp{missingForm, lstatForm} {
		if m := form.FindStringSubmatch(text); m != nil {
			return m[1]
		}
	}
	return ""
}

// failed returns the step that an error is of, nil where that is not known. Others that ran beside it were canceled.
func (l *buildLog) failed(err error) (out *step) {
	var of *solvererrors.VertexError
	if errors.As(err, &of) && l.seen[digest.Digest(of.Digest)] != nil {
		return l.seen[digest.Digest(of.Digest)]
	}
	for _, st := range l.seen {
		if st.failed != "" && !strings.HasSuffix(st.failed, "context canceled") && (out == nil || len(st.last) > len(out.last)) {
			out = st
		}
	}
	return out
}

// instruction is a step's name without its number: "RUN go build".
func (s *step) instruction() string {
	if m := stepForm.FindStringSubmatch(s.name); m != nil {
		return m[2]
	}
	return s.name
}

func (l *buildLog) stepFailure(st *step, code uint32, err error) error {
	name := st.instruction()
	why := fmt.Sprintf("it ended with code %d", code)
	hint := "the log has more; try the command on your own machine"
	if terminated(code) {
		why, hint = "it was killed, most likely for want of memory", "give builds more: build.memory in the box's configuration"
	}
	if n := len(st.last); n > 0 {
		why += "; last line: " + st.last[n-1]
	}
	return model.Invalid("the build failed at: %s", clip(l.mask.Replace(name))).WithWhy("%s", l.mask.Replace(why)).WithHint("%s", hint).Wrap(err)
}

// plainText is an error without the wrapping of remote calls.
func plainText(err error) string {
	text := err.Error()
	if s, ok := status.FromError(err); ok {
		text = s.Message()
	}
	return strings.TrimPrefix(text, "failed to solve: ")
}

func clip(s string) string {
	if len(s) > 200 {
		return s[:200] + "…"
	}
	return s
}
