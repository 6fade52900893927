"""Puts the desk into the project of an older system, and takes it out again.

survey    what is in the project; reading only
project_hooks  its Research, News and optimiser, as hooks
adapters  those of them that are no hook by themselves, run in a process of their own
configuring  the settings and the ramp that are written
pythons   the Python that runs it, and what it lacks
forecast  what will be different, with the project's own numbers
record    what a migration has changed, in a file of its backup folder
applying  the steps of a migration, each safe to repeat
undoing   the way back; the rows and messages of the days in between stay
doctor    whether a workspace can work
own_days  the project's own last days, ours beside what was done
"""
