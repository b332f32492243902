"""Supervised processes on this machine, and instances of releases made of them."""
