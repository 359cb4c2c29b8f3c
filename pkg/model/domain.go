package model

import (
	"strings"
	"time"
)

// Domain is a host name that routes to a workload.
type Domain struct {
	Host       string    `json:"host"` // lower case ASCII, no port; unique on the box; may begin with "*."
	OrgID      string    `json:"orgId"`
	WorkloadID string    `json:"workloadId"`
	Default    bool      `json:"default,omitempty"` // made by pandabox under the box's own domain
	TLS        TLSMode   `json:"tls"`
	CreatedAt  time.Time `json:"createdAt"`
}

// TLSMode is where a domain's certificate comes from.
type TLSMode string

// The TLS modes.
const (
	TLSAuto     TLSMode = "auto"     // ACME; the internal CA for .localhost, .internal, an IP address, or an offline box
	TLSInternal TLSMode = "internal" // the box's own CA
	TLSCustom   TLSMode = "custom"   // brought by the user
	TLSOff      TLSMode = "off"      // plain HTTP only
)

// CheckHost returns host in its stored form, or refuses it. Labels must already be ASCII (punycode).
func CheckHost(host string) (string, error) {
	h := strings.ToLower(strings.TrimSuffix(strings.TrimSpace(host), "."))
	bad := func(why string) (string, error) {
		return "", Invalid("%q is not a domain", host).WithWhy("%s", why).WithHint("write only the host name: shop.example.com")
	}
	if h == "" || len(h) > 253 {
		return bad("a host name has 1 to 253 characters")
	}
	labels := strings.Split(strings.TrimPrefix(h, "*."), ".")
	if len(labels) < 2 {
		return bad("it has only one label")
	}
	for _, l := range labels {
		if l == "" || len(l) > 63 || l[0] == '-' || l[len(l)-1] == '-' {
			return bad("each part between dots has 1 to 63 characters and neither begins nor ends with -")
		}
		for _, r := range l {
			if (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' {
				return bad("it may hold only letters, digits, - and dots; write other letters in punycode")
			}
		}
	}
	return h, nil
}

// CertificateStatus is what is known of a host's certificate.
type CertificateStatus struct {
	Host      string    `json:"host"`
	Issuer    string    `json:"issuer,omitempty"` // "" while there is none
	NotBefore time.Time `json:"notBefore,omitzero"`
	NotAfter  time.Time `json:"notAfter,omitzero"`
	Problem   string    `json:"problem,omitempty"` // why the last attempt failed
}
