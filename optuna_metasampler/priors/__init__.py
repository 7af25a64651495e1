"""Where prior trials come from, and how they become tasks of one common space."""
