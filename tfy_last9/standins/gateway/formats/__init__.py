"""The interfaces that clients speak: what the gateway checks in a request and reads in an answer."""
