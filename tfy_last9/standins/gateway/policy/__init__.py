"""What the gateway decides by its configuration: which target, whether at all, and what is kept or changed."""
