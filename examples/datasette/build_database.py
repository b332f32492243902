"""Write every named Unicode character into a SQLite database: real data that each Python carries."""

import sqlite3
import sys
import unicodedata
from pathlib import Path


def characters():
    for point in range(sys.maxunicode + 1):
        name = unicodedata.name(chr(point), "")
        if name:
            yield point, chr(point), name, unicodedata.category(chr(point))


Path("unicode.db").unlink(missing_ok=True)
database = sqlite3.connect("unicode.db")
database.execute("create table characters (point integer primary key, character text, name text, category text)")
database.executemany("insert into characters values (?, ?, ?, ?)", characters())
database.execute("create index by_category on characters (category)")
database.commit()
database.close()
