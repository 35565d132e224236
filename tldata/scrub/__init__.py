"""Replace secrets and contact data by stand-ins: the same value by the same stand-in everywhere, and nothing else touched."""

from tldata.scrub.keys import load_key
from tldata.scrub.kinds import Scrubbing, parse_kinds
from tldata.scrub.replace import Scrubber

__all__ = ["Scrubber", "Scrubbing", "load_key", "parse_kinds"]
