"""Reading of files, ours and strangers': tensors come out, and nothing in a file is ever run.

A room of its own since it is the security boundary of the project: whatever touches bytes of an unknown origin stands
here, one kind of file a module, and imports nothing of the rest but `lcfs.errors`. The order: `opening` maps a regular
file, `formats` recognizes it by its content, the module of its format makes plain values of it (pickles through the
allow-list of `unpickling` and `builders`), `selecting` finds the net among them and says what it left out. A new kind
of file is one more module, a line in `formats`, and a case in tests/lcfs/reading/corpus.py.
"""

from lcfs.reading.state import NetState, load_state, read_state

__all__ = ["NetState", "load_state", "read_state"]
