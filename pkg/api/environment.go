package api

import (
	"time"

	"github.com/pandabox/pandabox/pkg/model"
)

// EnvTracking is what one environment of an app tracks.
type EnvTracking struct {
	model.Tracking
	Env string `json:"env"`
}

// Protection says whether an environment is protected.
type Protection struct {
	Protected bool `json:"protected"`
}

// Approval is a deploy to a protected environment that somebody asked for who may not approve it.
type Approval = model.Approval

// Promote moves what one environment serves to another.
type Promote struct {
	From    string `json:"from" maxLength:"40" doc:"the environment whose serving release moves"`
	Release int    `json:"release,omitempty" minimum:"0" doc:"the number that release has, as the plan showed it; 0 or absent: whichever serves"`
	Message string `json:"message,omitempty" maxLength:"500"`

	IdempotencyKey string `json:"-"` // sent as the header of that name; the client makes one where it is ""
}

// Promotion is what a promote would do.
type Promotion struct {
	App      string          `json:"app"`
	From     string          `json:"from"`
	To       string          `json:"to"`
	Release  int             `json:"release" doc:"number of the release that serves from"`
	What     string          `json:"what"`
	Digest   string          `json:"digest" doc:"of the image, site or code that moves"`
	Current  int             `json:"current,omitempty" doc:"number of the release that serves to"`
	Same     bool            `json:"same,omitempty" doc:"to runs that digest already"`
	Changes  []string        `json:"changes,omitempty" doc:"besides the code"`
	Missing  []string        `json:"missing,omitempty" doc:"variables that from has and to has not"`
	Approval bool            `json:"approval,omitempty" doc:"it will wait for approval"`
	Revision *model.Revision `json:"revision,omitempty"`
}

// AppPreview is the environment of a pull request, of one app.
type AppPreview struct {
	model.Preview
	App      string    `json:"app"`
	Env      string    `json:"env"`
	Deleting bool      `json:"deleting,omitempty"`
	Address  string    `json:"address,omitempty" doc:"where it answers"`
	MadeAt   time.Time `json:"madeAt"`
}
