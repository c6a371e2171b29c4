"""zarts."""
