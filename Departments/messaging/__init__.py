"""Messages between departments: Markdown files with YAML front matter.

Four words, four questions: router = which handler, or skip; mailbox = how it is stored; bus = who handles it and what
becomes of the file; watcher = when.
"""
