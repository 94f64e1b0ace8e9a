"""Description languages: prefix-free codes for all arrays of a net at once, composed from `theory.codes`.

The layout (names and shapes of the arrays) is known to the decoder: it belongs to the architecture, which is fixed or
billed elsewhere. `describe` writes a net in the shortest language and pays for the choice; `lengths` has the lengths in
closed form.
"""

from theory.languages import lengths
from theory.languages.ledger import Entry, Reader, Writer
from theory.languages.whole import LANGUAGES, Description, Found, decode, describe

__all__ = ["LANGUAGES", "Description", "Entry", "Found", "Reader", "Writer", "decode", "describe", "lengths"]
