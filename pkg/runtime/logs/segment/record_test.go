package segment

import (
	"bytes"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func anyRecord() *rapid.Generator[Record] {
	return rapid.Custom(func(t *rapid.T) Record {
		text := rapid.SliceOfN(rapid.Byte().Filter(func(b byte) bool { return b != '\n' }), 0, 200).Draw(t, "text")
		return Record{
			At:      time.Unix(rapid.Int64Range(0, 253402300799).Draw(t, "seconds"), rapid.Int64Range(0, 999999999).Draw(t, "nanoseconds")).UTC(),
			Stderr:  rapid.Bool().Draw(t, "stderr"),
			Partial: rapid.Bool().Draw(t, "partial"),
			Text:    text,
		}
	})
}

func equal(a, b Record) bool {
	return a.At.Equal(b.At) && a.Stderr == b.Stderr && a.Partial == b.Partial && bytes.Equal(a.Text, b.Text)
}

func TestRecordIsReadAsItWasWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := anyRecord().Draw(t, "record")
		line := want.Append([]byte("before"))[len("before"):]
		if bytes.Count(line, []byte("\n")) != 1 || line[len(line)-1] != '\n' || len(line) > MaxRecord {
			t.Fatalf("not one line: %q", line)
		}
		got, ok := Parse(line[:len(line)-1])
		if !ok || !equal(got, want) {
			t.Fatalf("wrote %+v, read %+v %v", want, got, ok)
		}
		if string(line[:timeWidth]) != want.At.Format("2006-01-02T15:04:05.000000000Z07:00") {
			t.Fatalf("time %s of %v", line[:timeWidth], want.At)
		}
	})
}

func TestANewlineInTheTextEndsNoRecord(t *testing.T) {
	line := Record{At: time.Now(), Text: []byte("a\nb")}.Append(nil)
	if r, ok := Parse(line[:len(line)-1]); !ok || string(r.Text) != "a b" {
		t.Errorf("read %q %v", r.Text, ok)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("2026-11-22T22:35:00.123456789Z stdout F listening on :8080"))
	f.Add([]byte("2026-11-22T22:35:00.123456789Z stderr P "))
	f.Add([]byte("2026-02-31T22:35:00.123456789Z stdout F no such day"))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, line []byte) {
		r, ok := Parse(line)
		if !ok {
			return
		}
		again, ok := Parse(bytes.TrimSuffix(r.Append(nil), []byte("\n")))
		if !ok || !again.At.Equal(r.At) || again.Stderr != r.Stderr || again.Partial != r.Partial || len(again.Text) != len(r.Text) {
			t.Errorf("%q: read %+v, written and read again %+v", line, r, again)
		}
	})
}

func TestNamesAreReadAsTheyWereWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := Name{
			Container: rapid.StringMatching(`[a-zA-Z0-9][a-zA-Z0-9_.-]{0,80}`).Draw(t, "container"),
			Process:   rapid.StringMatching(`[a-z][a-z0-9-]{0,39}`).Draw(t, "process"),
			Release:   rapid.IntRange(0, 1<<30).Draw(t, "release"),
			Index:     rapid.IntRange(0, 1000).Draw(t, "index"),
			Sequence:  rapid.IntRange(0, 1<<40).Draw(t, "sequence"),
		}
		if got, ok := ParseName(n.String()); !ok || got != n {
			t.Fatalf("%s is read as %+v %v", n, got, ok)
		}
		if err := n.Check(); err != nil {
			t.Fatal(err)
		}
	})
	for _, bad := range []Name{{}, {Container: "a"}, {Container: "a/b", Process: "web"}, {Container: "a", Process: "w.eb"}, {Container: "a", Process: "web", Index: -1}} {
		if bad.Check() == nil {
			t.Errorf("%+v passes", bad)
		}
	}
	for _, file := range []string{"", ".log", "notes.txt", "a.b.c.log", "a.web.1.1.x.log", "a.web.1.1.00000001"} {
		if n, ok := ParseName(file); ok {
			t.Errorf("%q is read as %+v", file, n)
		}
	}
}
