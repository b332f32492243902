"""The `trimtab.yaml` that `trimtab init` writes."""

from __future__ import annotations

import json

from trimtab.config.flaws import Unreadable
from trimtab.config.loading import load
from trimtab.config.nodes import plain
from trimtab.config.syntax import read

SCHEMA_PATH = ".trimtab/schema.json"
"""Where editors find the schema, relative to the file."""

# A service whose command is unknown must not start something else by chance: it fails, and its log says what to do.
_NO_COMMAND = "echo 'set service.command in trimtab.yaml to what starts your application' >&2; exit 1"

_TEXT = """\
# yaml-language-server: $schema={schema}
# How Trimtab checks, releases and runs this application.
# A setting with `#` right before its name has its default: remove the `#` to change it.

app: {app}

service:
  # Starts one instance. It must listen on 127.0.0.1 at the port in $PORT: several releases run side by side.
  command: {command}
  # An instance is ready when its port accepts a connection, or better, when a path answers:
  # health: /healthz
  #replicas: 1
  #env: {{}}
  #drain: 1m           # for requests in flight, before an instance is told to stop
  #stop_timeout: 10s   # from SIGTERM to SIGKILL

# What a change must pass before it becomes a release. Steps run side by side unless one needs another, each in a
# sandbox with the commit's files and the outputs of what it needs; one that was given the same before does not run:
# pipeline:
#   build: {{run: make, inputs: [src/], outputs: dist/}}
#   test: {{run: python -m pytest, needs: build}}
#   evals: {{run: python evals.py, sandbox: {{network: true}}, secrets: [API_KEY], timeout: 30m}}

environments:
  # In order: a release that was promoted goes to the next one. The last one is production. For a staging before it:
  # staging: {{port: 8081}}
  production:
    port: 8080   # where users connect, on 127.0.0.1; for every network instead: `listen: 0.0.0.0:8080`
    #strategy:
      #canary:
        #steps:
          #- {{weight: 5%, hold: 15s, requests: 20}}
          #- {{weight: 25%, hold: 15s, requests: 50}}
          #- {{weight: 50%, hold: 15s, requests: 100}}
        #deadline: 1h
    #analysis:
      #errors: {{margin: 1.5, acceptable: 1%}}
      #latency: {{quantiles: [0.5, 0.95], margin: 1.5, tolerance: 10%, floor: 5ms, measure: total}}

#release:
  #parts: {{code: [.]}}   # `.` is everything that Git tracks
  # Prompts are templates of Jinja2, checked before they are released; `trimtab diff` shows what a release changes:
  # prompts: {{answer: prompts/answer.txt}}
  # model: {{provider: openai, name: gpt-x, parameters: {{temperature: 0.2}}}}

#on_newer_change: latest   # or `queue`, or `cancel`
"""


def template(app: str, *, command: str | None = None) -> str:
    """A commented `trimtab.yaml` for the application, fit to be loaded as it is.

    Without `command`, the service's command fails with a message that says what to set. Raises `TrimtabError` when
    `app` is no valid name or `command` no possible command.
    """
    text = _TEXT.format(schema=SCHEMA_PATH, app=_scalar(app), command=_scalar(command or _NO_COMMAND))
    load(text)
    return text


def _scalar(text: str) -> str:
    """`text` in YAML: as it is where it means itself, else in quotes."""
    try:
        root, flaws = read(f"key: {text}\n")
    except Unreadable:
        return json.dumps(text, ensure_ascii=False)
    return text if plain(root) == {"key": text} and not flaws else json.dumps(text, ensure_ascii=False)
