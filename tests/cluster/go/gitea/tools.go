//go:build tools

// Package tools names the commands that the local cluster builds from this module.
package tools

import (
	_ "code.gitea.io/gitea"
)
