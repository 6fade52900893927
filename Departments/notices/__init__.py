"""Telling people what happened: by the log always, by mail, messenger or webhook, and by a program of theirs.

notice         what is told: event, title, lines, attachment
channels       the port to a way of telling, and the two there are
notifier       which event is told, once per cause and day, whatever a channel does
notice_runner  sends by apprise or pings an address, as a program of its own
"""
