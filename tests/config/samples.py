"""Files that several tests load."""

from __future__ import annotations

MINIMAL = "app: shop\nservice: {command: run}\n"

EVERYTHING = """\
app: shop
service:
  command: python -m shop --port $HTTP_PORT
  health:
    path: /healthz
    timeout: 2m
  port: HTTP_PORT
  env:
    LOG_LEVEL: info
  replicas: 2
  drain: 5m
  stop_timeout: 30s
pipeline:
  test: python -m pytest
  lint:
    run: ruff check
    needs: [test]
    env: {CI: true}
    timeout: 1h30m
    retry: 1
release:
  parts:
    code: [.]
    prompts: [./prompts/, evals]
  model:
    provider: openai
    name: gpt-x
    parameters: {temperature: 0.2, stop: ~}
    fallback: [{file: models/small.gguf}]
  prompts:
    answer: prompts/answer.txt
    judge: {file: texts/judge.txt, variables: [answer], example: {answer: "42"}}
  config: {passages: 4, tags: [a, b]}
  flags: flags.json
environments:
  staging:
    port: 8081
    strategy: instant
  production:
    listen: 0.0.0.0:8080
    strategy:
      canary:
        steps:
          - weight: 5%
            hold: 250ms
            requests: 7
          - 25%
          - 50
        deadline: 6h
    analysis:
      errors:
        margin: 2
        acceptable: 0.1%
      latency:
        quantiles: [0.5, 0.99]
        margin: 3
        tolerance: 20 %
        floor: 50ms
        measure: first_byte
      false_rollback: 0.5%
      false_promotion: 2
    sticky:
      header: X-User-Id
    replicas: 3
    env:
      STAGE: eu
on_newer_change: queue
"""
"""Every setting once, each key on a line of its own but for `lint.env`'s variable."""
