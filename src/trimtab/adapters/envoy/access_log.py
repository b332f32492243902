"""What Envoy writes down about each request, column by column, and how a request came to its arm."""

from __future__ import annotations

from typing import Any

Document = dict[str, Any]

ACCESS_LOG = "access.log"
ANSWERS_LOG = "answers.log"

USER_HEADER = "x-trimtab-user"
PAIR_HEADER = "x-trimtab-pair"

# The names of routes say how a request came to its arm.
ALL = "all"
"""There is only one arm."""
SHARED = "shared"
"""By its share."""
CHOSEN = "chosen"
"""It chose its arm by a header."""
OUTSIDE = "outside"
"""It does not take part in the rollout."""
MIRROR = "mirror"
"""It is the copy of one that went to the stable release."""

# What a client sends may hold tabs: it comes last.
_ACCESS_COLUMNS = (
    "%EMIT_TIME(%s)%",
    "%START_TIME(%s)%",
    "%ROUTE_NAME%",
    "%UPSTREAM_CLUSTER_RAW%",
    "%RESPONSE_CODE%",
    "%RESPONSE_FLAGS%",
    "%COMMON_DURATION(DS_RX_BEG:DS_TX_END:us)%",
    "%COMMON_DURATION(DS_RX_BEG:DS_TX_BEG:us)%",
    "%DURATION%",
    "%UPSTREAM_HOST%",
    f"%REQ({USER_HEADER}):1024%",
)
ACCESS_COLUMNS = len(_ACCESS_COLUMNS)

_LUA = "envoy.filters.http.lua"
_ANSWER_COLUMNS = (
    f"%REQ({PAIR_HEADER})%",
    "%ROUTE_NAME%",
    "%UPSTREAM_CLUSTER_RAW%",
    "%RESPONSE_CODE%",
    f"%DYNAMIC_METADATA({_LUA}:size)%",
    f"%DYNAMIC_METADATA({_LUA}:body)%",
    "%REQ(:METHOD)%",
    "%RESP(content-encoding)%",
    "%REQ(:PATH):200%",
)
ANSWER_COLUMNS = len(_ANSWER_COLUMNS)
ANSWER_BYTES = 64 * 1024
"""So much of an answer is kept for the comparison, and its whole size."""

# The chunks are passed on as they come: an answer that streams goes on streaming.
_KEEP_ANSWER = f"""
function envoy_on_response(handle)
  local parts, kept, size = {{}}, 0, 0
  for chunk in handle:bodyChunks() do
    local length = chunk:length()
    if length > 0 and kept < {ANSWER_BYTES} then
      parts[#parts + 1] = chunk:getBytes(0, math.min(length, {ANSWER_BYTES} - kept))
      kept = kept + #parts[#parts]
    end
    size = size + length
  end
  local metadata = handle:streamInfo():dynamicMetadata()
  metadata:set("{_LUA}", "size", tostring(size))
  metadata:set("{_LUA}", "body", handle:base64Escape(table.concat(parts)))
end
"""


def access_logs() -> list[Document]:
    """Every request in one file, answers that are to be compared in another."""
    kept = {"matcher": {"filter": _LUA, "path": [{"key": "size"}], "value": {"present_match": True}}}
    return [
        _file(ACCESS_LOG, _ACCESS_COLUMNS),
        {
            **_file(ANSWERS_LOG, _ANSWER_COLUMNS),
            "filter": {"metadata_filter": {**kept, "match_if_key_not_found": False}},
        },
    ]


def _file(path: str, columns: tuple[str, ...]) -> Document:
    return {
        "name": "envoy.access_loggers.file",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog",
            "path": path,
            "log_format": {"text_format_source": {"inline_string": "\t".join(columns) + "\n"}},
        },
    }


def keeping_filter() -> Document:
    """Keeps what an answer says, on the routes that ask for it."""
    return {
        "name": _LUA,
        "disabled": True,
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua",
            "source_codes": {"keep": {"inline_string": _KEEP_ANSWER}},
        },
    }


def keep_answers() -> Document:
    """Of a route: ask for it."""
    return {
        _LUA: {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.lua.v3.LuaPerRoute",
            "name": "keep",
        }
    }
