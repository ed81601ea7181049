//go:build tools

// Package tools names the command that the isolated cluster builds from this module.
package tools

import _ "k8s.io/kubernetes/cmd/kube-proxy"
