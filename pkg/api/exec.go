package api

// ExecProtocol is the WebSocket subprotocol of exec and run.
//
// Every message is binary: one byte that says what it is, then its content. The client begins with FrameStart. Stdin is
// under flow control: a client sends at most ExecWindow bytes more than the box has taken, as FrameTaken tells. The box
// ends with FrameExit or FrameProblem and closes. A client that goes away ends the command.
const ExecProtocol = "pandabox.exec.v1"

// Bounds of the exec protocol, in bytes.
const (
	ExecWindow   = 256 << 10 // stdin on its way to the command
	ExecMaxFrame = 64 << 10  // one message, either way
)

// What a message of the exec protocol is.
const (
	FrameStart   byte = 'S' // to the box: ExecStart as JSON
	FrameStdin   byte = '0' // to the box: bytes
	FrameEOF     byte = 'E' // to the box: stdin is at its end
	FrameResize  byte = 'R' // to the box: TermSize as JSON
	FrameStdout  byte = '1' // from the box: bytes
	FrameStderr  byte = '2' // from the box: bytes
	FrameTaken   byte = 'T' // from the box: ExecTaken as JSON
	FrameExit    byte = 'X' // from the box: ExecExit as JSON
	FrameProblem byte = 'P' // from the box: Problem as JSON
)

// ExecStart says what to run.
type ExecStart struct {
	Command []string  `json:"command"`
	Env     []string  `json:"env,omitempty"` // "NAME=value", over the container's
	TTY     bool      `json:"tty,omitempty"`
	Stdin   bool      `json:"stdin,omitempty"`   // FrameStdin and FrameEOF follow
	Process string    `json:"process,omitempty"` // exec only: "" means web or else the first
	Index   int       `json:"index,omitempty"`   // exec only: 0 means the lowest that is healthy
	Size    *TermSize `json:"size,omitempty"`    // of the terminal, with TTY
}

// TermSize is a terminal's size in character cells.
type TermSize struct {
	Cols uint16 `json:"cols"`
	Rows uint16 `json:"rows"`
}

// ExecTaken tells how many bytes of stdin the command has taken since the last one.
type ExecTaken struct {
	Bytes int `json:"bytes"`
}

// ExecExit is the command's end.
type ExecExit struct {
	Code int `json:"code"`
}
