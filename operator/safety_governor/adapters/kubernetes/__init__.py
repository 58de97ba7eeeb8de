"""The Kubernetes API server: incidents, workloads, guard-rails, the Lease, and what must be in place before we start."""
