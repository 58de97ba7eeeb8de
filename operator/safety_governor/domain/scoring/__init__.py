"""Answers of the score services, read without guessing: rows, degenerate rows, figures out of range, null."""
