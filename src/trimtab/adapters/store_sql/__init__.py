"""The durable core in an SQL database."""
