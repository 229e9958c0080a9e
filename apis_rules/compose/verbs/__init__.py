"""The verbs that run a community or look at a running one; one thin module each."""
