"""What AKS runs of the lanes, written from fleet/lanes.toml: `fleet k8s render`."""
