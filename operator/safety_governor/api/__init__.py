"""The Kubernetes envelope: the resources as types, their conditions, and every literal that names them. No I/O."""
