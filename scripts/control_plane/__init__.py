"""
A Kubernetes control plane on loopback, for tests: etcd, kube-apiserver, kube-controller-manager, kube-scheduler, and kwok for the nodes.

Only the standard library, so that it runs before anything is installed. `scripts/controlplane --help` says how to use it.
"""
