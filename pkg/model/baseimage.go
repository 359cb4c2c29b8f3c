package model

import "time"

// BaseImage is an image that builds find on the box under its name, without a registry: FROM golang:1.26.
type BaseImage struct {
	Name    string    `json:"name"` // "docker.io/library/golang:1.26"
	Digest  string    `json:"digest"`
	Size    int64     `json:"size"` // bytes, compressed
	AddedAt time.Time `json:"addedAt"`
}
