package httpapi

import (
	"net/http"

	"github.com/pandabox/pandabox/pkg/model"
)

// caPath shows the certificate of the box's own CA: pandabox login fetches it, and compares its fingerprint with what
// the box told its owner.
const caPath = "/v1/ca"

func (a *API) registerCA() {
	a.page(public("a CA's certificate is in every handshake; its key is not"), http.MethodGet, caPath, func(w http.ResponseWriter, r *http.Request) {
		var ca []byte
		if a.config.RootCA != nil {
			ca = a.config.RootCA()
		}
		if len(ca) == 0 {
			a.refuse(w, r, model.NotFound("this box has no CA of its own"))
			return
		}
		w.Header().Set("Content-Type", "application/x-pem-file")
		_, _ = w.Write(ca) // the caller is gone
	})
}
