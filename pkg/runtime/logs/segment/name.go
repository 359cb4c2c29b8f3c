// Package segment is the form in which the lines of a workload's containers lie on disk: what a record and a segment
// look like, how they are written, and how much of them is kept.
//
// A workload has one directory. In it, every container writes segments of its own:
//
//	CONTAINER.PROCESS.RELEASE.INDEX.SEQUENCE.log      w-01abc-v7-g1-web-1.web.7.1.00000003.log
//
// A segment is text, one record a line, in the format that Kubernetes' container runtimes write (CRI), so that the
// usual tools read it:
//
//	2026-11-22T22:35:00.123456789Z stdout F listening on :8080
//
// F ends a line of the app's; P is a part of one that goes on in the next record. A record that a crash cut short has
// no newline, or no valid beginning, and is skipped.
//
// The package is linked into the log writer, of which there is one per running container: it imports little on purpose.
package segment

import (
	"errors"
	"strconv"
	"strings"
)

// Name is what a segment's file name says.
type Name struct {
	Container string
	Process   string // without dots
	Release   int
	Index     int
	Sequence  int // 1, 2, 3 … within the container
}

const (
	suffix      = ".log"
	seqWidth    = 8
	maxFileName = 255
)

// String returns the file name.
func (n Name) String() string {
	seq := strconv.Itoa(n.Sequence)
	if len(seq) < seqWidth {
		seq = strings.Repeat("0", seqWidth-len(seq)) + seq
	}
	return n.Container + "." + n.Process + "." + strconv.Itoa(n.Release) + "." + strconv.Itoa(n.Index) + "." + seq + suffix
}

// Check refuses a name that would not be read back as it is.
func (n Name) Check() error {
	s := n.String()
	if strings.ContainsAny(s, "/\x00\n") || len(s) > maxFileName {
		return errors.New("log segment name " + strconv.Quote(s) + " is not a file name")
	}
	if back, ok := ParseName(s); !ok || back != n {
		return errors.New("log segment name " + strconv.Quote(s) + " is ambiguous")
	}
	return nil
}

// ParseName reads a file name; ok is false for a file that is no segment.
func ParseName(file string) (n Name, ok bool) {
	rest, ok := strings.CutSuffix(file, suffix)
	if !ok {
		return Name{}, false
	}
	var numbers [3]int // sequence, index, release: from the right, because a container's name may hold dots
	for i := range numbers {
		dot := strings.LastIndexByte(rest, '.')
		if dot < 0 {
			return Name{}, false
		}
		v, err := strconv.Atoi(rest[dot+1:])
		if err != nil || v < 0 {
			return Name{}, false
		}
		numbers[i], rest = v, rest[:dot]
	}
	dot := strings.LastIndexByte(rest, '.')
	if dot <= 0 || dot == len(rest)-1 {
		return Name{}, false
	}
	return Name{Container: rest[:dot], Process: rest[dot+1:], Sequence: numbers[0], Index: numbers[1], Release: numbers[2]}, true
}
