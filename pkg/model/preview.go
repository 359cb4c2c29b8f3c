package model

import (
	"strconv"
	"time"
)

// PullRequest is a change that its author wants merged, as a forge tells of it.
type PullRequest struct {
	Number int
	Branch string // of the change
	Title  string
	URL    string
	Fork   bool // the change comes from another repository: its author need not be trusted
}

// Preview is what an environment of kind preview is made for.
type Preview struct {
	Number    int       `json:"number"` // of the pull request
	Branch    string    `json:"branch,omitempty"`
	Title     string    `json:"title,omitempty"`
	URL       string    `json:"url,omitempty"` // of the pull request
	Fork      bool      `json:"fork,omitempty"`
	UpdatedAt time.Time `json:"updatedAt"`
	ExpiresAt time.Time `json:"expiresAt"` // it is removed then, unless it is pushed to before
}

// PreviewName returns the name of a pull request's environment.
func PreviewName(number int) string { return "pr-" + strconv.Itoa(number) }

// Previewing says how previews of an app are made. The zero value is the default.
type Previewing struct {
	Off      bool   `json:"off,omitempty"`      // pull requests make no previews
	Template string `json:"template,omitempty"` // the environment whose variables previews begin with; "" staging, or production where there is none
	Secrets  bool   `json:"secrets,omitempty"`  // they begin with its secret ones too; never where the change comes from a fork
	Forks    bool   `json:"forks,omitempty"`    // changes from forks make previews too
	Days     int    `json:"days,omitempty"`     // without a push, until one is removed; 0 means DefaultPreviewDays, at most MaxPreviewDays
	Max      int    `json:"max,omitempty"`      // at once, the oldest is removed for a new one; 0 means DefaultPreviews, at most MaxPreviews
}

// Defaults and bounds of previews.
const (
	DefaultPreviewDays = 7
	MaxPreviewDays     = 90
	DefaultPreviews    = 10
	MaxPreviews        = 100
)

// Validate refuses what is out of bounds.
func (p Previewing) Validate() error {
	if p.Template != "" {
		if err := CheckName("environment", p.Template); err != nil {
			return err
		}
	}
	if p.Days < 0 || p.Days > MaxPreviewDays {
		return Invalid("%d days are out of bounds", p.Days).WithHint("choose 1 to %d", MaxPreviewDays)
	}
	if p.Max < 0 || p.Max > MaxPreviews {
		return Invalid("%d previews are out of bounds", p.Max).WithHint("choose 1 to %d", MaxPreviews)
	}
	return nil
}

// Filled returns p with the defaults in the place of zeros.
func (p Previewing) Filled() Previewing {
	if p.Days == 0 {
		p.Days = DefaultPreviewDays
	}
	if p.Max == 0 {
		p.Max = DefaultPreviews
	}
	return p
}
