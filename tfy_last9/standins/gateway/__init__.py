"""A stand-in for the TrueFoundry AI Gateway, written from its public documentation."""
