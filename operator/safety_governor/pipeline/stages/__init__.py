"""The stages, one file and one class each, all of the same shape: `run(case)` reads, has the domain judge, and returns an outcome."""
