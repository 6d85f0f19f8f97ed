"""The manifests of k8s/, as they are committed."""
