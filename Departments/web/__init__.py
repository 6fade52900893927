"""The page on which a person looks at plans and days, approves, vetoes and halts: `departments serve`.

    sessions      one-time links, sessions, and the hidden field of every form
    guard         hosts, headers and sizes of requests
    views         what a page shows, read from the desk
    forms         what a form may hold
    deeds         what a form does: the functions of the command line, nothing else
    application   paths, and which of the above answers them

It needs the extra `web`. Everything is rendered on the server; scripts only refresh the standing.
"""
