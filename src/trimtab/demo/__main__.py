"""``python -m trimtab.demo [--llm local] [--keep]``: sets the stage, plays the story, tells what became of it."""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path
from tempfile import mkdtemp

from trimtab.core.errors import TrimtabError
from trimtab.demo.play import Play
from trimtab.demo.show import Show
from trimtab.demo.stage import Stage
from trimtab.demo.story import Assistant
from trimtab.demo.support_bot import SupportBot


def main() -> int:
    """Play the demo; the exit code says whether every change ended as it should."""
    parser = argparse.ArgumentParser(prog="trimtab.demo", description="Changes on their way to production.")
    parser.add_argument("--llm", choices=["local"], help="the support-bot, with a small language model on this machine")
    parser.add_argument("--keep", action="store_true", help="leave everything running to explore")
    parser.add_argument("--plain", action="store_true", help="no live view, one line for each thing that happens")
    parser.add_argument("--picture", type=Path, help="write a frame of the live view to this SVG file")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    stage: Stage | None = None
    kept = False
    try:
        show: Show = SupportBot() if options.llm else Assistant()
        seconds = 3600.0 if options.keep else 1200.0 if options.llm else 240.0
        stage = Stage(show, Path(mkdtemp(prefix="trimtab-demo-")), seconds)
        stage.open()
        as_expected = Play(stage, live=sys.stdout.isatty() and not options.plain, picture=options.picture).perform()
        kept = options.keep
        if kept:
            print(stage.how_to_explore())
        return 0 if as_expected else 1
    except TrimtabError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except (KeyboardInterrupt, BrokenPipeError):
        return 130
    finally:
        if stage is not None and not kept:
            stage.close()


if __name__ == "__main__":
    sys.exit(main())
