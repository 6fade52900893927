"""Whether a workspace can work: machine, files, account; a sentence each with its mend."""
