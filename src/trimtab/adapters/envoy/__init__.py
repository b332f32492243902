"""The gateway on Envoy: routes from files, the candidate's share as a lease, counts from the access log."""
