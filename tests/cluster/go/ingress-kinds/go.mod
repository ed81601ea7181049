module previews.example/cluster/ingress-kinds

go 1.25.0

require (
	github.com/cert-manager/cert-manager v1.21.2
	sigs.k8s.io/external-dns v0.20.0
	sigs.k8s.io/gateway-api v1.6.0
)
