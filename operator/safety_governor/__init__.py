"""Safety Governor: the layer between an AI agent's remediation and production."""

__version__ = "0.1.0"
