"""One outside system each. An adapter implements ports structurally and turns foreign errors into ours at the call."""
