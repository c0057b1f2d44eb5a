# SPDX-License-Identifier: MIT
"""A placeholder."""
