package httpapi

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/pandabox/pandabox/pkg/api"
	"github.com/pandabox/pandabox/pkg/control"
	"github.com/pandabox/pandabox/pkg/identity"
	"github.com/pandabox/pandabox/pkg/model"
)

// OneKey is the part of a path that names a key of an environment's store.
type OneKey struct {
	InEnv
	Key string `path:"key" maxLength:"512" doc:"the key, with / written as %2F"`
}

// KVPut writes a key.
type KVPut struct {
	OneKey
	TTL string `query:"ttl" maxLength:"40" example:"24h" doc:"forget it after so long; absent: never"`
}

func (a *API) registerKV() {
	const path, tag = envPath + "/kv", "kv"
	handle(a, needs(identity.KVRead), op{id: "listKeys", method: http.MethodGet, path: path, tag: tag, summary: "List the keys of the environment's store, in order"},
		func(ctx context.Context, c caller, in *struct {
			InEnv
			Paged
			Prefix string `query:"prefix" maxLength:"512" doc:"only keys that begin with it"`
		}) (*body[api.List[api.KVKey]], error) {
			l, err := a.control.KV.List(ctx, c.Actor, in.ref(), in.Prefix, in.page())
			return answer(listOf(l, func(k control.KVKey) api.KVKey { return api.KVKey(k) }), err)
		})
	stream(a, needs(identity.KVRead), op{id: "getKey", method: http.MethodGet, path: path + "/{key}", tag: tag, summary: "Read the value of a key"},
		func(o *huma.Operation) {
			o.Responses["200"] = streamResponse(octets, "the value as it is")
			o.Responses["200"].Content[octets].Schema = &huma.Schema{Type: huma.TypeString, Format: "binary"}
		}, func(ctx context.Context, c caller, in *OneKey) error {
			value, err := a.control.KV.Get(ctx, c.Actor, in.ref(), in.Key)
			if err != nil {
				return err
			}
			c.w.Header().Set("Content-Type", octets)
			c.w.Header().Set("Content-Length", strconv.Itoa(len(value)))
			_, _ = c.w.Write(value) // the caller is gone
			return nil
		})
	stream(a, needs(identity.KVWrite), op{id: "putKey", method: http.MethodPut, path: path + "/{key}", tag: tag, summary: "Write the value of a key", status: http.StatusNoContent},
		func(o *huma.Operation) {
			o.RequestBody = binary(octets)
			o.Responses["204"] = &huma.Response{Description: "it is written"}
		}, func(ctx context.Context, c caller, in *KVPut) error {
			var ttl model.Duration
			if in.TTL != "" {
				if err := ttl.UnmarshalText([]byte(in.TTL)); err != nil {
					return err
				}
			}
			value, err := readValue(c)
			if err != nil {
				return err
			}
			if err := a.control.KV.Put(ctx, c.Actor, in.ref(), in.Key, value, time.Duration(ttl)); err != nil {
				return err
			}
			c.w.WriteHeader(http.StatusNoContent)
			return nil
		})
	handle(a, needs(identity.KVWrite), op{id: "deleteKey", method: http.MethodDelete, path: path + "/{key}", tag: tag, summary: "Remove a key; none there is no error", status: http.StatusNoContent},
		func(ctx context.Context, c caller, in *OneKey) (*struct{}, error) {
			return nil, a.control.KV.Delete(ctx, c.Actor, in.ref(), in.Key)
		})
}

// readValue reads a request's body as the value of a key.
func readValue(c caller) ([]byte, error) {
	rc := http.NewResponseController(c.w)
	value, err := io.ReadAll(stalling{r: http.MaxBytesReader(c.w, c.r.Body, api.MaxKVValue), rc: rc})
	_ = rc.SetReadDeadline(time.Time{}) // not every writer has deadlines
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		return nil, model.Errorf(model.KindTooLarge, "the value is larger than %d bytes", large.Limit).Wrap(err).
			WithHint("keep what is large elsewhere, and its address here")
	}
	return value, err
}
