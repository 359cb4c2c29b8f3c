// Package control holds the use cases of pandabox: one file per noun, one method per thing a person can do.
//
// Every method authorizes the actor (deny by default), validates its input, writes one transaction together with its
// audit event, and returns. None waits for the reconciler: the store signals it. What fails is a *model.Error with a
// hint. A thing of an org the actor has no role in is answered like a thing that does not exist.
//
// Values of variables are sealed before they are stored and opened only by Environ, where a container is made, and by
// Variables.List for those that are not secret.
package control
