"""A support assistant that answers from documents, and says from which."""
