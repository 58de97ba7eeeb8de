"""The audit trail on disk.

lines     lines that are only ever appended, each durable or not at all
chained   the files of one stream: chained lines, rotated by size
trail     all streams of a folder, written by one thread
journal   actions before they are taken; the memory of the guard-rails
reading   a folder as it lies there, read a line at a time by whoever looks into it
"""
