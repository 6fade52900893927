"""Messages between departments: Markdown files with YAML front matter.

Four words: the router finds the handler, the mailbox stores files, the bus sends and handles messages, the watcher
wakes it.
"""
