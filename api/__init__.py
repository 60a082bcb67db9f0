"""REST for people's programs and for the panel."""
