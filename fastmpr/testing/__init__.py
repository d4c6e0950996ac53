"""What a regulariser, a source of particles or a format of your own must keep to: checks, for any test runner or none.

=====================  ==========================================================================
`check_regularizer`    that the solver minimises what ``value`` says
`check_source`         that particles can be read in any order, again, and from several threads
`check_format`         that files come back as they were written, and wrong ones are refused
=====================  ==========================================================================

Each raises AssertionError with one line: what was found, and what is needed. fastmpr's own tests call them too.
"""

from .formats import check_format
from .regularizers import check_regularizer
from .sources import check_source

__all__ = ["check_format", "check_regularizer", "check_source"]
