package httpapi

import (
	"context"
	"net/http"

	"github.com/pandabox/pandabox/pkg/api"
	"github.com/pandabox/pandabox/pkg/identity"
)

// OneDomain is the part of a path that names a domain of a workload.
type OneDomain struct {
	InEnv
	Host string `path:"host" maxLength:"253"`
}

func (a *API) registerDomains() {
	const path, tag = envPath + "/domains", "domains"
	handle(a, needs(identity.AppRead), op{id: "listDomains", method: http.MethodGet, path: path, tag: tag, summary: "List a workload's domains, the default one first"},
		func(ctx context.Context, c caller, in *InEnv) (*body[api.Items[api.Domain]], error) {
			d, err := a.control.Domains.List(ctx, c.Actor, in.ref())
			return answer(itemsOf(d, wireDomain), err)
		})
	handle(a, needs(identity.DomainWrite), op{id: "addDomain", method: http.MethodPost, path: path, tag: tag, summary: "Route a host to a workload", status: http.StatusCreated},
		func(ctx context.Context, c caller, in *struct {
			InEnv
			Body api.NewDomain
		}) (*body[api.Domain], error) {
			d, err := a.control.Domains.Add(ctx, c.Actor, in.ref(), in.Body.Host, in.Body.TLS)
			return answer(api.Domain(d), err)
		})
	handle(a, needs(identity.DomainWrite), op{id: "removeDomain", method: http.MethodDelete, path: path + "/{host}", tag: tag, summary: "End routing a host to a workload", status: http.StatusNoContent},
		func(ctx context.Context, c caller, in *OneDomain) (*struct{}, error) {
			return nil, a.control.Domains.Remove(ctx, c.Actor, in.ref(), in.Host)
		})
	handle(a, needs(identity.CertificateWrite), op{id: "setCertificate", method: http.MethodPut, path: path + "/{host}/certificate", tag: tag, summary: "Give a domain a certificate of your own"},
		func(ctx context.Context, c caller, in *struct {
			OneDomain
			Body api.Certificate
		}) (*body[api.Domain], error) {
			d, err := a.control.Domains.SetCertificate(ctx, c.Actor, in.ref(), in.Host, []byte(in.Body.Certificate), []byte(in.Body.Key))
			return answer(api.Domain(d), err)
		})
}
