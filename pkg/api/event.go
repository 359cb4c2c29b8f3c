package api

import "github.com/pandabox/pandabox/pkg/model"

// Event is one thing that happened in an org. Its Kind is "gap" where events between the one asked for and this one are
// no longer kept: what is known must then be read anew.
type Event = model.Event

// EventGap is the Kind of an Event that stands for events no longer kept.
const EventGap = "gap"

// AuditEvent records who changed what.
type AuditEvent = model.AuditEvent
