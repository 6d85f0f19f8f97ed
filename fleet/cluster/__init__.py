"""The Kubernetes cluster that the fleet runs on: look, pause, drain, and jobs of one task."""
