package model

import "io"

// ExecSpec is a command to run in, or as, a container, with its streams.
type ExecSpec struct {
	Command []string
	Env     []string // "NAME=value", over the container's
	TTY     bool
	Stdin   io.Reader // nil: none
	Stdout  io.Writer // nil: dropped; with TTY it carries everything
	Stderr  io.Writer
	Resize  <-chan TermSize // nil: none
}

// TermSize is a terminal's size in character cells.
type TermSize struct {
	Cols, Rows uint16
}
