// Package client is the typed Go client of a pandabox box's HTTP API: one method for each route.
//
// Every error is a *model.Error: what the box answered, or KindUnavailable where it could not be reached, KindCanceled
// where ctx was canceled and KindTimeout where its deadline passed.
package client
