# SPDX-License-Identifier: MIT
"""bough: threads that stop when you ask."""
from bough._bough import library_version

__all__ = ["library_version"]
__version__ = "0.1.0"
