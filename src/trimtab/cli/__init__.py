"""The command line: words in, words (or JSON) out. Everything but `init`, `validate` and `up` goes through the API."""
