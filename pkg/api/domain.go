package api

import "github.com/pandabox/pandabox/pkg/model"

// Domain is a host name that routes to a workload, with what is known of its certificate.
type Domain struct {
	model.Domain
	Certificate *model.CertificateStatus `json:"certificate,omitempty" doc:"absent where none is needed or nothing is known"`
}

// NewDomain asks for a domain.
type NewDomain struct {
	Host string        `json:"host" minLength:"1" maxLength:"253"`
	TLS  model.TLSMode `json:"tls,omitempty" enum:"auto,internal,custom,off" doc:"where its certificate comes from; default: auto"`
}

// Certificate is a certificate of the user's own with its key.
type Certificate struct {
	Certificate string `json:"certificate" doc:"PEM, leaf first"`
	Key         string `json:"key" doc:"PEM; never told again"`
}
