"""Configurations of other tools to `trimtab.yaml`: text in, text and a report on every field out."""
