//go:build tools

// Package tools names the commands that the local cluster builds from this module.
package tools

import (
	_ "github.com/traefik/traefik/v3/cmd/traefik"
)
