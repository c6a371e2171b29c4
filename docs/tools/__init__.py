"""Scripts that make the documentation site: pages from code, links out of `docs/`, outputs of commands, checks."""
