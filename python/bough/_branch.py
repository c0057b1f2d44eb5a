# SPDX-License-Identifier: MIT
__all__ = []
