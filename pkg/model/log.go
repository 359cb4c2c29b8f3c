package model

import "time"

// LogLine is one line an app wrote.
type LogLine struct {
	At        time.Time `json:"at"`
	Container string    `json:"container"`
	Process   string    `json:"process"`
	Release   int       `json:"release"`
	Index     int       `json:"index"`
	Stream    string    `json:"stream"`            // "stdout" or "stderr"
	Text      string    `json:"text"`              // without the newline; at most 64 KiB, longer lines are split
	Partial   bool      `json:"partial,omitempty"` // the line goes on in the next one
}

// LogQuery chooses lines of one workload.
type LogQuery struct {
	WorkloadID string
	Process    string    // "" for all
	Release    int       // number; 0 for all
	Container  string    // "" for all
	Since      time.Time // zero: from the oldest kept
	Tail       int       // only the last n before following; negative: all; 0: none
	Follow     bool
}
