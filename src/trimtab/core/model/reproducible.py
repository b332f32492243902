"""What makes the same files give the same bytes at any time, in any language and on any day."""

from __future__ import annotations

FILE_TIME_S = 315_532_800
"""When all files were changed last that steps and instances see: Zip archives, which wheels are, know no time before
1980. Tools that write times into what they make (archives, compiled Python) then write the same ones."""

ENVIRONMENT = {
    "LANG": "C.UTF-8",
    "LC_ALL": "C.UTF-8",
    "TZ": "UTC",
    "PYTHONHASHSEED": "0",
    "SOURCE_DATE_EPOCH": str(FILE_TIME_S),
}
"""Of every step. SOURCE_DATE_EPOCH: https://reproducible-builds.org/specs/source-date-epoch/"""
