"""Pictures of views: pure functions from a view, a moment and (where it matters) a width to something rich can draw.

Every status has a glyph and a word; colour only underlines them.
"""
