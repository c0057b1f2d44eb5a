# SPDX-License-Identifier: MIT
__all__ = ["library_version"]
__version__: str

def library_version() -> str: ...
